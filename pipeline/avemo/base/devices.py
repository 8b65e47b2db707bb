"""Which device a network runs on, and what waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avemo.base.contracts import AvemoError

if TYPE_CHECKING:
    import torch

AT_ONCE = ("cpu",)
"""Devices on which a look at a value costs nothing. Elsewhere it waits for all that was asked for before."""


def choose_device(name: str, key: str = "device") -> torch.device:
    """The device that a config's ``key`` names, auto being a GPU if there is one.

    Raises `AvemoError` for a GPU that is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise AvemoError(f"{key}: expected a GPU for {name!r}, found none; use 'auto' or 'cpu'")
    return torch.device(name)


def at_once(x: torch.Tensor) -> bool:
    """Whether a value can be looked at without waiting for it; what is being compiled has none."""
    import torch

    return x.device.type in AT_ONCE and not torch.compiler.is_compiling()


def sent(x: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """``x`` on ``device``; on its way to a GPU nobody waits, neither for it nor for the work before it."""
    import torch

    to = torch.device(device)
    if to.type == "cuda" and x.device.type == "cpu":
        # From pageable memory a copy waits until the GPU has come to it; what is repeated cannot be pinned as it lies.
        return x.contiguous().pin_memory().to(to, non_blocking=True)
    return x.to(to)
