"""Where the corpus of a clip table lies: a cache holds one corpus under one id."""

from __future__ import annotations

import os
from pathlib import Path

from avemo.base.contracts import ConfigError
from avemo.base.made_of import made_of, record_path
from avemo.corpora.base import Corpus

PLACE, SEEN = "place", "place_seen_from_cache"


def source_of(corpus: Corpus, table: Path) -> dict[str, str]:
    """The corpus' place, and how it lies to the table: a project that is copied whole keeps its corpora."""
    place = Path(getattr(corpus.config, corpus.place)).resolve()
    return {PLACE: str(place), SEEN: os.path.relpath(place, table.parent.resolve())}


def require_same_source(corpus: Corpus, table: Path, corpus_id: str) -> None:
    """Raise `ConfigError` where the clip table was made of a corpus elsewhere that is still there.

    Else two checkouts that share a cache would train on the media of whoever came first.
    """
    found, ours = made_of(table), source_of(corpus, table)
    theirs = found.read if found and table.is_file() else {}
    if PLACE not in theirs or any(theirs.get(key) == ours[key] for key in (PLACE, SEEN)):
        return
    if Path(theirs[PLACE]).exists():
        raise ConfigError(
            f"config: corpus.id {corpus_id!r}: expected its clip table to be of {ours[PLACE]}, found {table} made "
            f"of {theirs[PLACE]}; give one of the two another corpus.id or another cache, or, if this is to "
            f"take its place, delete {record_path(table)}"
        )
