"""Several processes that begin together; where one of them fails or dies, nobody waits for it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty
from threading import BrokenBarrierError
from typing import Any

LIMIT_S = 150.0
"""What they may take until all are ready, and again until all are done."""
LEAVE_S = 5.0
POLL_S = 0.05


def at_once(work: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> tuple[list[Any], float]:
    """What ``work(*each, gate)`` returns in a process for each of ``given``, and the seconds from when all were ready.

    ``gate`` is a barrier at which each waits when it is ready. Raises `RuntimeError` with what one that fails has told,
    or that one has died, and `TimeoutError`.
    """
    context = multiprocessing.get_context("spawn")
    gate, told = context.Barrier(len(given) + 1), context.Queue()
    pool = [context.Process(target=_run, args=(work, each, gate, told), daemon=True) for each in given]
    for process in pool:
        process.start()
    try:
        until_s = time.monotonic() + LIMIT_S
        while gate.n_waiting < len(pool) and not gate.broken:
            if _dead(pool) or time.monotonic() > until_s:
                gate.abort()
            time.sleep(POLL_S)
        # Broken by one that has failed: what it has told is read below.
        with suppress(BrokenBarrierError):
            gate.wait()
        begin, until_s = time.perf_counter(), time.monotonic() + (1 if gate.broken else LIMIT_S)
        return [_answer(told, pool, until_s) for _ in pool], time.perf_counter() - begin
    finally:
        gate.abort()
        until_s = time.monotonic() + LEAVE_S
        for process in pool:
            process.join(max(0.0, until_s - time.monotonic()))
            if process.is_alive():
                process.kill()


def _run(work: Callable[..., Any], given: tuple[Any, ...], gate: Any, told: Any) -> None:
    try:
        told.put((True, work(*given, gate)))
    except BrokenBarrierError:
        # Another one has failed, and says why.
        return
    except Exception as error:
        told.put((False, f"{type(error).__name__}: {error}"))
        gate.abort()
        raise


def _answer(told: Any, pool: Sequence[Any], until_s: float) -> Any:
    """The next answer of any process; where one has died, it may have told before."""
    while True:
        dead = _dead(pool)
        with suppress(Empty):
            is_found, answer = told.get(timeout=1)
            if not is_found:
                raise RuntimeError(f"a process: {answer}")
            return answer
        if dead:
            raise RuntimeError(f"a process died, exit code {dead[0]}")
        if time.monotonic() > until_s:
            raise TimeoutError(f"{len(pool)} processes: not done in time")


def _dead(pool: Sequence[Any]) -> list[int]:
    """Exit codes of those that were killed or have failed."""
    return [process.exitcode for process in pool if process.exitcode]
