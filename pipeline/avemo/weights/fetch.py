"""Getting published weights onto the disk, only when asked."""

from __future__ import annotations

import urllib.error
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.weights.find import locate
from avemo.weights.hashes import check
from avemo.weights.known import KNOWN, KnownWeights


def fetch(name: str) -> Path:
    """Download registered weights into the weights folder, and return what lies there now.

    For weights published as pickled objects that is the published file, which
    `avemo.weights.convert` must still turn into the one extractors read. Raises `AvemoError`
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


def describe(name: str) -> dict[str, Any]:
    """A registered network's record, with where its file would lie and whether it does."""
    known, path = KNOWN[name], locate(name)
    return {"name": name, "path": str(path), "present": path.exists(), **asdict(known)}
