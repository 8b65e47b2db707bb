"""What a cache holds, one row a component: ``avemo cache ls``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.cache.shard import Shard
from pipeline.contracts import AvemoError, Status


@dataclass(frozen=True)
class Row:
    """A component's published shards together; ``component`` is their folder under the cache."""

    component: str
    ok: int
    failed: int
    frames: int
    bytes: int
    shards: int


def describe(folder: Path) -> list[Row]:
    """One row for each folder of published shards, sorted. Reads indexes only.

    Raises `AvemoError` if there is no such folder or a shard cannot be opened.
    """
    if not folder.is_dir():
        raise AvemoError(f"{folder}: expected a cache folder, found none; give its path")
    components: dict[str, list[Path]] = {}
    for path in _published(folder):
        components.setdefault(path.parent.relative_to(folder).as_posix(), []).append(path)
    return [_row(component, paths) for component, paths in sorted(components.items())]


def _published(folder: Path) -> Iterator[Path]:
    """Shards outside hidden folders, which are stores."""
    for path in sorted(folder.rglob("*.h5")):
        if not is_hidden(path, folder):
            yield path


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a folder between ``folder`` and ``path`` is hidden."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _row(component: str, paths: list[Path]) -> Row:
    ok = failed = frames = 0
    for path in paths:
        with Shard(path) as shard:
            statuses = [entry.status is Status.ok for entry in shard.index.values()]
            ok, failed = ok + sum(statuses), failed + statuses.count(False)
            frames += sum(entry.length for entry in shard.index.values())
    return Row(component, ok, failed, frames, sum(path.stat().st_size for path in paths), len(paths))
