"""What every shard command does with its clips: compute those that are missing, publish, say what was done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo.cli.options import Counter

if TYPE_CHECKING:
    from avemo.base.contracts import FeatureSequence
    from avemo.cache.store import ShardStore
    from avemo.index.clip_table import Row

POLL_S = 5.0


@dataclass(frozen=True)
class Work:
    """A shard's ``rows`` of the clip table, the keys of the items that they want, and how to compute one.

    ``cfg`` is the component's spec as it was given, ``code`` what items are made by, ``read`` what they come from
    beside media, by name. ``at_once`` clips are computed at a time.
    """

    cfg: Any
    rows: dict[str, Row]
    wanted: dict[str, str]
    compute: Callable[[Row], FeatureSequence]
    code: dict[str, str]
    read: dict[str, str] = field(default_factory=dict)
    at_once: int = 1


def rows_of(index: Path, shard: int, shards: int) -> dict[str, Row]:
    """The shard's rows of the clip table, by clip id."""
    from avemo.index.clip_table import read_table, shard_rows

    return {row.clip_id: row for row in shard_rows(read_table(index), shard, shards)}


def clips_at_once(gpu_mb: int, device: str, threads: int) -> int:
    """How many clips a job of so many ``threads`` decodes at a time.

    Where a GPU computes (``gpu_mb``: the component can use one), each thread has a clip, that it need not wait for
    media; a CPU's threads compute one clip together.
    """
    if threads == 1 or not gpu_mb:
        return 1
    import cv2
    import torch

    from avemo.base.devices import choose_device

    if choose_device(device).type == "cpu":
        return 1
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return threads


def note_keys(store: Path, modality: str, key_part: str, upstream: str = "") -> None:
    """Say in the store what its keys are made of, so that progress can tell which of its clips still count."""
    from avemo.progress.shard_records import Keys, write_record

    write_record(store, Keys(modality, key_part, upstream))


def fill_shard(
    store: Callable[[], ShardStore], work: Work, out: Path, strict: bool, wait_s: float, rerun: bool
) -> None:
    """Compute what is missing, publish the shard, say what made it and what was done.

    ``rerun``: what other code has made is computed again.

    Waits ``wait_s`` seconds for another owner of the store. Raises `AvemoError`
    where a clip has failed and the run is ``strict``, and where a file is gone
    or refused that the clip table has seen: its storage is away.
    """
    from avemo.base.contracts import AvemoError, ClipFailure, MachineError, Status
    from avemo.base.made_of import note
    from avemo.cache.fill import fill
    from avemo.cache.shard_layout import fingerprint
    from avemo.index.clip_table import digest_of
    from avemo.progress.shard_records import Counts, take_up, write_record

    def compute_clip(clip_id: str) -> FeatureSequence:
        """One clip's item; raises `ClipFailure` for what is the clip's fault, `MachineError` for a file away."""
        row = work.rows[clip_id]
        if row.status == Status.duplicate_id:
            raise ClipFailure(Status.duplicate_id, clip_id, row.detail)
        try:
            return work.compute(row)
        except ClipFailure as failure:
            if failure.status in (Status.missing_file, Status.no_access) and not row.problem:
                # Recorded, it would count as the clip's failure once the file is back.
                raise MachineError(
                    f"{failure}, where the clip table has seen one; mount its storage, or run again without the file"
                ) from failure
            raise

    with _waited_for(store, wait_s) as held:
        lacking, wanted = len(held.missing(work.wanted)), len(work.wanted)
        there = {"there": wanted - lacking, "lacking": lacking}
        code = take_up(held.folder, work.code, **there, rerun=rerun, forget=held.forget)
        counter = Counter(held.info["component"])
        begin = time.monotonic()
        summary = fill(held, work.wanted, compute_clip, at_once=work.at_once, progress=counter)
        seconds = time.monotonic() - begin
        for failure in summary.failed.values():
            print(f"failed: {failure}", file=sys.stderr)
        if strict and summary.failed:
            raise AvemoError(f"{len(summary.failed)} clips failed (listed above) and strict is true")
        out.parent.mkdir(parents=True, exist_ok=True)
        published = held.publish(work.wanted, out)
        read = {"clips": digest_of(work.rows.values()), **work.read}
        with held.alone():
            note(out, work.cfg, read, of=fingerprint(published.entries), code=code, stat=published.stat)
        done = summary.computed, summary.reused, len(summary.failed)
        write_record(held.folder, Counts(wanted, *done, seconds))
    print(f"{summary.computed} computed, {summary.reused} reused, {len(summary.failed)} failed")


def _waited_for(store: Callable[[], ShardStore], wait_s: float) -> ShardStore:
    """The store, when its present owner lets go: what that run computes need not be computed again."""
    from avemo.cache.lock import Held

    until = time.monotonic() + wait_s
    while True:
        try:
            return store()
        except Held as busy:
            if time.monotonic() >= until:
                raise
            print(f"waiting: {busy}", file=sys.stderr, flush=True)
            time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))
