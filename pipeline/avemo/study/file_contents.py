"""What the files that rules open hold, so that a change of any of them runs the rule again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from avemo.base.contracts import AvemoError, digest
from avemo.base.file_hashes import sha256_of
from avemo.corpora.base import Corpus
from avemo.index.media_hashes import HashCache, fingerprint, is_media
from avemo.study.config import corpus_of
from avemo.study.layout import Layout
from avemo.study.run import Run

HANDED_ON = "AVEMO_LISTINGS"
"""Environment: listings by corpus, as JSON."""


def listing(corpus: str, run: Run, submits: bool) -> str:
    """The fingerprint of a run's corpus: it changes with the corpus' files, not with their times.

    It is asked once and handed on by environment: on a cluster every job parses the workflow. Only the process that
    ``submits`` looks at the files; the others take what it found. A file
    touched without change is read once and then known again. Where all media are
    gone the corpus counts as it was: what is cached stays, and needs them no more.
    Raises `AvemoError` where the corpus is not as it should be.
    """
    handed_on = json.loads(os.environ.get(HANDED_ON, "{}"))
    if corpus in handed_on and not submits:
        return str(handed_on[corpus])
    hashes = HashCache(Layout(run).hashes)
    away = _is_away(corpus_of(run.corpus), hashes)
    if away and hashes.kept_listing:
        found = hashes.kept_listing
        print(f"{corpus}: none of its media is there; its clip table stays as it is", file=sys.stderr)
    else:
        found = fingerprint(corpus_of(run.corpus), hashes)
        hashes.save_if_changed()
    os.environ[HANDED_ON] = json.dumps(handed_on | {corpus: found})
    return found


def contents(paths: Iterable[Path | str]) -> str:
    """A digest of what files hold, in this order; one that is not there counts as such.

    They are read each time: neither size nor time of change tells of a table restored from a backup.
    """
    return digest([_sha256(Path(path)) for path in paths])


def label_contents(run: Run) -> str:
    """`contents` of the files that a run's labels are read from.

    Where none of them is there, say on a disk that is away, the labels that were made of them stay.
    """
    files, kept = corpus_of(run.corpus).label_files(), Layout(run).labels_made_of
    if kept.is_file() and not any(path.is_file() for path in files):
        return str(json.loads(kept.read_text())["label_files"])
    return contents(files)


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    return sha256_of(path)


def _is_away(corpus: Corpus, hashes: HashCache) -> bool:
    """Whether neither the media that the clip table has seen are there nor others in their place."""
    if not hashes.media_are_gone():
        return False
    try:
        return not any(is_media(path) and path.is_file() for path in corpus.all_files())
    except AvemoError:
        # There is no such folder.
        return True
