"""Several features of one modality as one: frames of the first, and beside each what the others have at its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avemo.base.contracts import AvemoError, FeatureSequence, Section, left_out
from avemo.dataset.source import TimedSource

Join = Literal["mean", "nearest"]


class Reading(Section):
    """How systems see a cached feature; of this no key of the cache depends."""

    parts: tuple[str, ...] = left_out(())
    """Which of the parts that frames are made of, such as layers; none: all of a frame."""
    join: Join = left_out("mean")
    """See `join_rows`."""

    def told(self, name: str) -> str:
        """What records call a feature of this name, read so.

        >>> Reading().told("audio"), Reading(parts=("3", "6"), join="nearest").told("audio-2")
        ('audio', 'audio-2 (3, 6; nearest)')
        """
        said = [", ".join(self.parts)] if self.parts else []
        said += [self.join] if self.join != "mean" else []
        return f"{name} ({'; '.join(said)})" if said else name


@dataclass(frozen=True)
class Moments:
    """Of each dimension the frames that it was counted over, their sum and sum of squares, all ``(dim,)``."""

    count: np.ndarray
    sum: np.ndarray
    squares: np.ndarray


class JoinedFeatures:
    """Features side by side, ``dim`` the sum of theirs. A clip has them where it has every one.

    Moments are each feature's own, over its own frames, so that it is normalised as it would be alone. Raises
    `AvemoError` for pixels, which networks look at by themselves.
    """

    dtype = "float32"

    def __init__(self, sources: Mapping[str, TimedSource], joins: Sequence[Join]):
        self.sources, self.joins = dict(sources), tuple(joins)
        for name, source in self.sources.items():
            if source.dtype == "uint8":
                raise AvemoError(
                    f"{name}: expected features to be joined with others, found pixels; let them be the "
                    "only feature of their modality"
                )
        self.dim = sum(source.dim for source in self.sources.values())
        self._first = next(iter(self.sources.values()))

    def has(self, clip_id: str) -> bool:
        return not self.lacking(clip_id)

    def lacking(self, clip_id: str) -> list[str]:
        """Names of the features that the clip lacks."""
        return [name for name, source in self.sources.items() if not source.has(clip_id)]

    def length(self, clip_id: str) -> int:
        """The frames of the first; 0 where the clip lacks any."""
        return self._first.length(clip_id) if self.has(clip_id) else 0

    def read(self, clip_id: str) -> FeatureSequence:
        """Joined frames, float32, at the first feature's times."""
        return join([source.read(clip_id) for source in self.sources.values()], self.joins)

    def read_into(self, clip_id: str, out: np.ndarray) -> None:
        out[...] = self.read(clip_id).x[: len(out)]

    def moments(self, clip_ids: Sequence[str]) -> Moments:
        each = [(source.moments(clip_ids), source.dim) for source in self.sources.values()]
        count = [np.broadcast_to(np.asarray(one.count), (dim,)) for one, dim in each]
        sums, squares = [one.sum for one, _ in each], [one.squares for one, _ in each]
        return Moments(np.concatenate(count), np.concatenate(sums), np.concatenate(squares))


def join(sequences: Sequence[FeatureSequence], joins: Sequence[Join]) -> FeatureSequence:
    """``x (frames of the first, sum of dims)`` float32; ``joins`` say how each is joined, the first's says nothing."""
    first, *others = sequences
    joined = [join_rows(first.times_s, one, how) for one, how in zip(others, joins[1:], strict=True)]
    return FeatureSequence(np.hstack([first.x.astype(np.float32), *joined]), first.times_s)


def join_rows(times_s: np.ndarray, other: FeatureSequence, how: Join) -> np.ndarray:
    """What ``other`` has at ``times_s (frames,)``: ``(frames, dim)`` float32.

    ``nearest``: its frame that is nearest in time, the earlier of two. ``mean``: the mean of its frames that are
    nearer to this time than to its neighbours and no further than a median step; of fewer than two the nearest. So of
    a faster feature no frame is passed over, and of a slower one, or of a single row, both give the same.
    """
    x, other_s = other.x.astype(np.float32), other.times_s
    if np.array_equal(times_s, other_s):
        return x
    order = np.argsort(other_s, kind="stable")
    x, other_s = x[order], other_s[order]
    joined = x[np.searchsorted((other_s[1:] + other_s[:-1]) / 2, times_s)]
    if how == "mean":
        rows = np.argsort(times_s, kind="stable")
        lower, upper = cells(times_s[rows])
        begin, end = np.searchsorted(other_s, lower), np.searchsorted(other_s, upper)
        several = np.flatnonzero(end - begin > 1)
        for row, start, stop in zip(rows[several], begin[several], end[several], strict=True):
            joined[row] = x[start:stop].mean(axis=0, dtype=np.float64)
    return joined


def cells(times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each frame's own time begins, and before which it ends, ``(frames,)`` each; of a single frame all time.

    >>> cells(np.array([0.0, 1.0, 2.0, 5.0]))
    (array([-0.5,  0.5,  1.5,  4. ]), array([0.5, 1.5, 3. , 5.5]))
    """
    if len(times_s) == 1:
        return np.array([-np.inf]), np.array([np.inf])
    step_s = float(np.median(np.diff(times_s)))
    middle = (times_s[1:] + times_s[:-1]) / 2
    begins = np.maximum(middle, times_s[1:] - step_s)
    ends = np.minimum(middle, times_s[:-1] + step_s)
    return np.r_[times_s[0] - step_s / 2, begins], np.r_[ends, times_s[-1] + step_s / 2]
