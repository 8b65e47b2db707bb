"""Sound as networks of raw samples take it: normalised as it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from avemo.base.frames import blocks

VARIANCE_FLOOR = 1e-7


@dataclass(frozen=True)
class Wave:
    """A signal ``(samples,)`` that is normalised as it is read."""

    signal: np.ndarray
    mean: float = 0.0
    std: float = 1.0

    def cut(self, begin: int, end: int) -> Any:
        """Samples ``begin`` to ``end``, normalised, as a tensor."""
        import torch

        part = self.signal[begin:end] - np.float32(self.mean)
        return torch.from_numpy(part / np.float32(self.std))


def utterance_statistics(signal: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of ``signal (samples,)``, as transformers' preprocessor: √(variance + 1e-7)."""
    total = power = 0.0
    for block in blocks(signal):
        total += float(block.sum(dtype=np.float64))
        power += float(np.square(block, dtype=np.float64).sum())
    mean = total / len(signal)
    return mean, math.sqrt(max(0.0, power / len(signal) - mean**2) + VARIANCE_FLOOR)
