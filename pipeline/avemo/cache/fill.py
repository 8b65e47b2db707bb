"""Compute what a store lacks, keeping what is done whatever happens."""

from __future__ import annotations

import errno
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from avemo.base.contracts import AvemoError, ClipFailure, FeatureSequence, MachineError, Status
from avemo.base.passing import EXHAUSTED, FULL, PASSING, is_passing, number_of, patiently
from avemo.cache.items import Item, storable
from avemo.cache.store import ShardStore, Wanted

FLUSH_BYTES = 128 * 2**20
"""Frames held at most before they are kept."""


@dataclass(frozen=True)
class Summary:
    """Clips computed now (failed ones too) and found already done; all wanted failures, by id."""

    computed: int
    reused: int
    failed: dict[str, ClipFailure]


def fill(
    store: ShardStore,
    wanted: Wanted,
    compute: Callable[[str], FeatureSequence],
    *,
    flush_s: float = 20.0,
    flush_items: int = 64,
    at_once: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Compute exactly the missing clips, in order of id, keeping them every ``flush_s`` seconds; after each, ``progress``
    is told how many of them are done. ``at_once`` clips are computed at a time, each by a thread; few wait to be kept.

    An `AvemoError` of ``compute``, and frames that cannot be stored (NaN, say),
    are recorded as the clip's failure, unless the machine ran out of something. Any other exception, Ctrl-C and SIGTERM
    end the fill after keeping what is done; a SIGKILL loses what came after the
    last flush.
    """
    todo = store.missing(wanted)

    def made(clip_id: str) -> Item:
        return _item(store, clip_id, wanted[clip_id], compute)

    with _pending(store, flush_s, flush_items) as add, _in_order(made, todo, at_once) as items:
        for done, item in enumerate(items, start=1):
            add(item)
            if progress:
                progress(done, len(todo))
    return Summary(len(todo), len(wanted) - len(todo), store.failures(wanted))


@contextmanager
def _in_order(make: Callable[[str], Item], todo: Sequence[str], at_once: int) -> Iterator[Iterator[Item]]:
    """An item of each of ``todo``, in their order; when the block ends, what has not begun is left."""
    if at_once == 1:
        yield map(make, todo)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="clip")

    def ahead() -> Iterator[Item]:
        begun: deque[Future[Item]] = deque()
        for clip_id in todo:
            begun.append(pool.submit(make, clip_id))
            if len(begun) == 2 * at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    try:
        yield ahead()
    finally:
        # What is done is kept first: nobody waits here for clips under way.
        pool.shutdown(wait=False, cancel_futures=True)


def _item(store: ShardStore, clip_id: str, key: str, compute: Callable[[str], FeatureSequence]) -> Item:
    try:
        frames = patiently(lambda: compute(clip_id), _may_pass)
    except AvemoError as error:
        if is_the_machines(error):
            error.add_note(
                f"while computing clip {clip_id}; the machine is at fault, so it will be tried again"
            )
            raise
        if isinstance(error, ClipFailure):
            return Item(clip_id, key, error.status, error.detail)
        return Item(clip_id, key, Status.unreadable, str(error))
    except Exception as error:
        error.add_note(f"while computing clip {clip_id}")
        raise
    try:
        item = Item(clip_id, key, Status.ok, "; ".join(frames.notes), frames.x, frames.times_s)
        return storable(item, store.dtype)
    except AvemoError as error:
        return Item(clip_id, key, Status.invalid_features, str(error))


def is_the_machines(error: BaseException) -> bool:
    """Whether a failure comes from memory, file handles or disks that ran out or are away, or from what is installed.

    What a clip's own file is to blame for, decoding has told from storage that is away.
    """
    numbers = FULL | {errno.EROFS} | (EXHAUSTED if isinstance(error, ClipFailure) else PASSING)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | MachineError) or number_of(cause) in numbers:
            return True
        cause = cause.__cause__
    return False


def _may_pass(error: BaseException) -> bool:
    """Whether it is worth another try: a storage away for a moment, say, but no clip's failure."""
    return is_passing(error) and (is_the_machines(error) or not isinstance(error, AvemoError))


@contextmanager
def _pending(store: ShardStore, flush_s: float, flush_items: int) -> Iterator[Callable[[Item], None]]:
    """A function that takes items and appends them in batches; the last batch however the block ends."""
    items: list[Item] = []
    last_s = time.monotonic()

    def flush() -> None:
        nonlocal last_s
        store.append(items)
        items.clear()
        last_s = time.monotonic()

    def add(item: Item) -> None:
        items.append(item)
        held = sum(kept.x.nbytes for kept in items if kept.x is not None)
        if held >= FLUSH_BYTES or len(items) >= flush_items or time.monotonic() - last_s >= flush_s:
            flush()

    with _sigterm_raises():
        try:
            yield add
        finally:
            try:
                flush()
            except (KeyboardInterrupt, SystemExit):
                # What is done is kept first, if the signal came just then.
                flush()
                raise


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """SIGTERM (a cluster's way to stop a job) as `SystemExit` 143, so that blocks end as they should."""

    def stop(*_: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
