"""Z-normalisation from the moments of the train clips, or from each clip's own; or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from avemo.base.contracts import AvemoError, Section

EPSILON = 1e-6
"""Added to every standard deviation, so that a constant dimension becomes 0, not NaN."""


Way = Literal["train", "clip", "none"]


class Normalise(Section):
    """By what the frames of each modality are z-scored, per dimension, before a system sees them.

    ``train``: mean and deviation of the train clips' frames. ``clip``: those of the clip's own. ``none``: frames
    stay as they were extracted. Pixels stay as they are in any case. A modality that a clip lacks is zeros
    after this: with ``train`` the average frame, with ``none`` a frame on which nothing was seen.
    """

    audio: Way = "train"
    visual: Way = "train"


BY_TRAIN = Normalise()


@dataclass(frozen=True, eq=False)
class Normaliser:
    """``(x − mean) / std`` per dimension; both ``(dim,)`` float32, ``std`` with `EPSILON` in it."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def from_moments(cls, count: ArrayLike, sum: ArrayLike, squares: ArrayLike) -> Normaliser:
        """From frames counted, all or per dimension, and their sum and sum of squares ``(dim,)``.

        ``std = √max(0, squares/count − mean²) + EPSILON``: population, in float64.
        Raises `AvemoError` for no frames or moments that are not finite.

        >>> Normaliser.from_moments(2, [4.0], [10.0])  # frames 1 and 3
        Normaliser(mean=array([2.], dtype=float32), std=array([1.000001], dtype=float32))
        """
        total, square = np.asarray(sum, dtype=np.float64), np.asarray(squares, dtype=np.float64)
        frames = np.asarray(count)
        if (frames < 1).any():
            raise AvemoError(
                "normalisation: expected train frames, found none; extract the train clips first"
            )
        bad = np.flatnonzero(~(np.isfinite(total) & np.isfinite(square)))
        if len(bad):
            raise AvemoError(
                f"normalisation: expected finite moments, found others in dimensions {bad[:8].tolist()}; "
                "look for NaN or infinite features with `avemo cache verify`"
            )
        mean = total / frames
        # Rounding can leave a constant dimension a hair below zero.
        variance = np.maximum(square / frames - mean**2, 0.0)
        return cls(mean.astype(np.float32), (np.sqrt(variance) + EPSILON).astype(np.float32))

    @classmethod
    def unchanged(cls, dim: int) -> Normaliser:
        """One that changes nothing."""
        return cls(np.zeros(dim, np.float32), np.ones(dim, np.float32))

    @property
    def dim(self) -> int:
        """Number of feature dimensions."""
        return len(self.mean)

    def apply(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """``x (frames, dim)`` of any float type to z-scores, float32, in ``out`` if given.

        Raises `AvemoError` for another dim.
        """
        import torch

        _check_dim(x, self.dim)
        out = np.empty(x.shape, np.float32) if out is None else out
        # Rounded as NumPy does, but at twice its speed, which takes one row at a time.
        mean, std, wide = map(torch.from_numpy, (self.mean, self.std, x.astype(np.float32, copy=False)))
        torch.sub(wide, mean, out=torch.from_numpy(out)).div_(std)
        return out

    def to_dict(self) -> dict[str, list[float]]:
        """JSON-able; `from_dict` gives back the same bits."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Normaliser:
        """What `to_dict` gave."""
        return cls(np.asarray(values["mean"], dtype=np.float32), np.asarray(values["std"], dtype=np.float32))


@dataclass(frozen=True)
class ClipNormaliser:
    """``(x − mean) / std`` per dimension with the clip's own frames' mean and std."""

    dim: int

    def apply(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """As `Normaliser.apply`; a clip of one frame becomes zeros.

        >>> ClipNormaliser(1).apply(np.array([[1.0], [3.0]])).round(3).tolist()
        [[-1.0], [1.0]]
        """
        return self.of(x).apply(x, out)

    def of(self, x: np.ndarray) -> Normaliser:
        """What ``x (frames, dim)`` is normalised by."""
        _check_dim(x, self.dim)
        frames = x.astype(np.float64)
        return Normaliser.from_moments(len(frames), frames.sum(axis=0), (frames**2).sum(axis=0))

    def to_dict(self) -> dict[str, int]:
        """JSON-able; `read_normaliser` takes it."""
        return {"per_clip": self.dim}


def read_normaliser(values: Mapping[str, Any]) -> Normaliser | ClipNormaliser:
    """What either's ``to_dict`` gave."""
    return ClipNormaliser(values["per_clip"]) if "per_clip" in values else Normaliser.from_dict(values)


def _check_dim(x: np.ndarray, dim: int) -> None:
    if x.ndim != 2 or x.shape[1] != dim:
        raise AvemoError(
            f"normalisation: expected features (frames, {dim}), found {x.shape}; "
            "use the statistics of the same extractor"
        )
