"""What files hold, remembered by size and times of change, so that only new bytes are read."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

from avemo.base.atomic import aside
from avemo.base.passing import where_open


@dataclass(frozen=True)
class Known:
    """A file's size and times when it was read, and its bytes' hash.

    ``ctime_ns`` moves with every change, also where a program sets ``mtime_ns`` back, as copies and backups do.
    """

    bytes: int
    mtime_ns: int
    sha256: str
    ctime_ns: int


class FileHashes:
    """Sha-256 of files, kept as JSON at ``path``; what cannot be read there counts as nothing known."""

    def __init__(self, path: Path):
        self.path = path
        self.changed = False

    def sha256(self, path: Path) -> str:
        """The hash of the file's bytes, hex; from memory where size and times are as they were."""
        return self.look(str(path), path.stat()).sha256

    @cached_property
    def known(self) -> dict[str, Known]:
        """Files by path, as last seen."""
        try:
            return {str(name): Known(*values) for name, values in json.loads(self.path.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def look(self, path: str, stat: os.stat_result) -> Known:
        """What is known of a file whose `os.stat` is given; it is read where that has changed."""
        known, seen = self.known.get(path), (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if known is None or (known.bytes, known.mtime_ns, known.ctime_ns) != seen:
            known = Known(stat.st_size, stat.st_mtime_ns, sha256_of(path), stat.st_ctime_ns)
            self.known[path] = known
            self.changed = True
        return known

    def save(self) -> None:
        """Write what is known, aside and renamed."""
        self.write(self.known)

    def write(self, files: dict[str, Known]) -> None:
        """Write what is known of these files and no others."""
        with aside(self.path) as temporary:
            temporary.write_text(json.dumps({name: astuple(known) for name, known in files.items()}))

    def save_if_changed(self) -> None:
        """`save` what had to be read again, so that it is read once; a memory of others is left alone."""
        if self.changed:
            with where_open():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.save()


def sha256_of(path: Path | str) -> str:
    """The hash of a file's bytes, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
