"""`avemo run` told to stop in the middle of a job, as by Ctrl-C or by a cluster."""

from __future__ import annotations

import signal
import subprocess
import time

import psutil
import pytest

from avemo.cache.shard import Shard
from stress.arena import Arena

CLIPS = 400
PATIENCE_S = 120


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    arena = Arena(tmp_path_factory.mktemp("arena"), CLIPS, shards=2, seconds=1)
    arena.write_config()
    return arena


def started(arena):
    """`avemo run`, once it computes clips that the store lacked."""
    arena.computed()
    command = [arena.folder / "bin" / "avemo", "run", "--configfile", "config.yaml", "--"]
    process = subprocess.Popen(
        [*command, "--cores", "2", "features"],
        cwd=arena.folder,
        env=arena.environment,
        stdout=(arena.folder / "printed.txt").open("w"),
        stderr=subprocess.STDOUT,
    )
    until = time.monotonic() + PATIENCE_S
    while arena.begun() < 5 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert process.poll() is None, arena.printed()
    return process


def kin(process):
    """All that the process has started."""
    return psutil.Process(process.pid).children(recursive=True)


def locks(arena):
    """Snakemake's own."""
    return list(arena.folder.glob(".snakemake/locks/*"))


def held(arena):
    """Clips in the stores."""
    found = set()
    for path in arena.cache.glob(".store/*/*/[!.]*.h5"):
        with Shard(path) as shard:
            found |= shard.index.keys()
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_its_jobs_and_keeps_what_is_done(arena, number):
    before = held(arena)
    process = started(arena)
    jobs = kin(process)
    assert any("extract" in job.cmdline() for job in jobs)
    begin = time.monotonic()
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 128 + number, arena.printed()
    assert time.monotonic() - begin < 15
    assert not [job for job in jobs if job.is_running() and job.status() != psutil.STATUS_ZOMBIE]
    assert not locks(arena)
    kept = held(arena)
    assert before < kept
    begun = {line.split()[1] for line in arena.computed()}
    assert not begun & before
    told = arena.printed().splitlines()
    assert told[-1] == "The same command goes on from there."
    assert any(f"{len(kept)} of {CLIPS} clips" in line for line in told if line.startswith("kept of stress:"))


def test_a_second_ctrl_c_kills_what_does_not_stop_by_itself(arena):
    process = started(arena)
    jobs = [job for job in kin(process) if "extract" in job.cmdline()]
    for job in jobs:
        job.suspend()
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert time.monotonic() - begin < 8
    assert not [job for job in jobs if job.is_running() and job.status() != psutil.STATUS_ZOMBIE]
    assert not locks(arena)


def test_the_same_command_goes_on_and_finishes(arena):
    before = held(arena)
    process = started(arena)
    assert process.wait(PATIENCE_S) == 0, arena.printed()
    begun = [line.split()[1] for line in arena.computed()]
    assert sorted(begun) == sorted(set(arena.rows) - before)
    assert held(arena) == set(arena.rows)
    assert not locks(arena)
