"""Pictures as they are displayed: turned and mirrored by their matrix, their pixels made square."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import numpy as np

UPRIGHT = (1, 0, 0, 1)
WIDEST = 10
"""Pixels wider or narrower than this are a writer's error, and are taken for square."""


def orientation(frame: Any) -> tuple[int, int, int, int]:
    """``(a, b, c, d)`` of a libav frame: x' = a x + c y, y' = b x + d y with y downwards, to the nearest right angle.

    >>> nearest((0.1, -0.9, 0.9, 0.1))
    (0, -1, 1, 0)
    """
    from av.sidedata.sidedata import Type

    try:
        matrix = struct.unpack("=9i", bytes(frame.side_data[Type.DISPLAYMATRIX]))
    except KeyError:
        return UPRIGHT
    except ValueError:
        # PyAV knows no name for some other side data of this frame, and gives none of them.
        turn = np.exp(1j * np.radians(frame.rotation))
        return nearest((turn.real, -turn.imag, turn.imag, turn.real))
    return nearest((matrix[0], matrix[1], matrix[3], matrix[4]))


def nearest(matrix: tuple[float, ...]) -> tuple[int, int, int, int]:
    """The turn, mirrored or not, that a matrix comes nearest to."""
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)
    return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)


def is_mirrored(matrix: tuple[int, int, int, int]) -> bool:
    """Whether left and right, or top and bottom, change places."""
    a, b, c, d = matrix
    return a * d - b * c < 0


def shown_size(width: int, height: int, pixels: Fraction | None) -> tuple[int, int]:
    """Width and height of a picture whose pixels are ``pixels`` times as wide as high, made square.

    >>> shown_size(240, 320, Fraction(4, 3)), shown_size(720, 480, Fraction(8, 9)), shown_size(9, 9, None)
    ((320, 320), (640, 480), (9, 9))
    """
    if not pixels or not Fraction(1, WIDEST) <= pixels <= WIDEST:
        return width, height
    return max(1, round(width * pixels)), height


def displayed(frame: Any, pixels: Fraction | None, half: str = "") -> np.ndarray:
    """A libav frame as ``(height, width, 3)`` uint8 RGB, the way a player shows it, or the ``left`` or ``right`` half of that."""
    width, height = shown_size(frame.width, frame.height, pixels)
    stored = frame.to_ndarray(format="rgb24", width=width, height=height)
    a, b, c, d = orientation(frame)
    across, down = (a, d) if a else (c, b)
    turned = stored if a else stored.transpose(1, 0, 2)
    return np.ascontiguousarray(half_of(turned[::down, ::across], half))


def half_of(picture: np.ndarray, half: str) -> np.ndarray:
    """The ``left`` or ``right`` half of ``(height, width, 3)``, without the middle column of an odd width; "": all of it."""
    width = picture.shape[1]
    if half == "left":
        return picture[:, : width // 2]
    return picture[:, width - width // 2 :] if half == "right" else picture
