"""Files that appear whole or not at all, and lines of those that only grow."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".tmp"


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A free name in ``path``'s folder for the block to write to; it becomes ``path`` if the block ends well.

    The bytes reach the disk before the name does. Raises `OSError` as the file system does.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{SUFFIX}")
    try:
        yield temporary
        _open_to_others(temporary)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        # Also after success: renaming one hard link onto another of the same file leaves both names.
        # Where nothing can be written, nothing is left, and why is said already.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def aside_folder(path: Path, new: bool = False) -> Iterator[Path]:
    """As `aside` for a folder, made empty; what ``path`` held before goes when the block ends well.

    A ``new`` folder replaces none: raises `OSError` where one with files has come meanwhile.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{SUFFIX}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for found in (temporary, *temporary.rglob("*")):
            if found.is_symlink():
                continue
            if found.is_file():
                _open_to_others(found)
            _sync(found)
        if path.exists() and not new:
            shutil.rmtree(path)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def append_line(path: Path, text: str) -> None:
    """Add a line to a file that only grows: whole and on the disk, or not at all.

    A last line that a killed writer left cut is ended first. Raises `OSError` as the file system does.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        rest = (b"\n" if cut else b"") + text.encode() + b"\n"
        try:
            while rest:
                # A disk that fills up takes a part first, and refuses the next.
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def leftovers(path: Path) -> list[Path]:
    """What writers of ``path`` that died have left beside it."""
    return [found for found in path.parent.glob(f".*{SUFFIX}") if found.name.startswith(f".{path.name}.")]


def _open_to_others(path: Path) -> None:
    """Give a file the mode that the umask leaves to new ones; some libraries write theirs for the owner alone."""
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode) | (0o666 & ~_umask())
    if mode != stat.S_IMODE(found.st_mode) and found.st_uid == os.geteuid():
        os.chmod(path, mode)


def _umask() -> int:
    """This process' umask, as the kernel tells it: asking the other way sets it, for all threads."""
    said = Path("/proc/self/status").read_text()
    return int(said.partition("Umask:")[2].split()[0], 8)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
