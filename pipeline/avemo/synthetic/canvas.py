"""A picture to draw a face on, in the face's own coordinates.

The origin is the middle of the face, x to the viewer's right, y down; the head
is two units high. Colours are drawn at twice the size and reduced, which
smooths edges; soft shadows are gathered apart and multiplied in at the end.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import cv2
import numpy as np

from avemo.synthetic.actors import Colour
from avemo.synthetic.motion import Pose

OVERSAMPLING = 2
HEAD_SHARE = 0.33
"""Half the head's height as a share of the picture's."""
BITS = 4  # of a pixel's fraction, for OpenCV's fixed-point coordinates
FALL = np.array([0.8, 0.5])  # how fast the head's front recedes, across and along
TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


class Canvas:
    """``image (2 size, 2 size, 3)`` uint8 RGB, and ``dark (size, size)`` uint8 shadow."""

    def __init__(self, size_px: int, pose: Pose, background: np.ndarray):
        self.size_px, self.pose = size_px, pose
        self.image = background.copy()
        self.dark = np.zeros((size_px, size_px), np.uint8)
        angle = 0.16 * pose.axes["roll"] + 0.25 * pose.x
        unit = HEAD_SHARE * size_px * OVERSAMPLING
        self.unit = unit
        self.rotation = unit * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = size_px * OVERSAMPLING / 2
        self.origin = np.array([middle + 2 * unit * pose.x, 1.02 * middle + 2 * unit * pose.y])

    def placed(self, points: np.ndarray, relief: float = 1.0) -> np.ndarray:
        """``(n, 2)`` pixels: ``points`` turned with the head; ``relief`` 0 is its outline, 1 its front."""
        turn = relief * np.array([0.55 * self.pose.yaw, 0.16 * self.pose.axes["pitch"]])
        return (points + turn * np.maximum(0, 1 - FALL * points**2)) @ self.rotation.T + self.origin

    def fill(self, points: np.ndarray, colour: Colour, relief: float = 1.0) -> None:
        """A filled polygon."""
        cv2.fillPoly(self.image, [_fixed(self.placed(points, relief))], colour, cv2.LINE_AA, BITS)

    def line(self, points: np.ndarray, colour: Colour, width: float, relief: float = 1.0) -> None:
        """An open line ``width`` units wide."""
        corners = [_fixed(self.placed(points, relief))]
        cv2.polylines(self.image, corners, False, colour, self._thick(width), cv2.LINE_AA, BITS)

    def shadow(self, points: np.ndarray, amount: float, width: float, relief: float = 1.0) -> None:
        """A soft dark line; ``amount`` 0 to 1, nothing below 0."""
        if amount <= 0.02:
            return
        corners = [_fixed(self.placed(points, relief) / OVERSAMPLING)]
        thick = max(1, self._thick(width) // OVERSAMPLING)
        value = int(min(255, 255 * amount))
        cv2.polylines(self.dark, corners, False, value, thick, cv2.LINE_AA, BITS)

    def clip_into(self, points: np.ndarray, painted: Canvas) -> None:
        """Copy from ``painted`` what lies inside the polygon ``points``."""
        corners = _fixed(self.placed(points))
        x, y, width, height = cv2.boundingRect(corners >> BITS)
        mask = np.zeros(self.image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, BITS)
        window = np.s_[max(y - 1, 0) : y + height + 2, max(x - 1, 0) : x + width + 2]
        weight = mask[window][..., None].astype(np.float32) / 255
        mixed = weight * painted.image[window] + (1 - weight) * self.image[window]
        self.image[window] = np.round(mixed).astype(np.uint8)

    def copy(self) -> Canvas:
        """A canvas with the same picture, to paint on apart."""
        return Canvas(self.size_px, self.pose, self.image)

    def reduced(self) -> np.ndarray:
        """``(size, size, 3)`` float32: the picture at its own size, with its soft shadows."""
        small = cv2.resize(self.image, (self.size_px, self.size_px), interpolation=cv2.INTER_AREA)
        sigma = 0.009 * self.size_px
        soft = cv2.GaussianBlur(self.dark, (0, 0), sigma).astype(np.float32) / 255
        return small.astype(np.float32) * (1 - 0.6 * soft[..., None])

    def _thick(self, width: float) -> int:
        return max(1, round(width * self.unit))


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (1 << BITS)).astype(np.int32)


def ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    """``(28, 2)`` points of an ellipse with these half axes."""
    return CIRCLE * (width, height) + (x, y)


def curve(*points: tuple[float, float], n: int = 12) -> np.ndarray:
    """``(n, 2)`` points of the Bézier curve with these control points."""
    return _bernstein(len(points) - 1, n) @ np.array(points, float)


@lru_cache
def _bernstein(degree: int, n: int) -> np.ndarray:
    """``(n, degree + 1)`` Bernstein polynomials at ``n`` even steps from 0 to 1."""
    t = np.linspace(0, 1, n)
    return np.stack([comb(degree, k) * t**k * (1 - t) ** (degree - k) for k in range(degree + 1)], axis=1)
