"""Operations a second of a large matrix product: what a machine has for a network's layers."""

from __future__ import annotations

from benchmarks.sides import CORES, Side, Work, race

SIDE = 4096
"""Rows and columns of the matrices."""
TITLE = f"(a product of {SIDE}² matrices)"
ITEMS = 4


def products(precision: str, device: str) -> Work:
    """Products of two square matrices."""
    import torch

    a, b = torch.randn(2, SIDE, SIDE, device=device).to(getattr(torch, precision))
    return lambda items: [float((a @ b)[0, 0]) for _ in items]


def largest(precision: str, device: str = "cpu") -> float:
    """Operations a second in units of 1e9, a process a core; on a GPU one process."""
    processes = CORES if device == "cpu" else 1
    side = Side(products, (precision, device), processes=processes, threads=1)
    return ITEMS * 2 * SIDE**3 / race({"": side}, ITEMS)[""].seconds / 1e9
