"""The most operations a second that a machine shows: what it has for a network's layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.sides import CORES, Side, Work, race

SIDE = 4096
"""Rows and columns of the matrices."""
CONVOLUTION = 16, 512, 28, 3
"""Pictures, channels in and out, their side, and the kernel's."""
TITLE = f"(a product of {SIDE}² matrices or a convolution of {CONVOLUTION[1]} channels alone)"
ITEMS = 4


def product(precision: str, device: str) -> Work:
    """Two square matrices."""
    import torch

    a, b = torch.randn(2, SIDE, SIDE, device=device).to(getattr(torch, precision))
    return repeated(lambda: a @ b, 2 * SIDE**3 / 1e9)


def convolution(precision: str, device: str) -> Work:
    """Pictures as the extractors hold them, channels last."""
    import torch
    from torch.nn import functional as F

    pictures, channels, side, kernel = CONVOLUTION
    form = {"device": device, "dtype": getattr(torch, precision)}
    x = torch.randn(pictures, channels, side, side, **form).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, kernel, kernel, **form)
    operations = 2 * pictures * side**2 * channels**2 * kernel**2 / 1e9
    return repeated(lambda: F.conv2d(x, weight, padding="same"), operations)


def repeated(compute: Callable[[], Any], operations: float) -> Work:
    """Compute once an item; each output the operations of it in units of 1e9."""

    def work(items):
        for _ in items:
            float(compute().flatten()[0])  # waits for a GPU
        return [operations for _ in items]

    return work


def peak(precision: str, device: str = "cpu") -> float:
    """The faster one's operations a second in units of 1e9: a process a core, on a GPU one process."""
    processes = CORES if device == "cpu" else 1
    sides = {
        work.__name__: Side(work, (precision, device), processes=processes, threads=1)
        for work in (product, convolution)
    }
    return max(sum(timing.outputs) / timing.seconds for timing in race(sides, ITEMS).values())
