"""Folders of a cache that no config refers to any more: ``avemo cache gc``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.cache.lock import Lock

STORES = ".store"


@dataclass(frozen=True)
class Garbage:
    """A corpus' component that can go: its published shards and its store, and what they take."""

    corpus: str
    component: str
    folders: tuple[Path, ...]
    bytes: int


def find_garbage(cache: Path, used: Mapping[str, set[str]]) -> list[Garbage]:
    """Components under ``cache`` that are not in ``used`` (corpus id to component ids), sorted.

    Raises `AvemoError` if there is no such folder.
    """
    if not cache.is_dir():
        raise AvemoError(f"{cache}: expected a cache folder, found none; give its path")
    found = []
    for corpus in sorted(path for path in cache.iterdir() if (path / STORES).is_dir()):
        for component in sorted(_components(corpus) - used.get(corpus.name, set())):
            folders = tuple(
                path for path in (corpus / component, corpus / STORES / component) if path.is_dir()
            )
            found.append(Garbage(corpus.name, component, folders, _bytes(folders)))
    return found


def delete(garbage: Garbage) -> None:
    """Remove it. Raises `AvemoError` naming the owner if a job writes to it."""
    stores = [path for folder in garbage.folders for path in folder.iterdir() if path.is_dir()]
    for store in stores:
        Lock(store).release()
    for folder in garbage.folders:
        shutil.rmtree(folder)


def _components(corpus: Path) -> set[str]:
    """Names that have a store: other folders, such as logs, are no components."""
    return {path.name for path in (corpus / STORES).iterdir() if path.is_dir()}


def _bytes(folders: tuple[Path, ...]) -> int:
    """Room on disk; a file with two names counts once."""
    files = [path.stat() for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in files}.values())
