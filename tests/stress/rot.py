"""Damage published shards; `avemo cache verify` must tell which clips, the next run compute those alone."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from avemo.cache.shard import Shard
from avemo.cache.shard_writer import write_shard
from stress.arena import Arena
from stress.tally import Tally

Damage = Callable[[Path, random.Random], set[str]]
"""Damages a shard in place and returns the clips that are affected."""


def flip(path: Path, generator: random.Random) -> set[str]:
    """One bit of one clip's frames."""
    with Shard(path) as shard:
        entry = generator.choice([entry for entry in shard.index.values() if entry.length])
    with h5py.File(path, "r") as file:
        data = file["data"]
        width = data.shape[1] * data.dtype.itemsize
        frame = entry.offset + generator.randrange(entry.length)
        position = data.id.get_offset() + frame * width + generator.randrange(width)
    with path.open("r+b") as raw:
        raw.seek(position)
        old = raw.read(1)[0]
        raw.seek(position)
        raw.write(bytes([old ^ 1 << generator.randrange(8)]))
    return {entry.clip_id}


def truncate(path: Path, generator: random.Random) -> set[str]:
    """The file's end is gone."""
    with Shard(path) as shard:
        clips = set(shard.index)
    os.truncate(path, generator.randrange(path.stat().st_size))
    return clips


def replace(path: Path, _: random.Random) -> set[str]:
    """A shard of the same clips from another corpus in its place; the store still has the right one."""
    with Shard(path) as shard:
        items, info = [shard.item(name) for name in shard.index], shard.info | {"corpus": "elsewhere"}
    path.unlink()
    write_shard(path, items, info)
    return {item.clip_id for item in items}


def age(path: Path, _: random.Random) -> set[str]:
    """As a newer avemo would have written it."""
    with Shard(path) as shard:
        clips = set(shard.index)
    with h5py.File(path, "r+") as file:
        file.attrs["layout"] = np.bytes_(b"avemo-shard/9")
    return clips


DAMAGES: dict[str, Damage] = {"flipped bit": flip, "truncated": truncate, "of another corpus": replace}


def corrupt(folder: Path, rounds: int, generator: random.Random) -> Tally:
    """Damage a shard, verify, run, compare; ``rounds`` times."""
    import json

    tally, arena = Tally(), Arena(folder, clips=24, shards=2)
    arena.snakemake("features")
    arena.computed()
    shards = sorted(arena.cache.glob("compare_lld-*/*.h5"))
    expected = {path: path.read_bytes() for path in shards}
    for number in range(rounds):
        kind = list(DAMAGES)[number % len(DAMAGES)]
        path = generator.choice(shards)
        affected = DAMAGES[kind](path, generator)
        found = json.loads(_verify(arena))
        named = {clip for problem in found for clip in problem["clips"]}
        tally.expect(named == affected, f"{kind}: {sorted(affected)[:3]} damaged, {sorted(named)[:3]} named")
        arena.snakemake("features")
        computed = {line.split()[1] for line in arena.computed()}
        wanted = set() if kind == "of another corpus" else affected
        tally.expect(computed == wanted, f"{kind}: {len(wanted)} to compute, {len(computed)} computed")
        tally.expect({p: p.read_bytes() for p in shards} == expected, f"{kind}: other items after the repair")
        tally[kind] += 1
    _newer(arena, shards[0], tally, generator)
    shutil.rmtree(folder)
    return tally


def _newer(arena: Arena, path: Path, tally: Tally, generator: random.Random) -> None:
    """A store of a newer avemo is named, kept, and nothing is computed over it."""
    affected = age(path, generator)
    printed = _verify(arena)
    tally.expect(
        "newer avemo" in printed and all(clip in printed for clip in affected), "newer layout not told"
    )
    tally.expect(path.exists(), "a newer shard was deleted")
    path.unlink()
    process = arena.start_snakemake("features")
    tally.expect(process.wait() != 0 and "newer avemo" in arena.printed(), "a newer store was not refused")
    tally.expect(arena.computed() == [], "computed over a newer store")
    tally["written by a newer version"] += 1


def _verify(arena: Arena) -> str:
    process = arena.start("cache", "verify", "cache", "--json")
    process.wait()
    return arena.printed()
