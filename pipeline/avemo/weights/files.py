"""Getting weights onto the disk: fetching, only when asked, and converting what is not safetensors."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.weights.find import load_state_dict, locate, require_tensors
from avemo.weights.hashes import check, record, sha256_path
from avemo.weights.known import KNOWN, KnownWeights

if TYPE_CHECKING:
    from torch import Tensor


def fetch(name: str) -> Path:
    """Download registered weights into the weights folder, and return what lies there now.

    For weights published as pickled objects that is the published file, which
    `convert` must still turn into the one extractors read. Raises `AvemoError`
    when the source does not answer or the bytes are not the published ones.
    """
    known, path = KNOWN[name], locate(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if known.hub:
        for file in known.hub_files:
            _fetch_hub(known, file, path)
        check(name, path, known.sha256)
        return path
    original = path.parent / known.url.rsplit("/", 1)[-1]
    _fetch_url(known.url, original)
    check(name if original == path else original.name, original, None if known.pickled else known.sha256)
    return original


def _fetch_hub(known: KnownWeights, file: str, folder: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        hf_hub_download(known.hub, file, revision=known.revision, local_dir=folder)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise _unreachable(f"{known.hub}@{known.revision}/{file}", folder / file, error) from error


def _fetch_url(url: str, path: Path) -> None:
    import torch

    try:
        with aside(path) as temporary:
            torch.hub.download_url_to_file(url, str(temporary), progress=False)
    except (urllib.error.URLError, OSError) as error:
        raise _unreachable(url, path, error) from error


def _unreachable(source: str, path: Path, error: Exception) -> AvemoError:
    detail = " ".join(str(error).split())[:300]
    return AvemoError(
        f"{source}: expected to be fetched to {path}, found {type(error).__name__}: {detail}; "
        "go online (and unset HF_HUB_OFFLINE), or bring the file there by hand"
    )


def convert(source: Path, out: Path, *, allow_pickle: bool = False) -> int:
    """Write the tensors of ``source`` as safetensors, under the names they have; returns how many.

    ``source`` is a state dict; with ``allow_pickle`` also a pickled module, whose
    unpickling runs whatever code its author put there. The header of ``out``
    holds the sha-256 of ``source``. A registered file's hash is recorded anew.
    """
    from safetensors.torch import save_file

    if out.suffix != ".safetensors":
        raise AvemoError(f"{out}: expected a name ending in .safetensors, found {out.suffix or 'no ending'}")
    tensors = _unpickled(source) if allow_pickle else load_state_dict(source)
    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with aside(out) as temporary:
        save_file(
            own, temporary, metadata={"meta": json.dumps({"converted_from_sha256": sha256_path(source)})}
        )
    for name in KNOWN:
        if locate(name).absolute() == out.absolute():
            record(out.parent, name, sha256_path(out))
    return len(own)


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


def describe(name: str) -> dict[str, Any]:
    """A registered network's record, with where its file would lie and whether it does."""
    known, path = KNOWN[name], locate(name)
    from dataclasses import asdict

    return {"name": name, "path": str(path), "present": path.exists(), **asdict(known)}
