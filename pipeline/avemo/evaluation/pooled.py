"""A clip's frames as one vector, whatever their number: what a linear model can look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from avemo.dataset.joined import JoinedFeatures

if TYPE_CHECKING:
    from avemo.dataset.source import FeatureSource


PERCENTILES = (10, 50, 90)


def pooled(source: FeatureSource, clip_ids: Sequence[str]) -> np.ndarray:
    """``(clips, statistics)`` float64: mean, deviation and `PERCENTILES` over a clip's real frames, per dimension.

    Features of one frame a clip, functionals, stay as they are; of pixels there are mean and deviation alone. Of joined
    features each has its own statistics, over its own frames. A clip that lacks the modality is a row of NaN.
    """
    if isinstance(source, JoinedFeatures):
        joined = np.hstack([pooled(one, clip_ids) for one in source.sources.values()])
        joined[[not source.has(clip) for clip in clip_ids]] = np.nan
        return joined
    lengths = {clip: source.length(clip) for clip in clip_ids if source.has(clip)}
    single = max(lengths.values(), default=0) <= 1
    rows = 1 if single else 2 if source.dtype == "uint8" else 2 + len(PERCENTILES)
    found = np.full((len(clip_ids), rows * source.dim), np.nan)
    for row, clip in enumerate(clip_ids):
        if lengths.get(clip):
            frames = np.empty((lengths[clip], source.dim), np.float32)
            source.read_into(clip, frames)
            found[row] = _statistics(frames.astype(np.float64), rows).ravel()
    return found


def _statistics(frames: np.ndarray, rows: int) -> np.ndarray:
    if rows == 1:
        return frames[:1]
    moments = [frames.mean(axis=0), frames.std(axis=0)]
    return np.stack([*moments, *(np.percentile(frames, PERCENTILES, axis=0) if rows > 2 else ())])
