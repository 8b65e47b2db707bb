"""Kill a whole small workflow, from sounds to the report; run it again until it is done, and compare."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.cache.shard import Shard
from avemo.cache.verify import verify_folder
from stress.arena import TINY, Arena
from stress.deaths import kill_tree
from stress.kill_extraction import FLUSH_ITEMS
from stress.tally import Tally

CLIPS, JOBS = 160, 2
TARGET = "results/stress/report.html"
FEATURE = "egemaps"
"""Not compare_lld, which the report computes anew for the clips that it draws."""

WAYS: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
    "SIGKILL of all, as when a node goes down": lambda process: kill_tree(process.pid),
    "SIGKILL of Snakemake, its jobs go on": lambda process: process.kill(),
    "SIGTERM": lambda process: process.terminate(),
    "SIGINT of all, as Ctrl-C": lambda process: os.killpg(process.pid, signal.SIGINT),
}


def kill_workflow(folder: Path, kills: int, generator: random.Random) -> Tally:
    """``kills`` deaths, each followed by the next run on what is left."""
    tally = Tally()
    arena = Arena(
        folder,
        clips=CLIPS,
        shards=2,
        features={"audio": {"extractor": FEATURE}},
        systems={"mult": TINY},
        training={"epochs": 3, "batch_size": 16, "device": "cpu"},
        splits={"n": 1, "dev": 0.25, "test": 0.25},
    )
    begin = time.monotonic()
    arena.snakemake(TARGET)
    lasts_s = time.monotonic() - begin
    expected = _outcome(arena)
    tally.expect(len(expected) > 40, f"only {len(expected)} files to compare: {sorted(expected)}")
    _forget(arena)
    computed, run = 0, 0
    for _ in range(4 * kills):
        how = min(WAYS, key=lambda way: tally[way])
        held = _held(arena, tally)
        # In this order: what jobs that outlived Snakemake have begun until now is not this run's.
        computed += len(_extracted(arena))
        process = arena.start_snakemake(TARGET)
        # Early more often: extraction comes first.
        died = _strike(process, how, generator.uniform(0.3, 0.95) ** 2 * lasts_s)
        begun = _extracted(arena)
        again = set(begun) & held
        tally.expect(not again, f"{how}: kept clips computed again: {sorted(again)[:3]}")
        computed, run = computed + len(begun), run + 1
        tally[how] += died
        done = sum(tally[way] for way in WAYS) >= kills
        # What `snakemake --unlock` does, without its start-up.
        shutil.rmtree(arena.folder / ".snakemake" / "locks", ignore_errors=True)
        if not died or done or generator.random() < 0.25:
            arena.snakemake(TARGET)
            computed += len(_extracted(arena))
            found = _outcome(arena)
            other = [name for name in expected if found.get(name) != expected[name]]
            tally.expect(not other, f"{how}: other bytes in {other}")
            tally["workflows finished and equal"] += not other
            most = FLUSH_ITEMS * JOBS * run
            tally.expect(computed - CLIPS <= most, f"{computed - CLIPS} clips computed again, at most {most}")
            tally["clips in flight computed again"] += computed - CLIPS
            _forget(arena)
            computed, run = 0, 0
        if done:
            break
    return tally


def _strike(process: subprocess.Popen[bytes], how: str, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        WAYS[how](process)
    return process.wait() != 0


def _forget(arena: Arena) -> None:
    shutil.rmtree(arena.folder / "cache")
    shutil.rmtree(arena.folder / "results")
    arena.computed()


def _extracted(arena: Arena) -> list[str]:
    """Clips whose features were begun since last asked."""
    return [line.split()[1] for line in arena.computed() if line.startswith(FEATURE)]


def _held(arena: Arena, tally: Tally) -> set[str]:
    """Clips that the stores have kept, every byte of them verified."""
    if not (arena.folder / "cache").is_dir():
        return set()
    problems = verify_folder(arena.folder / "cache")
    tally.expect(not problems, f"does not verify: {str(problems)[:300]}")
    held: set[str] = set()
    for path in arena.cache.glob(".store/*/*/[!.]*.h5"):
        try:
            with Shard(path) as shard:
                held |= shard.index.keys()
        except AvemoError:
            # A job that outlived Snakemake may just have packed this part into another file.
            tally.expect(not path.exists(), f"does not open: {path}")
    return held


def _outcome(arena: Arena) -> dict[str, bytes]:
    """What must not depend on how often a run was killed: all but what tells how long something took."""
    results = arena.folder / "results" / "stress"
    files = [
        *arena.cache.glob(f"{FEATURE}-*/*.h5"),
        *results.glob("train/*/*/model.safetensors"),
        *(
            path
            for room in ("data", "predictions", "scores", "figures")
            for path in (results / room).iterdir()
        ),
        *(path for path in (results / "tables").iterdir() if path.stem != "costs"),
    ]
    return {str(path.relative_to(arena.folder)): path.read_bytes() for path in files}
