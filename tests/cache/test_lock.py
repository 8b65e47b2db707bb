"""One writer a folder, also among machines, and a dead one does not count."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.cache.lock import Lock

HOLDER = """
import sys, time
from pathlib import Path
from avemo.cache.lock import Lock
lock = Lock(Path(sys.argv[1]), machine=sys.argv[2] or None, beat_s=0.1)
print("held", flush=True)
time.sleep(60)
"""

CONTENDER = """
import os, random, sys, time
from pathlib import Path
from avemo.cache.lock import Lock
from avemo.base.contracts import AvemoError
folder, machine, end = Path(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
generator = random.Random(machine)
while time.monotonic() < end:
    try:
        lock = Lock(folder, machine=machine, stale_s=1.0, beat_s=0.1)
    except AvemoError:
        time.sleep(0.005)
        continue
    inside = (folder / "inside").open("x")
    time.sleep(0.02 * generator.random())
    if generator.random() < 0.1:
        (folder / "inside").unlink()
        os.kill(os.getpid(), 9)
    (folder / "inside").unlink()
    lock.release()
    print("turn", flush=True)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, repository: Path) -> Iterator[Start]:
    """Start a process that holds the lock of the test's folder, as if on the named machine."""
    started: list[subprocess.Popen[str]] = []

    def begin(machine: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(tmp_path), machine]
        process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_the_owner_is_named(start: Start, tmp_path: Path) -> None:
    holder = start()
    with pytest.raises(AvemoError, match=f"found pid {holder.pid} on {socket.gethostname()} since 20"):
        Lock(tmp_path)


@pytest.mark.parametrize("reap", [True, False])
def test_a_dead_owner_is_succeeded_at_once(start: Start, tmp_path: Path, reap: bool) -> None:
    holder = start()
    holder.kill()
    if reap:
        holder.wait()
    else:
        time.sleep(0.2)
    lock = Lock(tmp_path)
    assert f'"pid": {os.getpid()},' in (tmp_path / "lock-000002").read_text()
    assert not (tmp_path / "lock-000001").exists()
    lock.release()


def test_a_process_of_the_dead_owners_number_is_not_the_owner(start: Start, tmp_path: Path) -> None:
    living = start()
    lease = tmp_path / "lock-000001"
    text = lease.read_text()
    lease.write_text(text.replace('"born": "', '"born": "1'))
    lock = Lock(tmp_path)
    assert living.poll() is None
    assert f'"pid": {os.getpid()},' in (tmp_path / "lock-000002").read_text()
    lock.release()


def test_an_owner_on_another_machine_lives_as_long_as_it_touches_its_lease(
    start: Start, tmp_path: Path
) -> None:
    holder = start("elsewhere")
    time.sleep(1.2)
    with pytest.raises(AvemoError, match=f"found pid {holder.pid} on .*, last seen 0 s ago"):
        Lock(tmp_path, stale_s=1.0)
    holder.send_signal(signal.SIGKILL)
    with pytest.raises(AvemoError, match="last seen"):
        Lock(tmp_path, stale_s=1.0)
    time.sleep(1.2)
    Lock(tmp_path, stale_s=1.0).release()


def test_a_process_that_slept_through_its_lease_finds_it_lost(start: Start, tmp_path: Path) -> None:
    lock = Lock(tmp_path, beat_s=60)
    lock.check()
    os.utime(tmp_path / "lock-000001", (1.0, 1.0))
    other = Lock(tmp_path, machine="elsewhere", stale_s=1.0)
    with pytest.raises(AvemoError, match="another took over"):
        lock.check()
    lock.release()
    other.check()


def test_a_second_lock_in_one_process_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    with pytest.raises(AvemoError, match=f"found pid {os.getpid()} "):
        Lock(tmp_path)
    first.release()
    first.release()
    Lock(tmp_path).release()
    assert [path.name for path in tmp_path.iterdir()] == ["lock-000002"]


def test_an_owner_that_has_not_signed_is_still_an_owner(tmp_path: Path) -> None:
    (tmp_path / "lock-000004").touch()
    with pytest.raises(AvemoError, match="only just started"):
        Lock(tmp_path)


def test_contenders_on_many_machines_never_hold_it_together(tmp_path: Path, repository: Path) -> None:
    """Each makes a file that must not exist while inside; a second one inside would fail, and say so."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(tmp_path), f"machine {number}", "6"],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    turns = 0
    for process in processes:
        printed, errors = process.communicate()
        assert errors == ""
        assert process.returncode in (0, -signal.SIGKILL)
        turns += printed.count("turn")
    assert turns > 20


def test_a_lease_that_may_not_be_read_is_another_peoples_and_dies_of_age(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "lock-000004").write_text("")
    read_text, unlink = Path.read_text, Path.unlink

    def closed(path: Path, *args: object, **kwargs: object) -> str:
        if path.name == "lock-000004":
            raise PermissionError(13, "Permission denied")
        return read_text(path)

    def sticky(path: Path, missing_ok: bool = False) -> None:
        if path.name == "lock-000004":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "read_text", closed)
    monkeypatch.setattr(Path, "unlink", sticky)
    with pytest.raises(AvemoError, match="found a process whose lease may not be read, last seen 0 s ago"):
        Lock(tmp_path)
    os.utime(tmp_path / "lock-000004", (1, 1))
    lock = Lock(tmp_path)
    lock.check()
    lock.release()
    Lock(tmp_path).release()
