"""What the files that rules open hold, so that a change of any of them runs the rule again."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from avemo.base.contracts import AvemoError, digest
from avemo.base.file_hashes import sha256_of
from avemo.base.made_of import made_of
from avemo.corpora.base import Corpus
from avemo.index.media_hashes import HashCache, fingerprint, is_media
from avemo.index.source import require_same_source
from avemo.study.layout import Layout
from avemo.study.resolve import corpus_of
from avemo.study.run import Run


def listing(run: Run) -> str:
    """The fingerprint of a run's corpus: it changes with the corpus' files, not with their times.

    A file touched without change is read once and then known again. Where all media are
    gone the corpus counts as it was: what is cached stays, and needs them no more.
    Raises `AvemoError` where the corpus is not as it should be, or the cache is another corpus'.
    """
    corpus, layout = corpus_of(run.corpus), Layout(run)
    require_same_source(corpus, layout.index, run.corpus.id)
    hashes, made = HashCache(layout.hashes), made_of(layout.index)
    kept = made.read.get("files") if made else None
    if kept and _is_away(corpus, hashes):
        print(f"{run.corpus.id}: none of its media is there; its clip table stays as it is", file=sys.stderr)
        return kept
    found = fingerprint(corpus, hashes)
    hashes.save_if_changed()
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
    files, made = corpus_of(run.corpus).label_files(), made_of(Layout(run).labels)
    kept = made.read.get("label_files") if made else None
    if kept and not any(path.is_file() for path in files):
        return kept
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
