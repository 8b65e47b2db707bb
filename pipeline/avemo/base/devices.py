"""Which device a network runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avemo.base.contracts import AvemoError

if TYPE_CHECKING:
    import torch


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
