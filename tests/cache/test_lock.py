"""One writer a folder, and a dead one does not count."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cache.lock import Lock
from pipeline.contracts import AvemoError

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.cache.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_owner_is_named(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match=f"found pid {holder.pid} on {socket.gethostname()} since 20"):
        Lock(tmp_path / "lock")


def test_a_dead_owner_is_succeeded(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert str(holder.pid) in (tmp_path / "lock").read_text()
    lock = Lock(tmp_path / "lock")
    assert f'"pid": {os.getpid()},' in (tmp_path / "lock").read_text()
    lock.release()


def test_a_second_lock_in_one_process_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    first = Lock(tmp_path / "lock")
    with pytest.raises(AvemoError, match=f"found pid {os.getpid()} "):
        Lock(tmp_path / "lock")
    first.release()
    first.release()
    Lock(tmp_path / "lock").release()


def test_an_owner_that_has_not_signed_is_still_an_owner(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    (tmp_path / "lock").write_text("")
    with pytest.raises(AvemoError, match="only just started"):
        Lock(tmp_path / "lock")
    lock.release()
