"""One writer a folder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from pipeline.contracts import AvemoError


class Lock:
    """Held from construction to `release`. The kernel drops the lock of a process that dies.

    Raises `AvemoError` naming the owner if another has it, or if the file
    system cannot lock.
    """

    def __init__(self, path: Path):
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(path)
            self._file.close()
            raise _refusal(path, error, owner) from None
        self._write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": _now()}))

    def release(self) -> None:
        """Let others in. A second call does nothing."""
        if not self._file.closed:
            self._write("")
            self._file.close()

    def _write(self, text: str) -> None:
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text())
        return f"pid {owner['pid']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        # The owner has the lock but has not signed yet.
        return "a process that has only just started"


def _refusal(path: Path, error: OSError, owner: str) -> AvemoError:
    if isinstance(error, BlockingIOError):
        return AvemoError(
            f"{path.parent}: expected no other writer, found {owner}; wait for that run or stop it"
        )
    return AvemoError(
        f"{path.parent}: expected a file system with file locks, found {error.strerror}; "
        "put the cache on another one, or mount this one with locks (Lustre: -o flock)"
    )
