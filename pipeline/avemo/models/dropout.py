"""Dropout whose coins are cheap on a CPU: four 16-bit coins from one 64-bit draw.

`torch.nn.functional.dropout` draws a double for every element there, which costs more than the
matrix products around it. Probabilities are multiples of 2^-16; the scale is exact for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FACES = 2**16


def toss(shape: Sequence[int]) -> Tensor:
    """Coins of that shape from torch's global CPU generator: int16, uniform over all values."""
    count = 1
    for size in shape:
        count *= size
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return draws.view(torch.int16)[:count].view(*shape)


def keep(coins: Tensor, probability: float, *, out: Tensor | None = None) -> Tensor:
    """float32 mask: 0 with ``probability`` (rounded to 2^-16), else 1 / (1 - probability)."""
    losing = round(probability * FACES)
    mask = torch.empty(coins.shape) if out is None else out
    torch.ge(coins, losing - FACES // 2, out=mask)
    return mask.mul_(FACES / (FACES - losing))


class Dropout(nn.Module):
    """Zero each element with ``probability`` in training and scale the others up."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Like ``x``. On a GPU it is PyTorch's own."""
        if not self.training or not self.probability:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.probability)
        return x * keep(toss(x.shape), self.probability).to(x.dtype)
