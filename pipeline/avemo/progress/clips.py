"""How many clips of a component are computed, by what its shards and stores hold. Reads indexes only."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.base.keys import item_key, shard_of
from avemo.cache.shard import Shard
from avemo.index.clip_table import read_table
from avemo.progress.shard_records import Keys, read_record
from avemo.study.layout import Layout

Clips = dict[str, tuple[str, str]]
"""The keys of each clip's sound and pictures, by clip id."""
MODALITIES = ("audio", "visual")
State = tuple[Path, int, int]
"""A file as it was seen: its path, time and size."""


def indexed_clips(layout: Layout, shards: int) -> list[Clips] | None:
    """Clips of the clip table by shard; None while there is none."""
    state = _state(layout.index)
    return _indexed(state, shards) if state else None


def done_clips(layout: Layout, component: str, shard: int, shards: int) -> int:
    """How many clips of a shard are held, failed ones too, with the keys they have by now.

    Where no job has said what its keys are made of, a clip counts by its id. Raises `AvemoError` without a clip table.
    """
    index = _state(layout.index)
    if index is None:
        raise AvemoError(f"{layout.index}: expected a clip table, found none; make it first")
    states = map(_state, [*layout.store(component, shard).glob("*.h5"), layout.shard(component, shard)])
    files = tuple(sorted(state for state in states if state))
    return _done(index, shards, shard, files, _chain(layout, component, shard)) if files else 0


def held_pairs(path: Path) -> set[tuple[str, str]]:
    """Clip ids with their keys in a shard file; none if it cannot be read."""
    try:
        with Shard(path) as file:
            return {(entry.clip_id, entry.key) for entry in file.index.values()}
    except AvemoError:
        # As for the job itself: what cannot be read is missing. Or a job has just replaced this part.
        return set()


def _chain(layout: Layout, component: str, shard: int) -> tuple[Keys, ...]:
    """What the component's keys are made of, after those of the component it reads; empty if any is not known."""
    keys = read_record(layout.store(component, shard), Keys)
    if keys is None or not keys.upstream:
        return (keys,) if keys else ()
    before = _chain(layout, keys.upstream, shard)
    return (*before, keys) if before else ()


@cache
def _done(index: State, shards: int, shard: int, files: tuple[State, ...], chain: tuple[Keys, ...]) -> int:
    clips = _indexed(index, shards)[shard]
    held = set().union(*(held_pairs(path) for path, *_ in files))
    if not chain:
        return len(clips.keys() & {clip_id for clip_id, _ in held})
    return sum((clip_id, _key(media, chain)) in held for clip_id, media in clips.items())


def _key(media: tuple[str, str], chain: tuple[Keys, ...]) -> str:
    """The key of a clip's item of the last component."""
    upstream: list[str] = []
    for keys in chain:
        upstream = [item_key(media[MODALITIES.index(keys.modality)], keys.key_part, upstream)]
    return upstream[0]


@lru_cache(maxsize=8)
def _indexed(index: State, shards: int) -> list[Clips]:
    found: list[Clips] = [{} for _ in range(shards)]
    for row in read_table(index[0]):
        sound, pictures = map(row.media_key, MODALITIES)
        found[shard_of(row.clip_id, shards)][row.clip_id] = sound, pictures
    return found


def _state(path: Path) -> State | None:
    """None if there is no such file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return path, stat.st_mtime_ns, stat.st_size
