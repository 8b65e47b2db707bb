"""How many clips of a component are computed, by what its shards and stores hold. Reads indexes only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.base.keys import shard_of
from avemo.cache.shard import Shard
from avemo.index.clip_table import read_table
from avemo.study.layout import Layout


def held_clips(layout: Layout, component: str, shard: int) -> set[str]:
    """Ids of the clips that the shard's store or its published file holds, failed ones too.

    A clip counts by its id: whether its media are still those it was computed
    from is what only the job, which has its key, can tell.
    """
    published = layout.shard(component, shard)
    files = [*layout.store(component, shard).glob("*.h5"), *([published] if published.is_file() else [])]
    return set().union(*map(ids_in, files)) if files else set()


def ids_in(path: Path) -> set[str]:
    """Ids of the clips in a shard file; none if it cannot be read."""
    try:
        with Shard(path) as file:
            return set(file.index)
    except AvemoError:
        # As for the job itself: what cannot be read is missing. Or a job has just replaced this part.
        return set()


def indexed_clips(layout: Layout, shards: int) -> list[set[str]] | None:
    """Ids of the clip table by shard; None while there is none."""
    if not layout.index.is_file():
        return None
    return _indexed(layout.index, shards, layout.index.stat().st_mtime_ns)


@cache
def _indexed(index: Path, shards: int, mtime_ns: int) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in range(shards)]
    for row in read_table(index):
        found[shard_of(row.clip_id, shards)].add(row.clip_id)
    return found
