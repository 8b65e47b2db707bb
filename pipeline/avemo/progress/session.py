"""A command and all that it starts, in a session of their own, that end together when a person or a machine says so."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import IO

import psutil

ASKED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_S = 0.1
JOBS_S = 9.0
"""What jobs have, from the first signal on, to keep what they have done."""
ALL_S = 12.0


class Stopped(BaseException):
    """A signal asked for the end; raised where the program happened to be."""


class Session:
    """A running command; Ctrl-C, SIGTERM and a closed terminal raise `Stopped`, after which `stop` ends it.

    ``asked`` are the signals so far. Use it as a context in the main thread;
    signals mean what they did before once it is left.
    """

    def __init__(self, command: Sequence[str], output: IO[str]):
        self.asked: list[signal.Signals] = []
        self._before = {number: signal.getsignal(number) for number in ASKED_BY}
        self._started = False
        for number, before in self._before.items():
            # A run under nohup outlives its terminal.
            if number != signal.SIGHUP or before != signal.SIG_IGN:
                signal.signal(number, self._take)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Session:
        self._started = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started = False
        if self._members():
            self.stop()
        for number, before in self._before.items():
            signal.signal(number, before)

    def wait(self, seconds: float) -> int | None:
        """The command's exit code; None if it still runs after so long. Raises `Stopped` if that was asked for."""
        until = time.monotonic() + seconds
        while (code := self.process.poll()) is None and (left := until - time.monotonic()) > 0:
            # Again here, as an exception raised in a destructor is lost.
            if self.asked:
                raise Stopped
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(min(left, LOOK_S))
        return code

    def stop(self) -> bool:
        """End the command and its jobs within some 12 s; whether it ended by itself, so that it could tidy up.

        It is interrupted, as by Ctrl-C, and its jobs get SIGTERM; SIGKILL for jobs after `JOBS_S` seconds or a
        second signal, for all after `ALL_S` or a third.
        """
        begin, told = time.monotonic(), set()
        tidy = True
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        while members := self._members():
            late = time.monotonic() - begin
            kill_jobs = late > JOBS_S or len(self.asked) > 1
            for job in members - {self.process.pid}:
                if kill_jobs or job not in told:
                    _send(job, signal.SIGKILL if kill_jobs else signal.SIGTERM)
                    told.add(job)
            if self.process.pid in members and (late > ALL_S or len(self.asked) > 2):
                _send(self.process.pid, signal.SIGKILL)
                tidy = False
            self.process.poll()
            time.sleep(LOOK_S)
        self.process.wait()
        return tidy

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked.append(signal.Signals(number))
        if self._started and len(self.asked) == 1:
            raise Stopped

    def _members(self) -> set[int]:
        """Processes of the session that have not ended; jobs may outlive the shell that started them."""
        return {
            process.pid
            for process in psutil.process_iter(["status"])
            if process.info["status"] != psutil.STATUS_ZOMBIE and _session(process.pid) == self.process.pid
        }


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
