"""Commands that end, or do not, when they are told to; each starts a job of its own."""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest

from avemo.progress import session
from avemo.progress.session import Session, Stopped

LEADER = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, {on_interrupt})
job = subprocess.Popen([sys.executable, "-c", {job!r}])
print(job.pid, flush=True)
while job.poll() is None:
    try:
        job.wait()
    except KeyboardInterrupt:
        pass
print("took its lock away", flush=True)
"""
GENTLE = "import time; time.sleep(100)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {GENTLE}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(session, "JOBS_S", 1.0)
    monkeypatch.setattr(session, "ALL_S", 2.0)


def run(folder, job, on_interrupt="signal.default_int_handler"):
    """A session, once its job can be told to stop; and the job."""
    said = (folder / "said.txt").open("w")
    leader = LEADER.format(job=job + "  # ready", on_interrupt=on_interrupt)
    running = Session([sys.executable, "-c", leader], said)
    while not (folder / "said.txt").read_text():
        time.sleep(0.01)
    time.sleep(1)
    return running, psutil.Process(int((folder / "said.txt").read_text()))


def has_ended(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("job", [GENTLE, DEAF])
def test_a_command_whose_jobs_were_told_or_killed_tidies_up(tmp_path, job):
    running, process = run(tmp_path, job)
    with running:
        assert running.stop()
    assert has_ended(process)
    assert "took its lock away" in (tmp_path / "said.txt").read_text()


def test_what_does_not_end_is_killed_and_that_is_told(tmp_path):
    running, process = run(tmp_path, DEAF, "signal.SIG_IGN")
    os.kill(running.process.pid, signal.SIGSTOP)
    with running:
        assert not running.stop()
    assert has_ended(process)


def test_jobs_of_a_command_that_has_died_end_with_the_session(tmp_path):
    running, process = run(tmp_path, GENTLE)
    with running:
        running.process.kill()
        assert running.wait(5) == -signal.SIGKILL
        assert not has_ended(process)
    assert has_ended(process)


def test_a_signal_is_raised_where_the_program_is_and_handlers_come_back(tmp_path):
    before = [signal.getsignal(number) for number in session.ASKED_BY]
    running, process = run(tmp_path, GENTLE)
    with running:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
        assert running.asked == [signal.SIGTERM]
    assert has_ended(process)
    assert [signal.getsignal(number) for number in session.ASKED_BY] == before
