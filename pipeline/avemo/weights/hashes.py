"""What weights are: the sha-256 of their bytes, recorded at first use and verified ever after."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.base.file_hashes import FileHashes, sha256_of
from avemo.base.passing import CLOSED

LEDGER = "sha256.json"
TENSORS = ".safetensors"
PARTS = (".json", TENSORS)
"""Files of a weights folder (as transformers saves one) that decide its numbers."""
ARRAYS = (".npy", ".npz", ".csv")
"""Files of a folder of imported features."""


def weights_folder() -> Path:
    """Where registered weights lie: ``AVEMO_WEIGHTS`` in the environment, else ``weights``."""
    return Path(os.environ.get("AVEMO_WEIGHTS", "weights"))


def parts_of(path: Path) -> list[Path]:
    """The files behind ``path``: itself, or a folder's configuration and tensors; of a folder without tensors its
    arrays and tables too. Empty if there is nothing."""
    if path.is_file():
        return [path]
    found = sorted(part for part in (path.iterdir() if path.is_dir() else ()) if part.is_file())
    tensors = any(part.suffix == TENSORS for part in found)
    return [part for part in found if part.suffix in (PARTS if tensors else PARTS + ARRAYS)]


def sha256_path(path: Path | str) -> str:
    """Sha-256, 64 hex digits, of a file's bytes, or of the names and hashes of a folder's `parts_of`.

    Raises `AvemoError` if there is nothing.
    """
    return _sha256_path(Path(path), sha256_of)


def _sha256_path(path: Path, hash_of: Callable[[Path], str]) -> str:
    parts = parts_of(path)
    if not parts:
        found = f"no {' or '.join(PARTS)}" if path.is_dir() else "nothing"
        raise AvemoError(
            f"weights {path}: expected a file, or a folder of {' and '.join(PARTS)}, found {found}; "
            "correct the path or fetch the weights; random ones must be asked for by name, e.g. random-seed-0"
        )
    if path.is_file():
        return hash_of(path)
    lines = "".join(f"{part.name} {hash_of(part)}\n" for part in parts)
    return hashlib.sha256(lines.encode()).hexdigest()


def check(name: str, path: Path, pinned: str | None) -> str:
    """The sha-256 of ``path``, after comparing it with the pinned or recorded one; recorded if there is none.

    Raises `AvemoError` naming file, expected and found.
    """
    found = sha256_path(path)
    expected = pinned or recorded(path.parent).get(name)
    if expected is None:
        record(path.parent, name, found)
    elif found != expected:
        known = "published" if pinned else f"recorded in {path.parent / LEDGER} at first use"
        raise AvemoError(
            f"weights {name} ({path}): expected sha-256 {expected} ({known}), found {found}; fetch the file "
            f"again, give it as a path of its own, or, if you changed it, delete its line from {LEDGER}"
        )
    return found


def recorded(folder: Path) -> dict[str, str]:
    """The hashes that first uses have recorded, by name."""
    path = folder / LEDGER
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise AvemoError(
            f"{path}: expected JSON of names to sha-256, found: {error}; restore or delete it"
        ) from error


def record(folder: Path, name: str, sha256: str) -> None:
    """Add a hash to the folder's ledger, or replace it."""
    ledger = folder / LEDGER
    try:
        with aside(ledger) as temporary:
            temporary.write_text(
                json.dumps(recorded(folder) | {name: sha256}, indent=1, sort_keys=True) + "\n"
            )
    except OSError as error:
        if error.errno not in CLOSED:
            raise
        raise AvemoError(
            f"{ledger}: expected a folder to record the hash of {name} in, found it closed to writing; "
            f"run `avemo weights verify {name}` once where it can be written"
        ) from error


def remembered_sha256(path: Path, memory: Path) -> str | None:
    """`sha256_path` for callers that ask often; ``memory`` keeps it by size and time of change.

    None if there is nothing.
    """
    if not parts_of(path):
        return None
    hashes = FileHashes(memory)
    found = _sha256_path(path.absolute(), hashes.sha256)
    hashes.save_if_changed()
    return found
