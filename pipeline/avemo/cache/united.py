"""Features of several corpora read as one where they lie: a manifest that names corpora, and shards under other names.

A clip of the corpus ``savee`` is called ``savee:NAME`` there. Nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import FeatureSequence
from avemo.base.keys import parted_id, united_id
from avemo.cache.items import Item, Moments
from avemo.cache.shard import EVERY, Shard
from avemo.cache.shard_layout import Entry


def member_manifest(path: Path, corpus: str) -> Path:
    """Where a corpus' own manifest lies that the manifest at ``path`` names: in the same cache, of the same component."""
    return path.parent.parent.parent / corpus / path.parent.name / path.name


class ShardOf:
    """A shard of a corpus with its clips called as among several corpora; see `Shard`."""

    def __init__(self, shard: Shard, corpus: str):
        self._shard = shard
        self.path, self.info, self.dim, self.dtype = shard.path, shard.info, shard.dim, shard.dtype
        self.index: dict[str, Entry] = {
            united_id(corpus, name): replace(entry, clip_id=united_id(corpus, name))
            for name, entry in shard.index.items()
        }

    def close(self) -> None:
        self._shard.close()

    def read(self, clip_id: str, columns: slice = EVERY) -> FeatureSequence:
        return self._shard.read(parted_id(clip_id)[1], columns)

    def read_into(self, clip_id: str, out: np.ndarray, columns: slice = EVERY) -> None:
        self._shard.read_into(parted_id(clip_id)[1], out, columns)

    def item(self, clip_id: str) -> Item:
        return replace(self._shard.item(parted_id(clip_id)[1]), clip_id=clip_id)

    def moments(self, clip_ids: Iterable[str]) -> Moments:
        return self._shard.moments(parted_id(clip_id)[1] for clip_id in clip_ids)


OWN = ("corpus", "shards")
"""What shards say of the corpus alone, not of how features were made."""


def common_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """What shards say of how their features were made."""
    return {key: value for key, value in info.items() if key not in OWN}


def unlike(infos: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In what the features of corpora were made otherwise, a phrase each; by corpus, the first compared with each."""
    (first, expected), *others = infos.items()
    return [
        f"{key} {found.get(key)} in {corpus} instead of {expected.get(key)} in {first}"
        for corpus, found in others
        for key in sorted({*found, *expected})
        if found.get(key) != expected.get(key)
    ]
