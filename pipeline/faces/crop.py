"""Square face crops, cut along a face track."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

import numpy as np
from pydantic import Field

from pipeline.contracts import TRACK_COLUMNS, AvemoError, ComponentConfig, FeatureSequence, TrackStatus

TIME_TOLERANCE_S = 1e-3


class CropPolicy(ComponentConfig):
    """How a crop is cut from a frame."""

    size_px: int = Field(default=224, ge=1)
    """Side of the square crop."""
    margin: float = Field(default=0.2, ge=0)
    """Added on each side of the box, as a fraction of its larger side."""


def crops(
    frames: Iterable[tuple[float, np.ndarray]], track: FeatureSequence, policy: CropPolicy
) -> Iterator[tuple[float, np.ndarray]]:
    """``(time_s, crop (size_px, size_px, 3) uint8 RGB)`` of each frame in which the track has a face.

    A frame whose face is missing gives no crop; its time is absent. Raises
    `AvemoError` when the frames are not those that were tracked.
    """
    status = TRACK_COLUMNS.index("status")
    rows = zip(track.times_s, track.x, strict=True)
    for number, (seen, tracked) in enumerate(zip_longest(frames, rows)):
        if seen is None or tracked is None or abs(seen[0] - tracked[0]) > TIME_TOLERANCE_S:
            raise AvemoError(_disagreement(number, seen, tracked))
        (time_s, frame), (_, row) = seen, tracked
        if row[status] != TrackStatus.missing:
            yield time_s, cut(frame, row[:4], policy)


def _disagreement(number: int, seen: tuple | None, tracked: tuple | None) -> str:
    expected = "the end" if tracked is None else f"{tracked[0]:.3f} s"
    found = "the end" if seen is None else f"{seen[0]:.3f} s"
    return (
        f"frame {number} of the video does not match its face track: expected {expected}, found {found}; "
        "the media changed since tracking: track its faces again"
    )


def cut(frame: np.ndarray, box: np.ndarray, policy: CropPolicy) -> np.ndarray:
    """The square round ``box`` (x0, y0, x1, y1 in pixels), resized to ``(size_px, size_px, 3)``.

    Beyond the frame's border the outermost pixels repeat. Shrinking averages
    areas, so that fine patterns do not alias; enlarging is bilinear.
    """
    import cv2

    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(x1 - x0, y1 - y0) * (1 + 2 * policy.margin)
    length = max(1, round(side))
    columns = _span((x0 + x1) / 2, length, frame.shape[1])
    rows = _span((y0 + y1) / 2, length, frame.shape[0])
    square = np.ascontiguousarray(frame[rows][:, columns])
    how = cv2.INTER_AREA if length > policy.size_px else cv2.INTER_LINEAR
    return cv2.resize(square, (policy.size_px, policy.size_px), interpolation=how)


def _span(centre: float, length: int, limit: int) -> np.ndarray:
    """``length`` pixel indices about ``centre``, those outside ``[0, limit)`` moved to its edge."""
    return np.clip(round(centre - length / 2) + np.arange(length), 0, limit - 1)
