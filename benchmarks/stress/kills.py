"""Kill extraction, training, the report and whole workflows at random moments, and look at what is left.

Every way to die leaves a store that opens and verifies; nothing that was kept
is computed again; at most what had not been flushed is.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stress.arena import Arena
from benchmarks.stress.traced import Forked
from pipeline.cache.shard import Shard
from pipeline.cache.store import ShardStore
from pipeline.cache.verify import verify_folder

FLUSH_ITEMS = 64
"""What `pipeline.cache.fill` keeps in memory at most."""
TINY = {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}


class Tally(Counter[str]):
    """Counts by name; `expect` counts violations instead of stopping at the first."""

    def __init__(self) -> None:
        super().__init__()
        self.violations: list[str] = []
        self.table: list[list[str]] = []

    def expect(self, holds: bool, what: str) -> None:
        """Note ``what`` as violated unless it holds."""
        self["checks"] += 1
        if not holds:
            self.violations.append(what)


Way = Callable[[Forked, random.Random], None]


def send(number: signal.Signals) -> Way:
    return lambda process, _: process.send_signal(number)


def starve(process: Forked, generator: random.Random) -> None:
    """Leave the process at most 2 MiB of address space beyond what it has."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + generator.randrange(2**21)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))


def fill_disk(process: Forked, generator: random.Random) -> None:
    """Let no file grow beyond a random size: writes fail as on a full disk."""
    limit = generator.randrange(2**14, 2**19)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))


WAYS: dict[str, Way] = {
    "SIGKILL": send(signal.SIGKILL),
    "SIGTERM": send(signal.SIGTERM),
    "SIGINT": send(signal.SIGINT),
    "disk full": fill_disk,
    "out of memory": starve,
}
GENTLE = ("SIGTERM", "SIGINT")


def strike(process: Forked, how: str, ready: Callable[[], bool], generator: random.Random) -> bool:
    """Kill the process in a way of `WAYS` once it is ``ready``; whether it died of it."""
    while process.poll() is None and not ready():
        time.sleep(0.003)
    time.sleep(generator.uniform(0, 0.05))
    if process.poll() is None:
        try:
            WAYS[how](process, generator)
        except ProcessLookupError:
            process.wait()
    process.wait()
    return process.returncode != 0


def after(seconds: float) -> Callable[[], bool]:
    """Ready when so much time has passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def at_clip(arena: Arena, number: int) -> Callable[[], bool]:
    """Ready when so many clips have been begun."""
    return lambda: arena.begun() >= number


def timed(act: Callable[[], Any]) -> float:
    begin = time.monotonic()
    act()
    return time.monotonic() - begin


def kill_extraction(folder: Path, kills: int, generator: random.Random) -> Tally:
    """Kill ``avemo extract`` of one shard again and again; finish it, compare, begin anew."""
    tally, arena = Tally(), Arena(folder, clips=130, shards=1)
    index = str(arena.cache / "index.parquet")
    arena.avemo(
        *("corpus", "index", "--cfg", arena.part("corpus"), "--out", index), "--hashes", "hashes.json"
    )
    cfg = arena.part("audio")

    component = json.loads(Path(cfg).read_text())["id"]

    def output(name: str) -> Path:
        return folder / name / "table" / component / "0000.h5"

    def command(name: str) -> list[str]:
        store = folder / name / "table" / ".store" / component / "0000"
        options = ("--cfg", cfg, "--index", index, "--shard", "0", "--shards", "1")
        return ["extract", *options, "--store", str(store), "--out", str(output(name))]

    arena.avemo(*command("undisturbed"))
    arena.computed()
    expected = output("undisturbed").read_bytes()
    with Shard(output("undisturbed")) as shard:
        info, wanted = shard.info, {entry.clip_id: entry.key for entry in shard.index.values()}
    ways = _ways(kills, generator)
    while ways:
        how = ways.pop()
        held = _held(folder / "killed", info, wanted, tally)
        process = arena.start(*command("killed"))
        left = len(wanted) - len(held)
        died = strike(process, how, at_clip(arena, generator.randint(0, left)), generator)
        begun = {line.split()[1] for line in arena.computed()}
        now = _held(folder / "killed", info, wanted, tally)
        tally.expect(not begun & held, f"{how}: computed again: {sorted(begun & held)[:3]}")
        tally.expect(held <= now, f"{how}: items lost: {sorted(held - now)[:3]}")
        most = 1 if how in GENTLE else FLUSH_ITEMS
        tally.expect(len(begun - now) <= most, f"{how}: {len(begun - now)} clips in flight, at most {most}")
        tally["items lost"] += len(held - now)
        tally["clips in flight, most"] = max(tally["clips in flight, most"], len(begun - now))
        if died:
            tally[how] += 1
        else:
            ways.append(how)
        if not died or len(now) == len(wanted):
            arena.avemo(*command("killed"))
            tally.expect(output("killed").read_bytes() == expected, f"{how}: other items")
            tally["shards finished and equal"] += 1
            arena.computed()
            shutil.rmtree(folder / "killed")
    return tally


def _ways(kills: int, generator: random.Random) -> list[str]:
    ways = [list(WAYS)[number % len(WAYS)] for number in range(kills)]
    generator.shuffle(ways)
    return ways


def _held(folder: Path, info: dict[str, Any], wanted: dict[str, str], tally: Tally) -> set[str]:
    """What a store holds after it was opened and every byte of it verified."""
    stores = list(folder.glob("table/.store/*/*"))
    if not stores:
        return set()
    problems = verify_folder(folder)
    tally.expect(not problems, f"does not verify: {str(problems)[:300]}")
    with ShardStore(stores[0], info) as store:
        return wanted.keys() - set(store.missing(wanted))


def kill_training(folder: Path, kills: int, generator: random.Random) -> Tally:
    """Kill ``avemo train``; the resumed model and its predictions must be those of an undisturbed one."""
    training = {"epochs": 60, "batch_size": 8, "device": "cpu"}
    tally = Tally()
    arena = Arena(
        folder,
        clips=64,
        shards=1,
        systems={"mult": TINY},
        training=training,
        splits={"n": 1, "dev": 0.25, "test": 0.25},
    )
    labels, splits = "results/stress/data/labels.parquet", "results/stress/data/splits.json"
    arena.snakemake("features", labels, splits)
    (manifest,) = arena.cache.glob("compare_lld-*/manifest.json")
    inputs = ("--labels", labels, "--splits", splits, "--audio", str(manifest))
    cfg = arena.part("mult")

    def train(name: str) -> list[str]:
        place = ("--resume", f"{name}/resume", "--out", f"{name}/model.safetensors")
        return ["train", "--cfg", cfg, "--system", "mult", "--split", "split00", *inputs, *place]

    def predictions(name: str) -> tuple[bytes, bytes]:
        made = ("--predictions", f"{name}/p.parquet", "--scores", f"{name}/s.csv")
        arena.avemo("evaluate", "--system", "mult", *inputs, *made, f"{name}/model.safetensors")
        return (folder / name / "p.parquet").read_bytes(), (folder / name / "s.csv").read_bytes()

    lasts_s = timed(lambda: arena.avemo(*train("undisturbed")))
    expected = predictions("undisturbed")
    ways = _ways(kills, generator)
    while ways:
        how = ways.pop()
        process = arena.start(*train("killed"))
        died = strike(process, how, after(generator.uniform(0.4, 1.0) * lasts_s), generator)
        if died:
            tally[how] += 1
        else:
            ways.append(how)
        if not died or generator.random() < 0.25 or not ways:
            arena.avemo(*train("killed"))
            same = predictions("killed") == expected
            tally.expect(same, f"{how}: resumed training predicts otherwise")
            tally["resumed and equal byte for byte"] += same
            shutil.rmtree(folder / "killed")
    return tally


def kill_report(folder: Path, kills: int, generator: random.Random) -> Tally:
    """Kill ``avemo tables`` and ``avemo report``; every file there is whole, and the rerun writes the same."""
    tally = Tally()
    arena = Arena(
        folder,
        clips=32,
        shards=1,
        systems={"mult": TINY, "other": TINY},
        training={"epochs": 1, "device": "cpu"},
        splits={"n": 2, "dev": 0.25, "test": 0.25},
    )
    arena.snakemake()
    run = folder / "results" / "stress"
    page = ["report", "--run", str(run), "--out", str(run / "report.html")]
    commands = {"tables": ["tables", "--run", str(run)], "report": page}
    lasts_s = {
        name: timed(lambda command=command: arena.avemo(*command)) for name, command in commands.items()
    }
    expected = _written(run)
    tally.expect(len(expected) > 10, f"only {len(expected)} files written")
    ways = _ways(kills, generator)
    while ways:
        how, name = ways.pop(), generator.choice(list(commands))
        for path in _written(run) if generator.random() < 0.5 else ():
            path.unlink()
        process = arena.start(*commands[name])
        died = strike(process, how, after(generator.uniform(0.4, 1.0) * lasts_s[name]), generator)
        for path, content in _written(run).items():
            tally.expect(content == expected.get(path), f"{how}: {path.name} is not whole")
        tally[how] += died
        if not died:
            ways.append(how)
        for command in commands.values():
            arena.avemo(*command)
        tally.expect(_written(run) == expected, f"{how}: the rerun wrote other files")
        tally["rewritten and equal"] += 1
    return tally


def _written(run: Path) -> dict[Path, bytes]:
    files = [*(run / "tables").glob("[!.]*"), *(run / "figures").glob("[!.]*"), *run.glob("report.html")]
    return {path: path.read_bytes() for path in sorted(files)}


def kill_workflow(folder: Path, kills: int, generator: random.Random) -> Tally:
    """Kill Snakemake and its jobs together, as a node that goes down, or Snakemake alone; run it again."""
    tally, arena = Tally(), Arena(folder, clips=400, shards=4)
    lasts_s = timed(lambda: arena.snakemake("features"))
    arena.computed()
    expected = _published(arena)
    shutil.rmtree(folder / "cache")
    computed: list[str] = []
    for number in range(kills):
        how = generator.choice(["SIGKILL of all", "SIGTERM", "SIGINT"])
        process = arena.start_snakemake("features")
        time.sleep(generator.uniform(0.4, 1.0) * lasts_s)
        died = _strike_workflow(process, how)
        computed += arena.computed()
        problems = verify_folder(folder / "cache") if (folder / "cache").is_dir() else []
        tally.expect(not problems, f"{how}: does not verify: {str(problems)[:300]}")
        tally[how] += died
        arena.snakemake("--unlock")
        if not died or number == kills - 1:
            arena.snakemake("features")
            computed += arena.computed()
            tally.expect(_published(arena) == expected, f"{how}: other items")
            tally["workflows finished and equal"] += 1
            again = Counter(computed)
            most = FLUSH_ITEMS * 2 * kills
            tally.expect(
                sum(again.values()) - 400 <= most, f"{sum(again.values()) - 400} clips computed again"
            )
            tally["clips computed again"] += sum(again.values()) - 400
            shutil.rmtree(folder / "cache")
            computed = []
    return tally


def _strike_workflow(process: subprocess.Popen[bytes], how: str) -> bool:
    if process.poll() is None:
        if how == "SIGKILL of all":
            _kill_tree(process.pid)
        else:
            process.send_signal(signal.Signals[how])
    process.wait()
    return process.returncode != 0


def _kill_tree(pid: int) -> None:
    """SIGKILL to a process and all its descendants, which may have left its group."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    todo, found = [pid], []
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    for one in found:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _published(arena: Arena) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in arena.cache.glob("compare_lld-*/*.h5")}
