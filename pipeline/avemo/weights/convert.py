"""State dicts and pickled modules to safetensors, the one form that needs no trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.weights.find import load_state_dict, locate, require_tensors
from avemo.weights.hashes import record, sha256_path
from avemo.weights.known import KNOWN

if TYPE_CHECKING:
    from torch import Tensor


def convert(source: Path, out: Path, *, allow_pickle: bool = False) -> int:
    """Write the tensors of ``source`` as safetensors, under the names they have; returns how many.

    ``source`` is a state dict; with ``allow_pickle`` also a pickled module, whose
    unpickling runs whatever code its author put there. The header of ``out``
    holds the sha-256 of ``source``. A registered file's hash is recorded anew.
    """
    if out.suffix != ".safetensors":
        raise AvemoError(f"{out}: expected a name ending in .safetensors, found {out.suffix or 'no ending'}")
    tensors = _unpickled(source) if allow_pickle else load_state_dict(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, out, {"meta": json.dumps({"converted_from_sha256": sha256_path(source)})})
    for name in KNOWN:
        if locate(name).absolute() == out.absolute():
            record(out.parent, name, sha256_path(out))
    return len(tensors)


def save_tensors(tensors: Mapping[str, Tensor], out: Path, header: dict[str, str]) -> None:
    """Write tensors as safetensors, whole or not at all. A header of two entries would have either order."""
    from safetensors.torch import save_file

    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with aside(out) as temporary:
        save_file(own, temporary, metadata=header)


def _unpickled(source: Path) -> dict[str, Tensor]:
    import torch
    from torch import nn

    sha256_path(source)
    try:
        loaded: Any = torch.load(source, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as error:
        raise AvemoError(
            f"weights {source}: expected a pickled module of libraries installed here, found one of others "
            f"({error}); convert it where its author's versions are installed"
        ) from error
    except Exception as error:  # unpickling may raise anything
        raise AvemoError(
            f"weights {source}: expected a pickled module or state dict, found {type(error).__name__}: {error}; "
            "fetch it again"
        ) from error
    tensors = loaded.state_dict() if isinstance(loaded, nn.Module) else loaded
    if isinstance(tensors, dict) and isinstance(tensors.get("state_dict"), dict):
        tensors = tensors["state_dict"]
    require_tensors(source, tensors)
    return tensors
