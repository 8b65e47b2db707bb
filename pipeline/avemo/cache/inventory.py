"""What a cache holds, one row a component: ``avemo cache ls``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avemo.base.contracts import Status
from avemo.cache.folders import files_under, require_folder
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import Entry, fingerprint


@dataclass(frozen=True)
class Row:
    """A component's published shards together; ``component`` is their folder under the cache.

    ``key`` is the first digits of the fingerprint of all its items' keys;
    ``age_h`` counts from the newest shard; ``kept_bytes`` are in stores
    besides what is published: replaced items and parts of unfinished shards.
    """

    component: str
    ok: int
    failed: int
    frames: int
    dtype: str
    bytes: int
    kept_bytes: int
    shards: int
    key: str
    age_h: float


def describe(folder: Path) -> list[Row]:
    """One row for each folder of published shards, sorted. Reads indexes only.

    Raises `AvemoError` if there is no such folder or a shard cannot be opened.
    """
    require_folder(folder)
    components: dict[Path, list[Path]] = {}
    for path in _published(folder):
        components.setdefault(path.parent, []).append(path)
    return [_row(folder, component, paths) for component, paths in sorted(components.items())]


def _published(folder: Path) -> Iterator[Path]:
    """Shards outside hidden folders, which are stores."""
    for path in sorted(files_under(folder, ".h5")):
        if not is_hidden(path, folder):
            yield path


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a folder between ``folder`` and ``path`` is hidden."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _row(folder: Path, component: Path, paths: list[Path]) -> Row:
    entries: list[Entry] = []
    dtypes: set[str] = set()
    for path in paths:
        with Shard(path) as shard:
            entries += shard.index.values()
            dtypes.add(shard.dtype)
    stats = [path.stat() for path in paths]
    ok = sum(entry.status is Status.ok for entry in entries)
    return Row(
        component=component.relative_to(folder).as_posix(),
        ok=ok,
        failed=len(entries) - ok,
        frames=sum(entry.length for entry in entries),
        dtype="/".join(sorted(dtypes)),
        bytes=sum(stat.st_size for stat in stats),
        kept_bytes=_kept_bytes(component, {stat.st_ino for stat in stats}),
        shards=len(paths),
        key=fingerprint(entries)[:8],
        age_h=round((time.time() - max(stat.st_mtime for stat in stats)) / 3600, 1),
    )


def _kept_bytes(component: Path, published: set[int]) -> int:
    store = component.parent / ".store" / component.name
    stats = [path.stat() for path in files_under(store, ".h5")]
    return sum(stat.st_size for stat in stats if stat.st_ino not in published)
