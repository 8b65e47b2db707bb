"""Every byte of every shard under a folder, checked: ``avemo cache verify``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.cache.listing import is_hidden
from pipeline.cache.shard import Shard
from pipeline.contracts import AvemoError


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, or with one clip in it (else ``clip_id`` is empty)."""

    file: Path
    clip_id: str
    what: str


def verify_folder(folder: Path) -> list[Problem]:
    """Problems of all shards under ``folder``, stores included, sorted by file.

    A shard with several names (published and in its store) is read once.
    Raises `AvemoError` if there is no such folder.
    """
    if not folder.is_dir():
        raise AvemoError(f"{folder}: expected a cache folder, found none; give its path")
    aside = [Problem(path, "", "set aside as corrupt; delete it") for path in folder.rglob("*.corrupt")]
    problems = [problem for path in _distinct(folder) for problem in _verify(path)]
    return sorted(aside + problems, key=lambda problem: (problem.file, problem.clip_id))


def _distinct(folder: Path) -> Iterator[Path]:
    """One path a file, published names before those in hidden folders."""
    seen: set[tuple[int, int]] = set()
    for path in sorted(folder.rglob("*.h5"), key=lambda path: (is_hidden(path, folder), path)):
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) not in seen:
            seen.add((stat.st_dev, stat.st_ino))
            yield path


def _verify(path: Path) -> list[Problem]:
    try:
        with Shard(path) as shard:
            return [Problem(path, clip_id, "bytes differ from those written") for clip_id in shard.verify()]
    except AvemoError as error:
        return [Problem(path, "", str(error))]
