"""What a corpus' files are, asked once by the process that submits jobs and handed on to them by environment."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pipeline.config import corpus_of
from pipeline.corpora.hashes import HashCache
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
    found = hashes.listing_of_media_away()
    if found is None:
        found = corpus_of(run).fingerprint(hashes)
        hashes.save_if_changed()
    else:
        print(f"{corpus}: none of its media is there; its clip table stays as it is", file=sys.stderr)
    os.environ[HANDED_ON] = json.dumps(handed_on | {corpus: found})
    return found
