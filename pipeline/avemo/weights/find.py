"""Weights of extractors: a registered name, one of the hub, a path, or random ones asked for by name.

Nothing is fetched here, and nothing stands in for a file that is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avemo.base.contracts import AvemoError
from avemo.base.registry import nearest
from avemo.weights.hashes import check, remembered_sha256, sha256_path, weights_folder
from avemo.weights.hub import hub_name
from avemo.weights.known import KNOWN

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class Weights:
    """``identity`` is what they are: the sha-256 of their bytes, or their name if they are random.

    ``path`` is None and ``seed`` a number exactly for random ones.
    """

    name: str
    identity: str
    path: Path | None = None
    seed: int | None = None

    def provenance(self) -> dict[str, str | bool]:
        """What an extractor's `provenance` says of them."""
        return {"weights": self.identity, "random_weights": self.seed is not None}


def find(weights: str) -> Weights:
    """The weights that a config asks for, hashed; registered ones are verified.

    Raises `AvemoError` naming file, expected and found, and how to get them.
    """
    seed = random_seed(weights)
    if seed is not None:
        return Weights(weights, weights, seed=seed)
    path = locate(weights)
    if hub_name(weights):
        if not path.is_dir():
            raise AvemoError(
                f"weights {weights}: expected {path}, found nothing; run `avemo weights fetch {weights}`; random ones "
                "must be asked for by name, e.g. random-seed-0"
            )
        return Weights(weights, check(weights, path, None), path)
    if weights not in KNOWN:
        if not path.exists() and not path.suffix and len(path.parts) == 1:
            raise AvemoError(
                f"weights {weights!r}: expected a path or a registered name, found neither"
                f"{nearest(weights, KNOWN) or '.'} Registered: {', '.join(KNOWN)}; random ones: random-seed-0"
            )
        return Weights(weights, sha256_path(path), path)
    if not path.exists():
        raise AvemoError(
            f"weights {weights}: expected {path}, found nothing; run `avemo weights fetch {weights}`, or put "
            f"the file there by hand ({KNOWN[weights].page}); random ones must be asked for by name, e.g. random-seed-0"
        )
    return Weights(weights, check(weights, path, KNOWN[weights].sha256), path)


def locate(weights: str) -> Path:
    """Where a registered name, a name of the hub, or a path points to; it need not exist."""
    hub = hub_name(weights)
    if hub:
        return hub.folder
    return weights_folder() / KNOWN[weights].file if weights in KNOWN else Path(weights)


def quick_identity(weights: str, memory: Path = Path(".avemo/weights.json")) -> str:
    """`Weights.identity` without loading or verifying, cheap enough for every parse of a workflow.

    Of weights that are not there (yet) it is their name.
    """
    if random_seed(weights) is not None:
        return weights
    return remembered_sha256(locate(weights), memory) or weights


def random_seed(name: str) -> int | None:
    """The seed in ``random-seed-<n>``, or None when ``name`` is something else.

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
    return load_tensors(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """As `load_state_dict`, of a file with any name."""
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    require_tensors(path, tensors)
    return tensors


def _existing(path: Path) -> Path:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise AvemoError(
            f"weights {path}: expected a file, found {found}; correct the path or fetch the weights; "
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
            "fetch it again"
        ) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises five unrelated types for damaged and for unsafe files
        raise AvemoError(
            f"weights {path}: expected a state dict of tensors, found a damaged file or a pickled "
            f"Python object ({type(error).__name__}), such as the whole modules that EmotiEffLib publishes; "
            "fetch it again, or, where you trust its source, convert it once with "
            f"`avemo weights convert {path} --allow-pickle --out {path.with_suffix('.safetensors')}`"
        ) from error


def require_tensors(path: Path, loaded: object) -> None:
    """Raise `AvemoError` unless ``loaded`` is a dictionary of names to tensors, and not empty."""
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
