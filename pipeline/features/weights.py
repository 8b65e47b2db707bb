"""Weights of extractors: a local file, identified by its hash, or random ones asked for by name."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contracts import AvemoError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".safetensors", ".pt", ".pth")


def sha256_file(path: Path | str) -> str:
    """Sha-256 of a file's bytes, 64 hex digits; raises `AvemoError` if there is no such file."""
    with _existing(Path(path)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_seed(name: str) -> int | None:
    """The seed in ``random-seed-<n>``, or None when ``name`` is something else, i.e. a path.

    >>> random_seed("random-seed-7"), random_seed("weights/enet_b2_8.safetensors")
    (7, None)
    """
    match = re.fullmatch(r"random-seed-(\d+)", name, re.ASCII)
    return int(match[1]) if match else None


def load_state_dict(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a state dict in a ``.pt``/``.pth`` file, on the CPU.

    Nothing is unpickled but tensors. Raises `AvemoError` when the file is
    missing, damaged, of another kind, or holds anything besides named tensors.
    """
    path = _existing(Path(path))
    if path.suffix not in SUFFIXES:
        raise AvemoError(
            f"weights {path}: expected a file ending in {', '.join(SUFFIXES)}, "
            f"found {path.suffix or 'no ending'}; save the state dict with safetensors.torch.save_file"
        )
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    _require_tensors(path, tensors)
    return tensors


def _existing(path: Path) -> Path:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise AvemoError(
            f"weights {path}: expected a file, found {found}; correct the path or download the weights; "
            "random ones must be asked for by name, e.g. random-seed-0"
        )
    return path


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise AvemoError(
            f"weights {path}: expected a safetensors file, found damaged or other bytes ({error}); "
            "download it again"
        ) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises five unrelated types for damaged and for unsafe files
        raise AvemoError(
            f"weights {path}: expected a state dict of tensors, found a damaged file or a pickled "
            f"Python object ({type(error).__name__}), such as the whole modules that EmotiEffLib publishes; "
            "download it again, or convert it once, where you trust its source, with safetensors.torch.save_file("
            "torch.load(path, weights_only=False).state_dict(), 'converted.safetensors')"
        ) from error


def _require_tensors(path: Path, loaded: object) -> None:
    import torch

    if not isinstance(loaded, dict):
        found = f"a {type(loaded).__name__}"
    else:
        others = [str(name) for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
        found = (
            "no tensors" if not loaded else f"other values under {', '.join(others[:5])}" if others else ""
        )
    if found:
        raise AvemoError(
            f"weights {path}: expected a dictionary of names to tensors, found {found}; "
            "save the state dict alone"
        )
