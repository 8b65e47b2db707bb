"""Networks of Hugging Face's hub by name and revision: ``hub:owner/name@revision``.

`avemo weights fetch` brings one into the weights folder, as configuration and safetensors; nothing else goes online.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from avemo.base.atomic import aside_folder
from avemo.base.contracts import AvemoError, ConfigError
from avemo.weights.hashes import check, weights_folder

PREFIX = "hub:"
PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json", "README.md")
"""What is fetched beside tensors, where there is any of it."""
TENSORS, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"


@dataclass(frozen=True)
class HubName:
    """A repository and its revision."""

    repository: str
    revision: str

    @property
    def folder(self) -> Path:
        """Where it lies; it need not exist."""
        return weights_folder() / "hub" / f"{self.repository.replace('/', '--')}@{self.revision}"


def hub_name(weights: str) -> HubName | None:
    """What ``hub:owner/name@revision`` names; None for anything without ``hub:``.

    Raises `ConfigError` where there is no revision: a branch's head changes.

    >>> hub_name("hub:microsoft/wavlm-large@c1423ed").folder.name
    'microsoft--wavlm-large@c1423ed'
    """
    if not weights.startswith(PREFIX):
        return None
    match = re.fullmatch(rf"hub:({PART}/{PART}|{PART})@({PART})", weights, re.ASCII)
    if match is None:
        raise ConfigError(
            f"weights {weights!r}: expected hub:owner/name@revision, found another form; name the commit that its "
            "page on the hub shows under 'Files', so that the same bytes are read tomorrow"
        )
    return HubName(match[1], match[2])


def fetch_hub(weights: str) -> Path:
    """Download a network's configuration and tensors to its folder, which appears whole; hashed at first use.

    Where only pickled tensors are published they become safetensors; no other object is unpickled. Raises
    `AvemoError` when the hub does not answer, has no such revision, or the network has no tensors.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name = hub_name(weights)
    if name is None:
        raise ConfigError(f"weights {weights!r}: expected hub:owner/name@revision")
    folder = name.folder
    if not folder.is_dir():
        try:
            files = HfApi().list_repo_files(name.repository, revision=name.revision)
            with aside_folder(folder, new=True) as temporary:
                for file in _wanted(weights, files):
                    hf_hub_download(name.repository, file, revision=name.revision, local_dir=temporary)
                _convert(temporary)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            # Unless another who shares the folder was first: what stands there is whole.
            if not folder.is_dir():
                detail = " ".join(str(error).split())[:300]
                raise AvemoError(
                    f"{weights}: expected to be fetched to {folder}, found {type(error).__name__}: {detail}; "
                    "go online (and unset HF_HUB_OFFLINE), or bring the files there by hand"
                ) from error
    check(weights, folder, None)
    return folder


def _wanted(weights: str, files: list[str]) -> list[str]:
    """The configuration, and one set of tensors: a repository often has several of the same."""
    wanted = [file for file in CONFIGURATION if file in files]
    if TENSORS in files:
        return [*wanted, TENSORS]
    if INDEX in files:
        return [
            *wanted,
            INDEX,
            *(file for file in files if re.fullmatch(r"model-\d+-of-\d+\.safetensors", file)),
        ]
    if PICKLED in files:
        return [*wanted, PICKLED]
    raise AvemoError(
        f"{weights}: expected {TENSORS} or {PICKLED}, found {', '.join(sorted(files)[:20])}; "
        "take a revision that has one"
    )


def _convert(folder: Path) -> None:
    """Pickled tensors to safetensors, which alone stay."""
    from avemo.weights.convert import save_tensors
    from avemo.weights.find import load_tensors

    if (folder / PICKLED).is_file():
        # The header that transformers asks for.
        save_tensors(load_tensors(folder / PICKLED), folder / TENSORS, {"format": "pt"})
        (folder / PICKLED).unlink()
