"""Ways for a process to die, struck at a random moment."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from stress.tally import Tally
from stress.traced import Forked

Way = Callable[[Forked, random.Random], None]


def send(number: signal.Signals) -> Way:
    return lambda process, _: process.send_signal(number)


def starve(process: Forked, generator: random.Random) -> None:
    """Leave the process at most 2 MiB of address space beyond what it has, often much less."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(2 ** generator.uniform(0, 21))
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))


def fill_disk(process: Forked, generator: random.Random) -> None:
    """Let no file grow beyond a random size, which the trace stays below: writes fail as on a full disk."""
    limit = int(2 ** generator.uniform(12, 17))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))


WAYS: dict[str, Way] = {
    "SIGKILL": send(signal.SIGKILL),
    "SIGTERM": send(signal.SIGTERM),
    "SIGINT": send(signal.SIGINT),
    "disk full": fill_disk,
    "out of memory": starve,
}
PATIENCE_S = 60.0
GENTLE = ("SIGTERM", "SIGINT")


def deaths(kills: int, generator: random.Random, tally: Tally) -> Iterator[str]:
    """Names of `WAYS`, each as often, until the tally has counted all; one that was survived comes again.

    So that a way which never kills ends too, there are at most three survivals for each kill.
    """
    todo = [list(WAYS)[number % len(WAYS)] for number in range(kills)]
    generator.shuffle(todo)
    for _ in range(4 * kills):
        if not todo:
            return
        how, before = todo[-1], tally[todo[-1]]
        yield how
        if tally[how] > before:
            todo.pop()
        else:
            tally["survived"] += 1
            generator.shuffle(todo)


def strike(
    process: Forked, how: str, ready: Callable[[], bool], generator: random.Random, tally: Tally
) -> bool:
    """Kill the process in a way of `WAYS` once it is ``ready``; whether it died of it.

    One that neither ends nor dies within `PATIENCE_S` is counted as hung, and ends by SIGKILL.
    """
    while process.poll() is None and not ready():
        time.sleep(0.003)
    time.sleep(generator.uniform(0, 0.05))
    if process.poll() is None:
        with suppress(ProcessLookupError):
            WAYS[how](process, generator)
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.003)
    if process.poll() is None:
        tally[f"hung, {how}"] += 1
        process.send_signal(signal.SIGKILL)
    return process.wait() != 0


def moment(how: str, generator: random.Random) -> float:
    """When to strike, as a share of the process' work; one that lacks memory does so while it still takes more."""
    return generator.uniform(0, 0.2 if how == "out of memory" else 1)


def after(seconds: float) -> Callable[[], bool]:
    """Ready when so much time has passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def kill_tree(pid: int) -> None:
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
