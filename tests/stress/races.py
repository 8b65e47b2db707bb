"""Two writers at once, readers during writing, owners that die on pretended machines."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.cache.shard import Shard
from stress.arena import REPOSITORY, Arena
from stress.by_hand import ByHand
from stress.tally import Tally
from stress.traced import Forked

CONTENDER = """
import os, random, sys, time
from pathlib import Path
from avemo.cache.lock import Lock
from avemo.base.contracts import AvemoError
folder, machine, end = Path(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
generator = random.Random(machine)
while time.monotonic() < end:
    try:
        lock = Lock(folder, machine=machine, stale_s=1.0, beat_s=0.1)
    except AvemoError:
        time.sleep(0.003)
        continue
    inside = (folder / "inside").open("x")  # a second one inside would fail here
    print("turn", flush=True)
    time.sleep(0.02 * generator.random())
    (folder / "inside").unlink()
    if generator.random() < 0.05:
        os.kill(os.getpid(), 9)
    lock.release()
"""


def two_runs(folder: Path, rounds: int, generator: random.Random) -> Tally:
    """Two jobs on one store: one works, the other is refused with the owner's name; no clip twice."""
    tally, arena = Tally(), Arena(folder, clips=60, shards=1)
    hand = ByHand(arena)
    hand.index()
    for number in range(rounds):
        place = folder / str(number)
        command = hand.extract(0, place / "0000.h5", place / "store")
        processes = [arena.start(*command)]
        time.sleep(generator.uniform(0, 0.2))
        processes.append(arena.start(*command, printed="second.txt"))
        reads = _read_while(place / "0000.h5", processes, tally)
        codes = [process.wait() for process in processes]
        computed = [line.split()[1] for line in arena.computed()]
        tally.expect(len(computed) == len(set(computed)) == 60, f"{len(computed)} computations of 60 clips")
        refused = arena.printed() + arena.printed("second.txt")
        named = "found pid" in refused and "since 20" in refused
        tally.expect(0 in codes and (sum(codes) == 0 or named), "refused without the owner's name")
        tally["refused, the owner named"] += named
        tally["reads during writing"] += reads
        tally["two writers"] += 1
    return tally


def _read_while(path: Path, processes: list[Forked], tally: Tally) -> int:
    """Open and verify the published shard as often as possible while it is made."""
    reads = 0
    while any(process.poll() is None for process in processes):
        if not path.exists():
            time.sleep(0.002)
            continue
        try:
            with Shard(path) as shard:
                tally.expect(not shard.verify() and len(shard.index) == 60, "a reader saw half a shard")
            reads += 1
        except AvemoError as error:
            tally.expect(False, f"a reader met {error}")
    return reads


def readers(folder: Path, seconds: float) -> Tally:
    """One process publishes different items under one name for ever; this one reads and verifies."""
    import numpy as np

    from avemo.base.contracts import Status
    from avemo.cache.items import Item
    from avemo.cache.store import ShardStore

    tally, output = Tally(), folder / "0000.h5"
    folder.mkdir(parents=True)
    child = os.fork()
    if child == 0:
        number = 0
        while True:
            number += 1
            x = np.full((50, 64), number, np.float32)
            with ShardStore(folder / "store", {}) as store:
                items = [Item(f"c{i}", str(number), Status.ok, "", x, np.arange(50.0)) for i in range(8)]
                store.append(items)
                store.publish({item.clip_id: item.key for item in items}, output)
    end, seen = time.monotonic() + seconds, set()
    while time.monotonic() < end:
        if output.exists():
            with Shard(output) as shard:
                keys = {entry.key for entry in shard.index.values()}
                values = {float(v) for name in shard.index for v in np.unique(shard.read(name).x)}
                whole = not shard.verify() and len(keys) == 1 and values == {float(next(iter(keys)))}
            tally.expect(whole, "a reader saw two publications at once")
            seen |= keys
            tally["reads during writing"] += 1
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    tally["publications seen"] += len(seen)
    return tally


def machines(folder: Path, seconds: float) -> Tally:
    """Processes that pretend to be on six machines contend for one lease; some are killed holding it."""
    tally = Tally()
    folder.mkdir(parents=True)
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("pipeline", "tests"))
    environment = os.environ | {"PYTHONPATH": path}
    contenders: list[subprocess.Popen[str]] = []
    end, turns = time.monotonic() + seconds, 0

    def join(number: int) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-c",
            CONTENDER,
            str(folder),
            f"machine {number}",
            str(end - time.monotonic()),
        ]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    contenders = [join(number) for number in range(6)]
    while contenders:
        process = contenders.pop(0)
        printed, errors = process.communicate()
        turns += printed.count("turn")
        tally.expect(errors == "", f"a contender failed: {errors[-300:]}")
        if process.returncode == -signal.SIGKILL:
            tally["owners killed"] += 1
            if time.monotonic() < end - 3:
                contenders.append(join(len(contenders)))
    tally["turns, never two at once"] += turns
    return tally
