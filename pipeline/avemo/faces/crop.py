"""Square face crops, cut along a face track as the feature that reads them asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from avemo.base.contracts import TRACK_COLUMNS, AvemoError, ComponentConfig, FeatureSequence, TrackStatus

TIME_TOLERANCE_S = 1e-3
LANDMARKS = slice(TRACK_COLUMNS.index("left_eye_x"), TRACK_COLUMNS.index("mouth_right_y") + 1)
UPRIGHT = np.array([-0.34 - 0.205j, 0.34 - 0.205j, 0.21j, -0.27 + 0.54j, 0.27 + 0.54j])
"""Eyes, nose and corners of the mouth (x + iy, y down) of an upright face whose box has height 2 about 0.

Means over MTCNN's boxes of two photographs and five clips of different people, made symmetric.
"""


class CropPolicy(ComponentConfig):
    """How a crop is cut from a frame."""

    size_px: int = Field(default=224, ge=1)
    """Side of the square crop."""
    margin: float = Field(default=0.2, ge=0)
    """Added on each side of the box, as a fraction of its larger side."""
    background: Literal["kept", "masked"] = "kept"
    """``masked``: black outside the ellipse that touches the box' sides. AV-Ladder (section 4.2) writes "we mask
    the face area isolating it from the background region"; MTCNN's box and five points know no truer outline."""
    alignment: Literal["box", "landmarks"] = "box"
    """``landmarks``: turned and scaled so that eyes, nose and mouth lie nearest (least squares) to `UPRIGHT`."""
    fps: float | None = Field(default=None, gt=0)
    """Keep the first frame at or after each multiple of 1 / fps seconds; None keeps all."""
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] = Field(
        default="area", exclude_if=lambda value: value == "area"
    )
    """``area``: areas averaged when shrinking, bilinear when enlarging. The others are Pillow's, as the networks'
    own preprocessors have them; landmarks are aligned by ``area`` alone."""

    @model_validator(mode="after")
    def _drawn_once(self) -> CropPolicy:
        if self.alignment == "landmarks" and self.interpolation != "area":
            raise ValueError(
                f"interpolation: expected area with alignment: landmarks, found {self.interpolation}"
            )
        return self


def crops(
    frames: Iterable[tuple[float, np.ndarray]], track: FeatureSequence, policy: CropPolicy
) -> Iterator[tuple[float, np.ndarray]]:
    """``(time_s, crop (size_px, size_px, 3) uint8 RGB)`` of each frame in which the track has a face.

    A frame whose face is missing gives no crop; its time is absent. Raises
    `AvemoError` when the frames are not those that were tracked.
    """
    status = TRACK_COLUMNS.index("status")
    rows = zip(track.times_s, track.x, strict=True)
    due = _due(policy.fps)
    for number, (seen, tracked) in enumerate(zip_longest(frames, rows)):
        if seen is None or tracked is None or abs(seen[0] - tracked[0]) > TIME_TOLERANCE_S:
            raise AvemoError(_disagreement(number, seen, tracked))
        (time_s, frame), (_, row) = seen, tracked
        if due(time_s) and row[status] != TrackStatus.missing:
            yield time_s, cut(frame, row, policy)


def whole(
    frames: Iterable[tuple[float, np.ndarray]], policy: CropPolicy
) -> Iterator[tuple[float, np.ndarray]]:
    """As `crops`, of whole frames, which are stretched to the square."""
    due = _due(policy.fps)
    for time_s, frame in frames:
        if due(time_s):
            yield time_s, _resized(frame, policy)


def _due(fps: float | None) -> Callable[[float], bool]:
    """Whether the next frame, of this time, is to be looked at."""
    due_s = -np.inf

    def due(time_s: float) -> bool:
        nonlocal due_s
        if time_s < due_s - TIME_TOLERANCE_S:
            return False
        if fps:
            due_s = (np.floor((time_s + TIME_TOLERANCE_S) * fps) + 1) / fps
        return True

    return due


def _disagreement(number: int, seen: tuple | None, tracked: tuple | None) -> str:
    expected = "the end" if tracked is None else f"{tracked[0]:.3f} s"
    found = "the end" if seen is None else f"{seen[0]:.3f} s"
    return (
        f"frame {number} of the video does not match its face track: expected {expected}, found {found}; "
        "the media changed since tracking: track its faces again"
    )


def cut(frame: np.ndarray, row: np.ndarray, policy: CropPolicy) -> np.ndarray:
    """The face of one track row, or of a box ``(x0, y0, x1, y1)`` in pixels, as ``(size_px, size_px, 3)``.

    Beyond the frame's border the outermost pixels repeat. Shrinking averages
    areas, so that fine patterns do not alias; enlarging is bilinear.
    """
    box = row[:4].astype(float)
    centre, (width, height) = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    middle = complex(*centre)
    if policy.alignment == "landmarks":
        turn, shift = similarity(row[LANDMARKS].astype(float).view(complex), UPRIGHT)
        scale = policy.size_px / (2 * (1 + 2 * policy.margin))
        turn, shift = turn * scale, shift * scale + (1 + 1j) * (policy.size_px - 1) / 2
        crop = _warped(frame, turn, shift, policy.size_px)
    else:
        length = max(1, round(max(width, height) * (1 + 2 * policy.margin)))
        crop = _slice(frame, centre, length, policy)
        turn = complex(policy.size_px / length)
        shift = (1 + 1j) * (policy.size_px - 1) / 2 - turn * middle
    if policy.background == "masked":
        _mask(crop, turn * middle + shift, abs(turn) * np.array([width, height]), float(np.angle(turn)))
    return crop


def similarity(points: np.ndarray, targets: np.ndarray) -> tuple[complex, complex]:
    """``(turn, shift)`` of the rotation, scaling and translation z -> turn z + shift nearest to ``targets``.

    Both are ``(n,)`` complex; least squares, as Umeyama (PAMI 1991) without
    reflection. Raises `AvemoError` when all points fall together.
    """
    spread = points - points.mean()
    size = float(np.sum(np.abs(spread) ** 2))
    if size == 0:
        raise AvemoError("face landmarks: expected five different points, found one; track the faces again")
    turn = complex(np.sum(np.conj(spread) * (targets - targets.mean())) / size)
    return turn, complex(targets.mean() - turn * points.mean())


def _warped(frame: np.ndarray, turn: complex, shift: complex, size_px: int) -> np.ndarray:
    """The frame under z -> turn z + shift; when shrinking, drawn larger first and then averaged."""
    import cv2

    finer = max(1, int(np.ceil(1 / abs(turn))))
    # Pixel centres: a finer grid's pixel j lies at (j + 0.5) / finer - 0.5 of the coarse one.
    turn, shift = turn * finer, (shift + 0.5 + 0.5j) * finer - 0.5 - 0.5j
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    side = (size_px * finer, size_px * finer)
    drawn = cv2.warpAffine(frame, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return drawn if finer == 1 else cv2.resize(drawn, (size_px, size_px), interpolation=cv2.INTER_AREA)


def _slice(frame: np.ndarray, centre: np.ndarray, length: int, policy: CropPolicy) -> np.ndarray:
    import cv2

    left, first, last, right = _span(centre[0], length, frame.shape[1])
    above, top, bottom, below = _span(centre[1], length, frame.shape[0])
    square = frame[top:bottom, first:last]
    if above or below or left or right:
        square = cv2.copyMakeBorder(square, above, below, left, right, cv2.BORDER_REPLICATE)
    return _resized(square, policy)


def _resized(picture: np.ndarray, policy: CropPolicy) -> np.ndarray:
    import cv2

    side = (policy.size_px, policy.size_px)
    if policy.interpolation != "area":
        from PIL import Image

        how = Image.Resampling[policy.interpolation.upper()]
        return np.array(Image.fromarray(picture).resize(side, how))
    shrinks = max(picture.shape[:2]) > policy.size_px
    return cv2.resize(picture, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _span(centre: float, length: int, limit: int) -> tuple[int, int, int, int]:
    """``length`` pixels about ``centre``: how many lie before the frame, the slice inside, how many after it.

    A slice has one pixel at least, which repeats where all others lie outside.

    >>> _span(2, 6, 100), _span(-9, 6, 100), _span(120, 6, 100)
    ((1, 0, 5, 0), (5, 0, 1, 0), (0, 99, 100, 5))
    """
    begin = round(centre - length / 2)
    first = min(max(begin, 0), limit - 1)
    last = max(min(begin + length, limit), first + 1)
    outside = length - (last - first)
    before = min(max(-begin, 0), outside)
    return before, first, last, outside - before


def _mask(crop: np.ndarray, centre: complex, axes: np.ndarray, angle: float) -> None:
    """Blacken ``crop`` in place outside the ellipse of full ``axes``, turned by ``angle`` radians."""
    import cv2

    inside = np.zeros(crop.shape[:2], np.uint8)
    ellipse = ((centre.real, centre.imag), (float(axes[0]), float(axes[1])), float(np.degrees(angle)))
    cv2.ellipse(inside, ellipse, 1, thickness=-1)
    crop *= inside[..., None]
