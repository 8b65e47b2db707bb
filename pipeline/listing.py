"""What a corpus' files are, asked once by the process that submits jobs and handed on to them by environment."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pipeline.config import corpus_of
from pipeline.contracts import AvemoError
from pipeline.corpora.base import Corpus
from pipeline.corpora.hashes import HashCache, is_media
from pipeline.layout import Layout

HANDED_ON = "AVEMO_LISTINGS"
"""Environment: listings by corpus, as JSON."""


def listing(corpus: str, run: dict[str, Any], submits: bool) -> str:
    """The fingerprint of a resolved run's corpus: it changes with the corpus' files, not with their times.

    On a cluster every job parses the workflow. Only the process that
    ``submits`` looks at the files; the others take what it found. A file
    touched without change is read once and then known again. Where all media are
    gone the corpus counts as it was: what is cached stays, and needs them no more.
    Raises `AvemoError` where the corpus is not as it should be.
    """
    handed_on = json.loads(os.environ.get(HANDED_ON, "{}"))
    if corpus in handed_on and not submits:
        return str(handed_on[corpus])
    hashes = HashCache(Layout(run).hashes)
    away = _is_away(corpus_of(run), hashes)
    if away and hashes.kept_listing:
        found = hashes.kept_listing
        print(f"{corpus}: none of its media is there; its clip table stays as it is", file=sys.stderr)
    else:
        found = corpus_of(run).fingerprint(hashes)
        hashes.save_if_changed()
    os.environ[HANDED_ON] = json.dumps(handed_on | {corpus: found})
    return found


def _is_away(corpus: Corpus, hashes: HashCache) -> bool:
    """Whether neither the media that the clip table has seen are there nor others in their place."""
    if not hashes.media_are_gone():
        return False
    try:
        return not any(is_media(path) and path.is_file() for path in corpus.all_files())
    except AvemoError:
        # There is no such folder.
        return True
