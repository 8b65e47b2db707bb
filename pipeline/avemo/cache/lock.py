"""One writer a folder, among all machines that share it.

The folder holds leases ``lock-<generation>``, each the signature of one owner;
the highest one counts. An owner touches its lease every few seconds. Whoever
finds the highest lease given back or its owner dead creates the next one,
which the file system lets one process alone do; so two can never take over
from the same dead owner. Nothing here needs file locks, which shared folders
may lack or keep to one machine.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from avemo.base.atomic import SUFFIX
from avemo.base.contracts import AvemoError

BEAT_S = 10.0
STALE_S = 120.0
"""An owner on another machine that has not touched its lease for so long is dead."""
GIVEN_BACK = (0, 0)
"""Times of a lease that its owner has given back: needs no room, so it works on a full disk."""


class Held(AvemoError):
    """Another process has the folder."""


@dataclass(frozen=True)
class Owner:
    """Who signed a lease. ``machine`` tells one kernel's process numbers from another's; ``born`` one
    process from a later one of its number."""

    pid: int
    host: str
    since: str
    machine: str
    born: str | None

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host} since {self.since}"


class Lock:
    """Held from construction to `release`.

    Raises `Held` naming the owner if another has it. An owner on this
    machine is dead when its process is; one elsewhere when its lease is
    ``stale_s`` old by the file server's clock. ``machine`` is for tests.
    """

    def __init__(
        self, folder: Path, *, stale_s: float = STALE_S, beat_s: float = BEAT_S, machine: str | None = None
    ):
        self.folder, self._stale_s = folder, stale_s
        self._me = _myself(machine)
        self._path = self._take()
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._touch, args=(beat_s,), daemon=True)
        self._heart.start()

    @property
    def generation(self) -> int:
        """The lease's number, which no other owner of the folder ever has."""
        return _generation(self._path)

    def check(self) -> None:
        """Raises `AvemoError` if the lock was lost, e.g. while this machine was asleep."""
        if _highest(self.folder) != self._path:
            raise AvemoError(
                f"{self.folder}: expected to be the only writer, found that another took over while this "
                "process did not run; run again"
            )

    def release(self) -> None:
        """Let others in. A second call does nothing, nor does one in a forked process."""
        if not self._released.is_set() and self._me.pid == os.getpid():
            self._released.set()
            self._heart.join()
            with suppress(FileNotFoundError):
                os.utime(self._path, GIVEN_BACK)

    def _take(self) -> Path:
        while True:
            highest = _highest(self.folder)
            owner = self._living_owner(highest) if highest else None
            if owner:
                raise Held(
                    f"{self.folder}: expected no other writer, found {owner}; wait for that run or stop it"
                )
            mine = self.folder / f"lock-{_generation(highest) + 1:06d}"
            try:
                with mine.open("x") as file:
                    file.write(json.dumps(asdict(self._me)))
            except FileExistsError:
                continue
            except OSError:
                mine.unlink(missing_ok=True)
                raise
            # One that read the folder long ago may have made a lease that was since taken and left behind.
            if _highest(self.folder) == mine:
                for lease in _leases(self.folder):
                    if lease != mine:
                        # In a sticky folder those of other people stay; they count no more.
                        with suppress(PermissionError):
                            lease.unlink(missing_ok=True)
                return mine
            mine.unlink(missing_ok=True)

    def _living_owner(self, lease: Path) -> Owner | str | None:
        """Who holds the lease; None if given back, dead, or gone since."""
        try:
            signed = _signed(lease)
            age_s, given_back = _age_s(lease), lease.stat().st_mtime == 0
        except FileNotFoundError:
            return None
        if given_back:
            return None
        owner = Owner(**signed) if signed else None
        if owner and owner.machine == self._me.machine and owner.born is not None:
            return owner if _born(owner.pid) == owner.born else None
        if age_s >= self._stale_s:
            return None
        if signed is None:
            return f"a process whose lease may not be read, last seen {age_s:.0f} s ago"
        return f"{owner}, last seen {age_s:.0f} s ago" if owner else "a process that has only just started"

    def _touch(self, beat_s: float) -> None:
        while not self._released.wait(beat_s):
            try:
                os.utime(self._path)
            except OSError:
                # A server away for a moment, or another owner: `check` tells which.
                continue


def _leases(folder: Path) -> list[Path]:
    return [path for path in folder.glob("lock-*") if path.name[5:].isdigit()]


def _highest(folder: Path) -> Path | None:
    return max(_leases(folder), key=_generation, default=None)


def _generation(lease: Path | None) -> int:
    return int(lease.name[5:]) if lease else 0


def _signed(lease: Path) -> dict[str, Any] | None:
    """What an owner wrote, nothing yet from one that has only just started; None where it may not be read."""
    try:
        return dict(json.loads(lease.read_text() or "{}"))
    except PermissionError:
        return None


def _age_s(lease: Path) -> float:
    """Both times are the file server's: clocks of two machines may differ."""
    with tempfile.NamedTemporaryFile(dir=lease.parent, prefix=".clock.", suffix=SUFFIX) as probe:
        return os.fstat(probe.fileno()).st_mtime - lease.stat().st_mtime


def _myself(machine: str | None) -> Owner:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    pid = os.getpid()
    return Owner(pid, socket.gethostname(), since, machine or _machine(), _born(pid))


def _machine() -> str:
    """Host, boot and process namespace: containers may share a name but not their process numbers."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.is_file():
        return socket.gethostname()
    return " ".join([socket.gethostname(), boot.read_text().strip(), os.readlink("/proc/self/ns/pid")])


def _born(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; None if it is dead, or if there is no ``/proc``."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
