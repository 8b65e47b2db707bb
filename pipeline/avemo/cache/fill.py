"""Compute what a store lacks, keeping what is done whatever happens."""

from __future__ import annotations

import errno
import signal
import threading
import time
from collections.abc import Callable, Iterator
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
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Compute exactly the missing clips, in order of id, keeping them every ``flush_s`` seconds; after each, ``progress``
    is told how many of them are done.

    An `AvemoError` of ``compute``, and frames that cannot be stored (NaN, say),
    are recorded as the clip's failure, unless the machine ran out of something. Any other exception, Ctrl-C and SIGTERM
    end the fill after keeping what is done; a SIGKILL loses what came after the
    last flush.
    """
    todo = store.missing(wanted)
    with _pending(store, flush_s, flush_items) as add:
        for done, clip_id in enumerate(todo, start=1):
            add(_item(store, clip_id, wanted[clip_id], compute))
            if progress:
                progress(done, len(todo))
    return Summary(len(todo), len(wanted) - len(todo), store.failures(wanted))


def _item(store: ShardStore, clip_id: str, key: str, compute: Callable[[str], FeatureSequence]) -> Item:
    try:
        frames = patiently(lambda: compute(clip_id), _may_pass)
    except AvemoError as error:
        if _is_the_machines(error):
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


def _is_the_machines(error: BaseException) -> bool:
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
    return is_passing(error) and (_is_the_machines(error) or not isinstance(error, AvemoError))


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
