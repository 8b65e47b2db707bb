"""Jobs that share this machine's GPUs: each gets one device with room for the memory it declares.

A job's lease is a file ``<pool>/<device>/<name>`` that holds its megabytes;
the job keeps it locked (``flock``) while it lives, so the kernel gives a dead
job's share back. Leases are counted and made under one lock of the pool. The
pool lies in this machine's own temporary folder, and is the user's alone: nothing here is shared
between machines, whose scheduler hands out devices itself.

Snakemake's resources are sums over the whole machine: they bound how many jobs run at once, but
cannot say which device a job gets, nor keep each device within its own memory.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from avemo.base.contracts import ConfigError, MachineError

DEVICES = "AVEMO_GPUS"
"""Environment: ``0:80000,1:40000``, devices and their megabytes to share, where not those that nvidia-smi lists."""
SHARE = 0.95
"""Of a device's memory; the rest is for the driver and for what is not ours."""
POLL_S = 1.0


@contextmanager
def leased(megabytes: int, devices: Mapping[str, int], pool: Path, poll_s: float = POLL_S) -> Iterator[str]:
    """The device that has most room, held while the block runs; waits until one has ``megabytes`` to spare.

    ``devices`` are names and what each has to share; who wants more than any has gets one whole.
    """
    megabytes = min(megabytes, max(devices.values()))
    told = False
    while (found := _try(megabytes, devices, pool)) is None:
        if not told:
            print(
                f"waiting: no GPU has {megabytes} MB to spare among {_told(devices)}",
                file=sys.stderr,
                flush=True,
            )
            told = True
        time.sleep(poll_s)
    device, lease = found
    try:
        yield device
    finally:
        Path(lease.name).unlink(missing_ok=True)
        lease.close()


def use_gpu(megabytes: int, device: str = "auto") -> None:
    """Hold a share of a GPU until this process ends, and let it see that GPU alone; call before torch is used.

    Does nothing where there is no GPU, where none is asked for (0 MB), where ``device`` names
    the CPU or one GPU, or in a Slurm job, which has its own.
    """
    wanted = megabytes and device in ("auto", "cuda") and "SLURM_JOB_ID" not in os.environ
    if wanted and (devices := shared_devices()):
        held = ExitStack()
        atexit.register(held.close)
        # CUDA's own order is by speed; the numbers here are nvidia-smi's, which go by bus.
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = held.enter_context(leased(megabytes, devices, default_pool()))


def shared_devices() -> dict[str, int]:
    """This machine's GPUs and the megabytes of each that jobs share; raises `ConfigError` for a bad list.

    A GPU whose memory nvidia-smi does not tell is left out, and standard error says so.
    """
    given = os.environ.get(DEVICES)
    if given is not None:
        return _parsed(given)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shutil.which("nvidia-smi") is None or visible == "":
        return {}
    asked = ("nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        return {}
    found = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]
    wanted = visible.split(",") if visible else [index for index, *_ in found]
    sizes = {index: size for index, uuid, size in found if {index, uuid} & set(wanted)}
    for index in [index for index, size in sizes.items() if not size.isdecimal()]:
        print(
            f"GPU {index}: expected its memory in MB from nvidia-smi, found {sizes.pop(index)!r}; no job is given "
            f"a share of it; name it and its memory, such as {DEVICES}={index}:80000",
            file=sys.stderr,
            flush=True,
        )
    return {index: int(int(size) * SHARE) for index, size in sizes.items()}


def default_pool() -> Path:
    """Where this user's leases on this machine lie."""
    return Path(tempfile.gettempdir()) / f"avemo-gpus-{os.getuid()}"


def _try(megabytes: int, devices: Mapping[str, int], pool: Path) -> tuple[str, IO[str]] | None:
    """A locked lease on a device with so much room; None while there is none."""
    _own(pool)
    with _opened(pool / "lock", "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for name in devices:
            _own(pool / name)
        room = {device: size - _held(pool / device) for device, size in devices.items()}
        device = max(room, key=lambda name: room[name])
        if room[device] < megabytes:
            return None
        lease = _opened(pool / device / f"{os.getpid()}-{time.monotonic_ns()}", "x")
        fcntl.flock(lease, fcntl.LOCK_EX)
        lease.write(str(megabytes))
        lease.flush()
        return device, lease


def _own(folder: Path) -> None:
    """Make a folder that nobody else may write to; raises `MachineError` for one that is not this user's alone.

    Its name can be foreseen by whoever writes to the temporary folder.
    """
    with suppress(FileExistsError):
        folder.mkdir(0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        what = "a link" if stat.S_ISLNK(found.st_mode) else "something else"
    elif found.st_uid != os.geteuid():
        what = f"one of user {found.st_uid}"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        what = f"one that others may write to ({stat.filemode(found.st_mode)})"
    else:
        return
    raise MachineError(
        f"{folder}: expected a folder of user {os.geteuid()} alone for the leases of GPUs, found {what}; "
        "have it removed, or set TMPDIR to a folder of your own"
    )


def _opened(path: Path, mode: str) -> IO[str]:
    """A file of the pool; no link is followed."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600))


def _held(device: Path) -> int:
    """Megabytes that living jobs hold; leases of dead ones go."""
    total = 0
    for path in device.glob("*"):
        try:
            with _opened(path, "r") as lease:
                fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except BlockingIOError:
            total += int(path.read_text())
        except FileNotFoundError:
            continue
    return total


def _parsed(text: str) -> dict[str, int]:
    try:
        return {
            name.strip(): int(size) for name, size in (part.split(":") for part in text.split(",") if part)
        }
    except ValueError:
        raise ConfigError(
            f"config: {DEVICES}: expected devices and megabytes such as 0:80000,1:80000, found {text!r}"
        ) from None


def _told(devices: Mapping[str, int]) -> str:
    return ", ".join(f"device {name} of {size} MB" for name, size in devices.items())
