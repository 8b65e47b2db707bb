"""One clip's stored result, and what makes it fit to be stored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from avemo.base.contracts import AvemoError, Status
from avemo.base.frames import FrameBuffer, blocks
from avemo.base.keys import checked_id

DTYPES = ("uint8", "float16", "float32", "float64")
DETAIL_LENGTH = 1000


@dataclass(frozen=True)
class Item:
    """An ``ok`` item has ``x (frames, dim)`` and ``times_s (frames,)``, and in ``detail`` its notes; a failed one why it failed."""

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
    """The moments of ``x (frames, dim)``, summed block by block."""
    total = Moments(0, np.zeros(x.shape[1]), np.zeros(x.shape[1]))
    for block in blocks(x):
        wide = block.astype(np.float64)
        total += Moments(len(wide), wide.sum(axis=0), np.square(wide).sum(axis=0))
    return total


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
    if dtype == "uint8" and x.dtype != np.uint8:
        raise AvemoError(
            f"{item.clip_id}: expected uint8 frames, found {x.dtype}, which would wrap round; correct the extractor"
        )
    return replace(
        item, detail=detail, x=_cast(item.clip_id, x, dtype), times_s=np.ascontiguousarray(times_s, "<f8")
    )


def _cast(clip_id: str, x: np.ndarray, dtype: str) -> np.ndarray:
    stored = np.dtype(dtype).newbyteorder("<")
    if x.dtype == stored and x.flags.c_contiguous:
        return x
    buffer = FrameBuffer(x.shape[1:], stored)
    for block in blocks(x):
        with np.errstate(over="ignore"):
            cast = block.astype(stored)
        if not np.isfinite(cast).all():
            raise AvemoError(
                f"{clip_id}: expected values that {dtype} can hold, found {np.abs(block).max():g}; "
                "declare a wider dtype for this component"
            )
        buffer.append(cast)
    return buffer.array()


def _checked_frames(item: Item) -> tuple[np.ndarray, np.ndarray]:
    shapes: list[tuple[int, ...]] = [() if array is None else array.shape for array in (item.x, item.times_s)]
    good = len(shapes[0]) == 2 and 0 not in shapes[0] and shapes[1] == shapes[0][:1]
    if item.x is None or item.times_s is None or not good:
        raise AvemoError(
            f"{item.clip_id}: expected x (frames, dim) and times_s (frames,) with at least one frame, "
            f"found {shapes[0]} and {shapes[1]}; correct the extractor"
        )
    for name, values in (("x", item.x), ("times_s", item.times_s)):
        _require_finite(item.clip_id, name, values)
    return item.x, item.times_s


def _require_finite(clip_id: str, name: str, values: np.ndarray) -> None:
    start, count, first = 0, 0, 0
    for block in blocks(values):
        bad = np.argwhere(~np.isfinite(block))
        if len(bad) and not count:
            first = start + int(bad[0][0])
        count += len(bad)
        start += len(block)
    if count:
        raise AvemoError(
            f"{clip_id}: expected finite numbers, found {count} NaN or infinite "
            f"in {name}, the first in frame {first}; correct the extractor"
        )


def checksum(item: Item, moments: Moments) -> int:
    """CRC-32 of all that is stored of an item, so that a flipped bit anywhere shows at its clip."""
    value = zlib.crc32("\0".join([item.clip_id, item.key, item.status, item.detail]).encode())
    for array in (item.x, item.times_s, moments.sum, moments.squares):
        if array is not None:
            for block in blocks(array):
                value = zlib.crc32(np.ascontiguousarray(block).data, value)
    return value
