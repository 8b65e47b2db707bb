"""Two or more ways to do the same work, timed in turn on the same cores.

Our side runs as the workflow runs it, one process a core and one thread each;
the other side as a user would, in one process with the library's threads.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

CORES = 2

Work = Callable[[Sequence[int]], list[Any]]


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
WORKFLOW = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
}
"""What the workflow sets for its jobs."""


@dataclass(frozen=True)
class Side:
    """``prepare(*arguments)``, called once in each process, gives the function from items' numbers to outputs."""

    prepare: Callable[..., Work]
    arguments: tuple[Any, ...] = ()
    processes: int = 1
    threads: int = CORES
    environment: tuple[tuple[str, str], ...] = ()


def shards(prepare: Callable[..., Work], *arguments: Any) -> Side:
    """A side that runs as the workflow's shard jobs do."""
    return Side(prepare, arguments, processes=CORES, threads=1, environment=tuple(WORKFLOW.items()))


@dataclass
class Timing:
    """Best wall seconds of all rounds, and the outputs in the order of the items."""

    seconds: float
    outputs: list[Any]


def race(sides: Mapping[str, Side], items: int, rounds: int = 3) -> dict[str, Timing]:
    """Time each side on items ``0 .. items - 1``, round by round; each process has done item 0 before."""
    with ExitStack() as stack:
        pools = {name: stack.enter_context(_pool(side)) for name, side in sides.items()}
        found = {name: Timing(math.inf, []) for name in sides}
        for _ in range(rounds):
            for name, pool in pools.items():
                step = sides[name].processes
                parts = [range(first, items, step) for first in range(step)]
                begin = time.perf_counter()
                done = list(pool.map(_work, parts))
                found[name].seconds = min(found[name].seconds, time.perf_counter() - begin)
                outputs: list[Any] = [None] * items
                for part, of_part in zip(parts, done, strict=True):
                    outputs[part.start :: part.step] = of_part
                found[name].outputs = outputs
    return found


_prepared: list[Work] = []


def _pool(side: Side) -> ProcessPoolExecutor:
    """Processes that are warm and wait."""
    ours = dict.fromkeys(THREADS, str(side.threads)) | dict(side.environment)
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)  # numerical libraries read it as a process starts
    pool = ProcessPoolExecutor(
        side.processes, multiprocessing.get_context("spawn"), _start, (side.prepare, side.arguments)
    )
    list(pool.map(time.sleep, [3.0] * side.processes))  # a process is started for each waiting task
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    return pool


def _start(prepare: Callable[..., Work], arguments: tuple[Any, ...]) -> None:
    _prepared.append(prepare(*arguments))
    _prepared[0]([0])


def _work(items: Sequence[int]) -> list[Any]:
    return _prepared[0](items)
