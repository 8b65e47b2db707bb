"""Files in folders that may be links to other disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from avemo.base.contracts import AvemoError


def files_under(folder: Path, suffix: str) -> Iterator[Path]:
    """Files below ``folder`` that end so, folder by folder in order; through links too, each real folder once.

    Raises `OSError` for a folder that is closed: what is in it would be passed over.
    """
    seen: set[tuple[int, int]] = set()
    for name, folders, files in os.walk(folder, onerror=_unless_gone, followlinks=True):
        try:
            stat = os.stat(name)
        except FileNotFoundError:
            # A store at work.
            continue
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders.sort()
        yield from (Path(name, file) for file in sorted(files) if file.endswith(suffix))


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def require_file(path: Path) -> None:
    """Raise `AvemoError` for a folder, pipe or device: to open a pipe is to wait for somebody who writes to it."""
    if path.exists() and not path.is_file():
        raise AvemoError(f"{path}: expected a file, found a folder, pipe or device")


def require_folder(folder: Path) -> None:
    """Raise `AvemoError` for what is no folder."""
    if not folder.is_dir():
        found = f"a link to {folder.readlink()}, which is not there" if folder.is_symlink() else "none"
        raise AvemoError(f"{folder}: expected a cache folder, found {found}; give its path")
