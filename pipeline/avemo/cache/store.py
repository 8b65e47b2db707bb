"""What a shard job has computed so far: a folder of immutable parts, outside any job's outputs.

::

    lock-000003            the owner's lease while a `ShardStore` is open
    part-000007-000003.h5  items appended in one go by the owner of that lease
    packed-<digest>.h5     exactly what was once published; published files are hard links to it
    rest-<digest>.h5       replaced items of a file whose other items were copies
    *.corrupt              unreadable files, set aside until the shard is whole again

Snakemake deletes a job's outputs before it runs and when it fails; the store
keeps names of its own for the bytes, so nothing computed is lost. Items of
older keys, and of clips that leave the clip table, stay: another run's table may
have them, or this one's again tomorrow. `avemo cache gc --unpublished` lets them go.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from avemo.base.atomic import SUFFIX, aside, leftovers
from avemo.base.contracts import AvemoError, ClipFailure, MachineError, Status, digest
from avemo.base.passing import patiently
from avemo.cache.items import Item
from avemo.cache.lock import Lock
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import Entry, NewerShard
from avemo.cache.shard_writer import write_shard

Wanted = Mapping[str, str]
"""Clip id to the key its item must have."""


@dataclass(frozen=True)
class Held:
    """Where an item lies."""

    path: Path
    dim: int
    entry: Entry


Pair = tuple[str, str]


class Published(NamedTuple):
    """What a published shard holds, and what tells its file from one that another owner puts in its place."""

    entries: list[Entry]
    stat: os.stat_result


class ShardStore:
    """One component's store for one shard, locked until closed.

    ``info`` goes into every file; ``dtype`` is what ``x`` is stored as (files
    of another dtype are kept but do not count); ``compression`` is that of
    published files. Raises `AvemoError` if another
    process holds the folder, or if a newer avemo has written to it.
    """

    def __init__(
        self, folder: Path, info: Mapping[str, Any], dtype: str = "float32", compression: str = "none"
    ):
        self.folder, self.info = Path(folder), dict(info)
        self.dtype, self.compression = dtype, compression
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self.folder)
        self._files: dict[Path, dict[Pair, Held]] = {}
        self._damaged: set[Path] = set()
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ShardStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in."""
        self._lock.release()

    @property
    def _held(self) -> dict[Pair, Held]:
        return {pair: held for items in self._files.values() for pair, held in items.items()}

    def missing(self, wanted: Wanted) -> list[str]:
        """Sorted ids of clips not held with their key. Recorded failures are held; new media retry them."""
        held = self._held
        return sorted(clip_id for clip_id, key in wanted.items() if (clip_id, key) not in held)

    def failures(self, wanted: Wanted) -> dict[str, ClipFailure]:
        """The failure of each wanted clip that is held as failed, by sorted clip id."""
        held = self._held
        entries = [held[pair].entry for pair in sorted(wanted.items()) if pair in held]
        failed = [entry for entry in entries if entry.status is not Status.ok]
        return {e.clip_id: ClipFailure(e.status, e.clip_id, e.detail) for e in failed}

    def forget(self) -> None:
        """Drop all items: other code has made them. What was published stays until it is published anew."""
        self._lock.check()
        for path in self._files:
            path.unlink()
        self._files.clear()

    def append(self, items: Sequence[Item]) -> None:
        """Keep ``items`` for good, as one new part."""
        if items:
            numbers = [int(n) for f in self.folder.iterdir() for n in re.findall(r"^part-(\d+)", f.name)]
            # The lease's number keeps an owner that was stopped from writing over the next one's.
            name = f"part-{max(numbers, default=0) + 1:06d}-{self._lock.generation:06d}.h5"
            with self.alone():
                write_shard(self.folder / name, items, self.info, self.dtype)
            self._register(self.folder / name)

    def publish(self, wanted: Wanted, output: Path) -> Published:
        """Make ``output`` a shard of exactly the wanted items, in order of clip id.

        The same wanted items make the same bytes. Raises `AvemoError` while
        any of them is missing.
        """
        missing = self.missing(wanted)
        if missing:
            raise AvemoError(
                f"{output}: expected {len(wanted)} clips, found {len(missing)} not computed yet "
                f"({', '.join(missing[:3])}, ...); fill the store first"
            )
        content = [self.info, self.dtype, self.compression, sorted(wanted.items())]
        packed = self.folder / f"packed-{digest(content)}.h5"
        with self.alone():
            if packed not in self._files or self._files[packed].keys() != set(wanted.items()):
                self._pack(wanted, packed)
            self._register(packed)
        with self.alone():
            stat = _link(packed, Path(output))
        with self.alone():
            self._compact(packed)
            for corrupt in self.folder.glob("*.corrupt"):
                corrupt.unlink()
        return Published([held.entry for held in self._files[packed].values()], stat)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raise `AvemoError` where another owner took over before the block or while it ran, which then is why it failed."""
        self._lock.check()
        try:
            yield
        except (OSError, AvemoError):
            self._lock.check()
            raise
        self._lock.check()

    def _load(self) -> None:
        """Read every file's index and check every byte: damaged items do not count, unreadable files leave."""
        for leftover in self.folder.glob(f".*{SUFFIX}"):
            leftover.unlink()
        for path in sorted(self.folder.glob("*.h5")):
            try:
                bad = patiently(partial(self._register, path, verify=True))
            except (NewerShard, MachineError):
                raise
            except AvemoError as error:
                os.replace(path, path.with_name(path.name + ".corrupt"))
                warnings.warn(
                    f"{error}; set aside as {path.name}.corrupt, its clips count as missing", stacklevel=4
                )
                continue
            if bad:
                self._damaged.add(path)
                warnings.warn(
                    f"{path}: expected the bytes that were written, found others in {', '.join(bad)}; "
                    "these clips count as missing",
                    stacklevel=4,
                )

    def _register(self, path: Path, *, verify: bool = False) -> list[str]:
        """Take note of a file's items, and return the ids of those that are damaged."""
        with Shard(path) as shard:
            bad = shard.verify() if verify else []
            if shard.dtype == self.dtype:
                entries = [entry for clip_id, entry in shard.index.items() if clip_id not in set(bad)]
                self._files[path] = {(e.clip_id, e.key): Held(path, shard.dim, e) for e in entries}
        return bad

    def _pack(self, wanted: Wanted, packed: Path) -> None:
        everything = self._held
        held = [everything[pair] for pair in sorted(wanted.items())]
        dims = {item.dim for item in held if item.entry.status is Status.ok}
        if len(dims) > 1:
            raise AvemoError(
                f"{packed.parent}: expected items of one dimension, found {sorted(dims)}; "
                "raise the version of the extractor whose dim has changed"
            )
        self._write(packed, held)
        self._damaged.discard(packed)

    def _write(self, path: Path, held: Sequence[Held]) -> None:
        frames = sum(item.entry.length for item in held)
        dim = max((item.dim for item in held if item.entry.length), default=0)
        write_shard(path, _stored_items(held), self.info, self.dtype, (frames, dim), self.compression)

    def _compact(self, packed: Path) -> None:
        """Leave one copy of each item."""
        files, pairs = {packed}, set(self._files[packed])
        others = [path for path in self._files if path != packed]
        for path in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True):
            own = {pair: held for pair, held in self._files[path].items() if pair not in pairs}
            if own:
                pairs |= own.keys()
                files.add(self._only(path, own))
        for path in self._files.keys() - files:
            path.unlink()
            del self._files[path]

    def _only(self, path: Path, own: Mapping[Pair, Held]) -> Path:
        """A file of just these items of ``path``: itself, or a new one of another name."""
        if own.keys() == self._files[path].keys() and path not in self._damaged:
            return path
        rest = path.with_name(f"rest-{digest(sorted(own))}.h5")
        self._write(rest, [own[pair] for pair in sorted(own)])
        shutil.copystat(path, rest)
        self._register(rest)
        return rest


def _stored_items(held: Sequence[Held]) -> Iterator[Item]:
    """The items themselves, one file open at a time: there may be more parts than a process may open."""
    for path, group in groupby(held, key=lambda item: item.path):
        with Shard(path) as shard:
            for item in group:
                yield shard.item(item.entry.clip_id)


def _link(packed: Path, output: Path) -> os.stat_result:
    """Give the bytes a second name; copy them where the file system cannot. What is known of the file that has it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    for leftover in leftovers(output):
        leftover.unlink()
    with aside(output) as temporary:
        try:
            os.link(packed, temporary)
            # An output older than its job's inputs would count as stale.
            os.utime(temporary)
        except OSError:
            temporary.unlink(missing_ok=True)
            shutil.copyfile(packed, temporary)
        return temporary.stat()
