"""Files of tensors: safetensors with JSON in the header, nothing unpickled, never half-written, and checked at reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError

CHECKPOINT = "checkpoint.safetensors"
SHA256 = "sha256 of tensors and meta"


def save_checkpoint(folder: Path, tensors: Mapping[str, Any], meta: dict[str, Any]) -> None:
    """Replace the folder's checkpoint by nested dictionaries of tensors and a JSON-able ``meta``.

    Killed at any moment, either the old or the new checkpoint is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / CHECKPOINT, _flatten(tensors), meta)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """``(tensors, meta)`` as saved, on the CPU; None if there is no checkpoint.

    Raises `AvemoError` if the file is damaged. Empty dictionaries do not come back.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    flat, meta = _read(path)
    return _unflatten(flat), meta


def save_model(path: Path, state: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
    """Write weights and a JSON-able ``meta`` (all that is needed to build the module again)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, dict(state), meta)


def model_meta(path: Path) -> dict[str, Any]:
    """The ``meta`` of a saved model, without reading or checking its weights."""
    return _read(path, tensors=False)[1]


def load_model(path: Path, model: nn.Module) -> dict[str, Any]:
    """Fill ``model`` with the saved weights and return their ``meta``.

    Raises `AvemoError` naming every weight that is missing, unexpected or of another shape.
    """
    state, meta = _read(path)
    wanted = model.state_dict()
    problems = [f"missing {name}" for name in sorted(wanted.keys() - state.keys())]
    problems += [f"unexpected {name}" for name in sorted(state.keys() - wanted.keys())]
    problems += [
        f"{name}: expected {tuple(wanted[name].shape)}, found {tuple(state[name].shape)}"
        for name in sorted(wanted.keys() & state.keys())
        if wanted[name].shape != state[name].shape
    ]
    if problems:
        raise AvemoError(
            f"{path}: weights of another model: {'; '.join(problems)}; build the model from this file's meta"
        )
    model.load_state_dict(state)
    return meta


def _write(path: Path, tensors: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
    # Clones, because the format refuses tensors that share memory, as tied weights do.
    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    # As reading gives it back: JSON knows neither tuples nor keys that are numbers.
    meta = json.loads(json.dumps(meta))
    signed = meta | {SHA256: _sha256(own, meta)}
    with aside(path) as temporary:
        # One key: the format writes several in random order, and equal runs should give equal bytes.
        save_file(own, temporary, metadata={"meta": json.dumps(signed, sort_keys=True)})


def _read(path: Path, *, tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise AvemoError(f"{path}: expected a saved model, found no file; train the system first")
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["meta"])
            signed = meta.pop(SHA256)
            found = {name: file.get_tensor(name) for name in (file.keys() if tensors else [])}
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise AvemoError(
            f"{path}: expected safetensors written by avemo, found a damaged or foreign file ({error}); "
            "delete it and train again"
        ) from error
    if tensors and _sha256(found, meta) != signed:
        raise AvemoError(
            f"{path}: expected the bytes that were written, found others; delete it and train again"
        )
    return found, meta


def _sha256(tensors: Mapping[str, Tensor], meta: dict[str, Any]) -> str:
    """Of all that a file holds: a flipped bit of a weight makes another model, and looks like one."""
    found = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for name, value in nested.items():
        if "/" in name:
            raise AvemoError(f"tensor name {name!r}: expected no '/', which separates levels; rename it")
        if isinstance(value, torch.Tensor):
            flat[prefix + name] = value
        else:
            flat |= _flatten(value, f"{prefix}{name}/")
    return flat


def _unflatten(flat: Mapping[str, Tensor]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *levels, last = name.split("/")
        place = nested
        for level in levels:
            place = place.setdefault(level, {})
        place[last] = value
    return nested
