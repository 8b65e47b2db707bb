"""Filling computes what is missing, once, whatever kills it on the way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError, ClipFailure, FeatureSequence, MachineError, Status
from avemo.cache.fill import Summary, fill
from avemo.cache.store import ShardStore
from cache_factory import INFO, frames_of, ids, items_in, wanted_of

CLIPS = ids(30)
WANTED = wanted_of(CLIPS)
FAILED = {"clip03": (Status.no_face, "no face in 7 frames")}

SLOW_RUN = """
import sys, time
from pathlib import Path
from cache_factory import INFO, frames_of, ids, wanted_of
from avemo.cache.fill import fill
from avemo.cache.store import ShardStore

def compute(clip_id):
    print(clip_id, flush=True)
    time.sleep(0.01)
    return frames_of(clip_id)

with ShardStore(Path(sys.argv[1]), INFO) as store:
    fill(store, wanted_of(ids(30)), compute, flush_s=float(sys.argv[2]), flush_items=4, at_once=int(sys.argv[4]))
    store.publish(wanted_of(ids(30)), Path(sys.argv[3]))
"""


def run_slow(folder: Path, output: Path, flush_s: float = 20.0, at_once: int = 1) -> subprocess.Popen[str]:
    """The fill in a process of its own, which prints each clip it computes."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(map(str, (root / "pipeline", root / "tests/helpers")))
    command = [sys.executable, "-c", SLOW_RUN, str(folder), str(flush_s), str(output), str(at_once)]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def kill_after(process: subprocess.Popen[str], clips: int, delay_s: float, how: signal.Signals) -> list[str]:
    """Kill the process some time after it has begun its ``clips``-th clip; ids of all it began."""
    assert process.stdout
    begun = [process.stdout.readline().strip() for _ in range(clips)]
    time.sleep(delay_s)
    process.send_signal(how)
    rest, _ = process.communicate()
    return begun + rest.split()


def told(summary: Summary) -> tuple[int, int, dict[str, tuple[Status, str]]]:
    """A summary as what compares equal, which errors do not."""
    failed = {clip_id: (failure.status, failure.detail) for clip_id, failure in summary.failed.items()}
    return summary.computed, summary.reused, failed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    with ShardStore(folder / "store", INFO) as store:
        assert told(fill(store, WANTED, frames_of)) == (30, 0, FAILED)
        store.publish(WANTED, folder / "0000.h5")
    return (folder / "0000.h5").read_bytes()


@pytest.mark.parametrize(("seed", "at_once"), [*((seed, 1) for seed in range(5)), (0, 3), (1, 8)])
def test_a_killed_fill_goes_on_where_it_was(
    seed: int, at_once: int, tmp_path: Path, undisturbed: bytes
) -> None:
    generator = np.random.default_rng(seed)
    process = run_slow(tmp_path / "store", tmp_path / "0000.h5", at_once=at_once)
    begun = kill_after(process, int(generator.integers(6, 26)), generator.uniform(0, 0.03), signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "0000.h5").exists()

    computed: list[str] = []
    with ShardStore(tmp_path / "store", INFO) as store:
        missing = store.missing(WANTED)
        summary = fill(store, WANTED, lambda clip_id: (computed.append(clip_id), frames_of(clip_id))[1])
        store.publish(WANTED, tmp_path / "0000.h5")
    assert computed == missing
    assert told(summary) == (len(missing), 30 - len(missing), FAILED)
    # Besides, of several at once, those that have begun and wait for their turn.
    lost = 4 if at_once == 1 else 4 + 2 * at_once
    assert len(set(begun) & set(computed)) <= lost, "at most a batch is lost, the clip under way included"
    assert (tmp_path / "0000.h5").read_bytes() == undisturbed


@pytest.mark.parametrize(("at_once", "lost"), [(1, 1), (3, 6)])
def test_sigterm_loses_only_the_clips_under_way(at_once: int, lost: int, tmp_path: Path) -> None:
    process = run_slow(tmp_path / "store", tmp_path / "0000.h5", at_once=at_once)
    begun = kill_after(process, 7, 0.002, signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    with ShardStore(tmp_path / "store", INFO) as store:
        assert len(set(begun) & set(store.missing(WANTED))) <= lost


@pytest.mark.parametrize("at_once", [2, 7, 50])
def test_clips_computed_at_once_make_the_same_shard(at_once: int, tmp_path: Path, undisturbed: bytes) -> None:
    """However long each takes; the clip that fails fails alone."""
    begun: list[str] = []
    counts: list[tuple[int, int]] = []
    several = threading.Barrier(2)

    def compute(clip_id: str) -> FeatureSequence:
        begun.append(clip_id)
        if clip_id in CLIPS[:2]:
            several.wait(10)
        time.sleep(0.003 * (int(clip_id[-1]) % 3))
        return frames_of(clip_id)

    with ShardStore(tmp_path / "store", INFO) as store:
        summary = fill(store, WANTED, compute, at_once=at_once, progress=lambda *each: counts.append(each))
        assert told(summary) == (30, 0, FAILED)
        store.publish(WANTED, tmp_path / "0000.h5")
    assert sorted(begun) == CLIPS
    assert counts == [(number, 30) for number in range(1, 31)]
    assert (tmp_path / "0000.h5").read_bytes() == undisturbed


def test_few_clips_are_computed_ahead_of_the_slowest(tmp_path: Path) -> None:
    begun: list[str] = []

    def compute(clip_id: str) -> FeatureSequence:
        begun.append(clip_id)
        if clip_id == CLIPS[0]:
            time.sleep(0.3)
            assert len(begun) <= 6, begun
        return frames_of(clip_id)

    with ShardStore(tmp_path, INFO) as store:
        fill(store, WANTED, compute, at_once=3)
        assert store.missing(WANTED) == []


def test_time_alone_makes_a_flush(tmp_path: Path) -> None:
    process = run_slow(tmp_path / "store", tmp_path / "0000.h5", flush_s=0.0)
    begun = kill_after(process, 10, 0.0, signal.SIGKILL)
    with ShardStore(tmp_path / "store", INFO) as store:
        assert len(set(begun) & set(store.missing(WANTED))) <= 1


def test_a_full_store_computes_nothing(tmp_path: Path) -> None:
    def never(clip_id: str) -> FeatureSequence:
        raise AssertionError(clip_id)

    with ShardStore(tmp_path, INFO) as store:
        fill(store, WANTED, frames_of)
        assert told(fill(store, WANTED, never)) == (0, 30, FAILED)


def test_a_failure_is_retried_when_its_key_changes(tmp_path: Path) -> None:
    with ShardStore(tmp_path, INFO) as store:
        fill(store, WANTED, frames_of)
        repaired = WANTED | {"clip03": "k1-clip03-of-other-media"}
        assert fill(store, repaired, lambda _: frames_of("clip04")) == Summary(1, 29, {})


def test_an_error_for_people_is_recorded(tmp_path: Path) -> None:
    def refuse(clip_id: str) -> FeatureSequence:
        raise AvemoError(f"{clip_id}: expected 16000 Hz, got 8000 Hz; resample")

    with ShardStore(tmp_path / "store", INFO) as store:
        summary = fill(store, {"a": "k"}, refuse)
        store.publish({"a": "k"}, tmp_path / "0000.h5")
    assert summary.failed["a"].status is Status.unreadable
    assert summary.failed["a"].detail == "a: expected 16000 Hz, got 8000 Hz; resample"
    assert items_in(tmp_path / "0000.h5")[0].status is Status.unreadable


@pytest.mark.parametrize(
    "cause", [MemoryError(), OSError(errno.EMFILE, "Too many open files"), MachineError("rows are lost")]
)
def test_what_the_machine_lacks_is_not_recorded_as_the_clips_failure(
    cause: Exception, tmp_path: Path
) -> None:
    def starved(clip_id: str) -> FeatureSequence:
        if clip_id == "clip12":
            raise ClipFailure(Status.unreadable, clip_id, "cannot be opened") from cause
        return frames_of(clip_id)

    with ShardStore(tmp_path, INFO) as store:
        with pytest.raises(ClipFailure, match="clip12"):
            fill(store, WANTED, starved)
        assert store.missing(WANTED) == CLIPS[12:]


def stop_at(clip_id: str, error: BaseException):
    def compute(current: str) -> FeatureSequence:
        if current == clip_id:
            raise error
        return frames_of(current)

    return compute


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_bug_stops_the_fill_with_its_clip_named_and_the_rest_kept(at_once: int, tmp_path: Path) -> None:
    with ShardStore(tmp_path, INFO) as store:
        with pytest.raises(ZeroDivisionError) as caught:
            fill(store, WANTED, stop_at("clip12", ZeroDivisionError()), at_once=at_once)
        assert caught.value.__notes__ == ["while computing clip clip12"]
        assert store.missing(WANTED) == CLIPS[12:]


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    with ShardStore(tmp_path, INFO) as store:
        with pytest.raises(KeyboardInterrupt):
            fill(store, WANTED, stop_at("clip12", KeyboardInterrupt()))
        assert store.missing(WANTED) == CLIPS[12:]


def test_numbers_that_cannot_be_stored_are_the_clips_failure(tmp_path: Path) -> None:
    def compute(clip_id: str) -> FeatureSequence:
        frames = frames_of(clip_id)
        return FeatureSequence(frames.x * np.nan, frames.times_s) if clip_id == "clip02" else frames

    with ShardStore(tmp_path, INFO) as store:
        summary = fill(store, WANTED, compute)
        assert "clip02" in summary.failed
        assert summary.failed["clip02"].detail.startswith("clip02: expected finite numbers")
        assert store.missing(WANTED) == []


def test_progress_is_told_after_every_clip(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with ShardStore(tmp_path, INFO) as store:
        fill(store, wanted_of(ids(5)), frames_of, progress=lambda *counts: told.append(counts))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_the_callers_sigterm_handler_comes_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ShardStore(tmp_path, INFO) as store:
        fill(store, WANTED, frames_of)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_may_fill(tmp_path: Path) -> None:
    with ShardStore(tmp_path, INFO) as store:
        thread = threading.Thread(target=fill, args=(store, WANTED, frames_of))
        thread.start()
        thread.join()
        assert store.missing(WANTED) == []
