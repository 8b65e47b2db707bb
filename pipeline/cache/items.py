"""One clip's stored result, and what makes it fit to be stored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from pipeline.cache.keys import checked_id
from pipeline.contracts import AvemoError, Status

DTYPES = ("float16", "float32", "float64")
DETAIL_LENGTH = 1000


@dataclass(frozen=True)
class Item:
    """An ``ok`` item has ``x (frames, dim)`` and ``times_s (frames,)``; a failed one a ``detail`` instead."""

    clip_id: str
    key: str
    status: Status
    detail: str = ""
    x: np.ndarray | None = None
    times_s: np.ndarray | None = None


@dataclass(frozen=True)
class Moments:
    """Frames counted, and per dimension their sum and sum of squares ``(dim,)``, in float64."""

    count: int
    sum: np.ndarray
    squares: np.ndarray

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.sum + other.sum, self.squares + other.squares)


def moments_of(x: np.ndarray) -> Moments:
    """The moments of ``x (frames, dim)``."""
    wide = x.astype(np.float64)
    return Moments(len(x), wide.sum(axis=0), np.square(wide).sum(axis=0))


def storable(item: Item, dtype: str) -> Item:
    """The item as it will be stored, ``x`` cast to ``dtype``.

    Raises `AvemoError` naming the clip for a wrong shape, no frame, a value
    that is not finite or one that ``dtype`` cannot hold.
    """
    checked_id(item.clip_id)
    detail = item.detail.replace("\0", " ").encode(errors="backslashreplace").decode()[:DETAIL_LENGTH]
    if item.status is not Status.ok:
        if item.x is not None or item.times_s is not None:
            raise AvemoError(f"{item.clip_id}: expected no frames with status {item.status}, found some")
        return replace(item, detail=detail)
    x, times_s = _checked_frames(item)
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(x, np.dtype(dtype).newbyteorder("<"))
    if not np.isfinite(cast).all():
        raise AvemoError(
            f"{item.clip_id}: expected values that {dtype} can hold, found {np.abs(x).max():g}; "
            "declare a wider dtype for this component"
        )
    return replace(item, detail=detail, x=cast, times_s=np.ascontiguousarray(times_s, "<f8"))


def _checked_frames(item: Item) -> tuple[np.ndarray, np.ndarray]:
    shapes: list[tuple[int, ...]] = [() if array is None else array.shape for array in (item.x, item.times_s)]
    good = len(shapes[0]) == 2 and 0 not in shapes[0] and shapes[1] == shapes[0][:1]
    if item.x is None or item.times_s is None or not good:
        raise AvemoError(
            f"{item.clip_id}: expected x (frames, dim) and times_s (frames,) with at least one frame, "
            f"found {shapes[0]} and {shapes[1]}; correct the extractor"
        )
    for name, values in (("x", item.x), ("times_s", item.times_s)):
        bad = ~np.isfinite(values)
        if bad.any():
            raise AvemoError(
                f"{item.clip_id}: expected finite numbers, found {int(bad.sum())} NaN or infinite "
                f"in {name}, the first in frame {int(np.argwhere(bad)[0][0])}; correct the extractor"
            )
    return item.x, item.times_s


def checksum(item: Item, moments: Moments) -> int:
    """CRC-32 of all that is stored of an item, so that a flipped bit anywhere shows at its clip."""
    value = zlib.crc32("\0".join([item.clip_id, item.key, item.status, item.detail]).encode())
    for array in (item.x, item.times_s, moments.sum, moments.squares):
        if array is not None:
            value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return value
