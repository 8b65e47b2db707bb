"""What made a file, written beside it, so that whoever reads it can tell whether it is what it is taken for.

``labels.parquet`` has ``labels.made.json``::

    {"of": the file's sha-256, "cfg": {...}, "read": {"index": sha-256 of the clip table, ...}, "bytes": 1234, "inode": 5}

Of shards and manifests, whose bytes hold more than counts, ``of`` is the fingerprint of their items. ``code`` is
`avemo.base.code`'s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from avemo.base.atomic import aside
from avemo.base.code import UNKNOWN, Code, differing
from avemo.base.contracts import AvemoError, MachineError, Section, digest
from avemo.base.file_hashes import sha256_of

SUFFIX = ".made.json"
ABSENT = "none"
NO_RECORD = "no record says what made it"


class MadeOf(Section):
    """``of`` is what the file holds, ``cfg`` the settings it was made by, ``read`` what was read for it, by name.

    While it has these ``bytes`` and this ``inode`` it was not replaced.
    """

    of: str
    cfg: Any = None
    read: dict[str, str] = {}
    bytes: int = -1
    inode: int = -1
    code: dict[str, str] = {}


@dataclass(frozen=True)
class Making:
    """A file, and what it ought to be made of: ``read`` has files, known by what they hold, and digests.

    ``identify`` tells what a file of its kind holds.
    """

    path: Path
    cfg: Any = None
    read: Mapping[str, Path | str] = field(default_factory=dict)
    identify: Callable[[Path], str] = sha256_of
    code: Callable[[], Code] = dict
    """Asked only where it counts: sources are to be read."""
    cached: Mapping[str, Path] = field(default_factory=dict)
    """Manifests that it is made of, by name: their shards' code counts too (`read_of`)."""
    noted: Collection[str] = ()
    """What its record names besides, and somebody else compares."""

    def changes(self, known: Callable[[Path], str | None] | None = None, *, code: bool = False) -> list[str]:
        """In what it was made otherwise, a phrase each; none where there is no such file.

        ``known`` says what a file holds that was read, None where that is not known; by default its own record does.
        Other ``code`` counts where that is asked for.
        """
        found = made_of(self.path)
        if not self.path.is_file():
            return ["it is gone"] if found else []
        if found is None:
            return [NO_RECORD]
        if not self._is_as_written(found):
            return ["its bytes changed"]
        other = [name for name, what in self.held(known).items() if found.read.get(name) != what]
        other += [f"code of {file}" for file in (self.older_code() if code else ())]
        told = known is None and (self.read or self.cached)
        # Only who knows all that a file is made of can tell what it is no more.
        gone = self._gone(found) if told else []
        return [
            *differences(found.cfg, self.cfg),
            *(f"{name} changed" for name in other),
            *(f"{name} is read no more" for name in gone),
        ]

    def _gone(self, found: MadeOf) -> list[str]:
        """What its record tells of and it would be made of no more."""
        known = {*self.read, *self.cached, *self.noted}
        return [name for name in found.read if not name.startswith("code of ") and name not in known]

    def older_code(self) -> list[str]:
        """Files whose code has changed since this was made; none where nothing says by which it was."""
        found = made_of(self.path)
        now = self.code() if found and found.code and self.path.is_file() else {}
        return differing(found.code, now) if found and now else []

    def _is_as_written(self, found: MadeOf) -> bool:
        """Reads the file only where another may be in its place: a copy, say, which is then taken note of."""
        stat = self.path.stat()
        if (found.bytes, found.inode) == (stat.st_size, stat.st_ino):
            return True
        try:
            same = self.identify(self.path) == found.of
        except MachineError:
            # Storage that is away says nothing of the file.
            raise
        except AvemoError:
            return False
        if same:
            with suppress(OSError):
                written = record_path(self.path).stat()
                note(self.path, found.cfg, found.read, found.of, found.code)
                # To a workflow a record is a file like others: nothing was made anew.
                os.utime(record_path(self.path), ns=(written.st_atime_ns, written.st_mtime_ns))
        return same

    def held(self, known: Callable[[Path], str | None] | None = None) -> dict[str, str]:
        """What is to be read holds now, as far as it is known."""
        ask = known or recorded
        given = self.read if known is None else {**self.read, **self.cached}
        found = {name: what if isinstance(what, str) else ask(what) for name, what in given.items()}
        read = {name: what for name, what in found.items() if what is not None}
        for name, path in self.cached.items() if known is None else ():
            read |= read_of(name, path, recorded(path))
        return read


def record_path(path: Path) -> Path:
    """Where the record of a file lies."""
    return path.with_name(path.stem + SUFFIX)


def made_of(path: Path) -> MadeOf | None:
    """What made a file; None if nothing says so. Raises `MachineError` for a record that may not be read."""
    try:
        return MadeOf.model_validate_json(record_path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    except OSError as error:
        raise MachineError(
            f"{record_path(path)}: expected the record of what made {path.name}, found it closed to reading "
            f"({error.strerror}); let its owner open it, or delete it to have the file made again"
        ) from error


def recorded(path: Path) -> str | None:
    """What a file holds, by its record; None if there is none."""
    found = made_of(path)
    return found.of if found else None


def read_of(name: str, manifest: Path, fingerprint: str | None) -> dict[str, str]:
    """What a file's record says of a manifest that was read: its items, and by which code they were made, as far as known."""
    found = made_of(manifest)
    read = {name: fingerprint, f"code of {name}": digest(found.code) if found else None}
    return {name: what for name, what in read.items() if what is not None}


def note(
    path: Path,
    cfg: Any,
    read: Mapping[str, str],
    of: str = "",
    code: Code = UNKNOWN,
    stat: os.stat_result | None = None,
) -> None:
    """Say what made a file that has just been written; ``stat`` tells it from one that was put in its place since."""
    stat = stat or path.stat()
    made = MadeOf(
        of=of or sha256_of(path),
        cfg=cfg,
        read=dict(read),
        bytes=stat.st_size,
        inode=stat.st_ino,
        code=dict(code),
    )
    with aside(record_path(path)) as temporary:
        temporary.write_text(made.model_dump_json())


def write_made(
    path: Path, write: Callable[[Path], Any], cfg: Any, read: Mapping[str, str], code: Code = UNKNOWN
) -> None:
    """Let ``write`` make a file aside, rename it into place, and say what made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A record never stands beside a file that it does not describe.
    record_path(path).unlink(missing_ok=True)
    with aside(path) as temporary:
        write(temporary)
    note(path, cfg, read, code=code)


def checked(path: Path) -> str:
    """The sha-256 of a file; raises `AvemoError` if there is none, or it is not the one that its record tells."""
    if not path.is_file():
        raise AvemoError(f"{path}: expected a file, found none; run what makes it first")
    found, expected = sha256_of(path), recorded(path)
    if expected not in (None, found):
        raise AvemoError(
            f"{path}: expected the bytes that {record_path(path).name} tells of ({str(expected)[:12]}), found others "
            f"({found[:12]}); delete both files and run again"
        )
    return found


def require_made_of(path: Path, read: Mapping[str, str]) -> None:
    """Raise `AvemoError` where a file's record names other things than are read with it now."""
    found = made_of(path)
    for name, now in read.items():
        then = found.read.get(name, now) if found else now
        if then != now:
            raise AvemoError(
                f"{path}: expected one made of the {name} {now[:12]} that is read with it, found one made of "
                f"{then[:12]}; run the workflow again"
            )


def differences(before: Any, now: Any) -> list[str]:
    """``key: old → new`` for each setting in which two JSON-able values differ.

    >>> differences({"training": {"lr": 0.1}}, {"training": {"lr": 0.2}})
    ['training.lr: 0.1 → 0.2']
    """
    old, new = dict(_flat(before)), dict(_flat(now))
    found = [
        f"{key}: {old.get(key, ABSENT)} → {new.get(key, ABSENT)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key, ABSENT) != new.get(key, ABSENT)
    ]
    # The order of systems means something.
    return found or (["the order of its settings"] if json.dumps(before) != json.dumps(now) else [])


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(value)
