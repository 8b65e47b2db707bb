"""Small items and files for the cache's tests, the same at every call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from avemo.base.contracts import ClipFailure, FeatureSequence, Status
from avemo.cache.items import Item
from avemo.cache.shard import Shard

INFO = {"component": "toy", "config": {"dim": 4}}
FAILING = "clip03"


def frames_of(clip_id: str, scale: float = 1.0, dim: int = 4) -> FeatureSequence:
    """Frames that depend on the id alone; `FAILING` has none."""
    if clip_id == FAILING:
        raise ClipFailure(Status.no_face, clip_id, "no face in 7 frames")
    generator = np.random.default_rng(list(clip_id.encode()))
    length = int(generator.integers(1, 9))
    x = scale * generator.standard_normal((length, dim))
    return FeatureSequence(x.astype(np.float32), 0.04 * np.arange(length))


def ids(count: int) -> list[str]:
    """``clip00, clip01, ...``"""
    return [f"clip{number:02d}" for number in range(count)]


def wanted_of(clip_ids: Iterable[str], key: str = "k1") -> dict[str, str]:
    """The same key part for every clip."""
    return {clip_id: f"{key}-{clip_id}" for clip_id in clip_ids}


def item_of(clip_id: str, key: str = "k1", dim: int = 4) -> Item:
    """A clip's item."""
    key = f"{key}-{clip_id}"
    try:
        frames = frames_of(clip_id, dim=dim)
    except ClipFailure as failure:
        return Item(clip_id, key, failure.status, failure.detail)
    return Item(clip_id, key, Status.ok, "", frames.x, frames.times_s)


def assert_same(left: Item, right: Item) -> None:
    """Equal to the last bit."""
    assert (left.clip_id, left.key, left.status, left.detail) == (
        right.clip_id,
        right.key,
        right.status,
        right.detail,
    )
    for mine, other in ((left.x, right.x), (left.times_s, right.times_s)):
        assert (mine is None) == (other is None)
        if mine is not None and other is not None:
            assert mine.dtype == other.dtype
            np.testing.assert_array_equal(mine, other)


def items_in(path: Path) -> list[Item]:
    """All items of a shard, in their order."""
    with Shard(path) as shard:
        return [shard.item(clip_id) for clip_id in shard.index]


def flip_frame(path: Path, clip_id: str) -> None:
    """Flip one bit of the clip's first frame, in place."""
    with Shard(path) as shard:
        offset = shard.entry(clip_id).offset
    with h5py.File(path, "r") as file:
        data = file["data"]
        position = data.id.get_offset() + offset * data.shape[1] * data.dtype.itemsize
    flip_byte(path, position)


def flip_byte(path: Path, position: int) -> None:
    """Flip the lowest bit of the byte at ``position``, in place."""
    with path.open("r+b") as file:
        file.seek(position)
        old = file.read(1)[0]
        file.seek(position)
        file.write(bytes([old ^ 1]))
