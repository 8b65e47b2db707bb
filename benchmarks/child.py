"""Work in a process of its own, and the memory it took there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from avemo.cli.options import use_threads

THREADS = 2


def in_a_child(work: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """What ``work(*arguments)`` returns in a fresh process with two threads, and that process' peak memory in MB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, int]:
    use_threads(THREADS)
    returned = work(*arguments)
    # Not getrusage: that starts from the memory of the process that started this one.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return returned, round(int(fields["VmHWM"].split()[0]) / 1024)
