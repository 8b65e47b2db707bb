"""Averages over many rectangles of many frames, read from integral images (Crow, SIGGRAPH 1984)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor


class Integral:
    """The frames of a batch, ``(n, height, width, 3)`` uint8, summed once.

    Sums are 32 bits wide and wrap around in frames of more than 8 million
    pixels; differences of them are right for any rectangle below that size.
    """

    def __init__(self, frames: np.ndarray, device: torch.device):
        self.frames, self.height, self.width = frames.shape[:3]
        sums = summed(frames) if device.type == "cpu" else summed_on(frames, device)
        self._sums = sums.view(-1, 3)

    def shrunk(self, frame: Tensor, rectangles: Tensor, size: tuple[int, int]) -> Tensor:
        """``(N, 3, *size)``: means over a grid of each of ``rectangles (N, 4)``, ``x0, y0, x1, y1`` of ``frame (N,)``.

        The grid is that of `torch.nn.functional.interpolate` with mode
        ``area``: cells share the pixels that their borders cut.
        """
        left, right = _cells(rectangles[:, 0], rectangles[:, 2], size[1])
        above, below = _cells(rectangles[:, 1], rectangles[:, 3], size[0])

        def corner(y: Tensor, x: Tensor) -> Tensor:
            row = frame[:, None] * (self.height + 1) + y
            place = row[:, :, None] * (self.width + 1) + x[:, None, :]
            return self._sums.index_select(0, place.flatten()).view(*place.shape, 3)

        total = corner(below, right) - corner(above, right) - corner(below, left) + corner(above, left)
        area = (below - above)[:, :, None] * (right - left)[:, None, :]
        return (total / area[..., None]).permute(0, 3, 1, 2)


def summed(frames: np.ndarray) -> Tensor:
    """Sums ``(n, height + 1, width + 1, 3)`` int32 over all pixels above and left of each corner."""
    count, height, width = frames.shape[:3]
    sums = np.empty((count, height + 1, width + 1, 3), np.int32)
    for frame, into in zip(frames, sums, strict=True):
        cv2.integral(frame, into)
    return torch.from_numpy(sums)


def summed_on(frames: np.ndarray, device: torch.device) -> Tensor:
    """The same numbers, made on ``device``: pixels travel there as bytes, a quarter of their sums."""
    pixels = torch.from_numpy(frames).to(device)
    sums = torch.zeros(
        len(pixels), frames.shape[1] + 1, frames.shape[2] + 1, 3, dtype=torch.int32, device=device
    )
    sums[:, 1:, 1:] = pixels.cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    return sums


def _cells(begin: Tensor, end: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """First pixel and the one after the last of each of ``count`` cells: ``(N, count)`` each."""
    number = torch.arange(count, device=begin.device)
    length = (end - begin)[:, None]
    return begin[:, None] + number * length // count, begin[:, None] - (-(number + 1) * length // count)
