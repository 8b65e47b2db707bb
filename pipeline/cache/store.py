"""What a shard job has computed so far: a folder of immutable parts, outside any job's outputs.

::

    lock                   held while a `ShardStore` is open
    part-000007.h5         items appended in one go
    packed-<digest>.h5     exactly what was once published; published files are hard links to it
    *.corrupt              files set aside because their bytes had changed

Snakemake deletes a job's outputs before it runs and when it fails; the store
keeps names of its own for the bytes, so nothing computed is lost. Items of
older keys stay, so changing a parameter back computes nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.aside import SUFFIX, aside, leftovers
from pipeline.cache.items import Item
from pipeline.cache.lock import Lock
from pipeline.cache.shard import Entry, Shard, write_shard
from pipeline.contracts import AvemoError, Status, digest

Wanted = Mapping[str, str]
"""Clip id to the key its item must have."""


@dataclass(frozen=True)
class Held:
    """Where an item lies."""

    path: Path
    dim: int
    entry: Entry


class ShardStore:
    """One component's store for one shard, locked until closed.

    ``info`` goes into every file; ``dtype`` is what ``x`` is stored as (files
    of another dtype are kept but do not count). Raises `AvemoError` if another
    process holds the folder.
    """

    def __init__(self, folder: Path, info: Mapping[str, Any], dtype: str = "float32"):
        self.folder, self.info, self.dtype = Path(folder), dict(info), dtype
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self.folder / "lock")
        self._held: dict[tuple[str, str], Held] = {}
        self._files: dict[Path, set[tuple[str, str]]] = {}
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

    def missing(self, wanted: Wanted) -> list[str]:
        """Sorted ids of clips not held with their key. Recorded failures are held; new media retry them."""
        return sorted(clip_id for clip_id, key in wanted.items() if (clip_id, key) not in self._held)

    def failures(self, wanted: Wanted) -> dict[str, str]:
        """``"status: detail"`` of each wanted clip that is held as failed, by sorted clip id."""
        entries = [self._held[pair].entry for pair in sorted(wanted.items()) if pair in self._held]
        return {e.clip_id: f"{e.status}: {e.detail}" for e in entries if e.status is not Status.ok}

    def append(self, items: Sequence[Item]) -> None:
        """Keep ``items`` for good, as one new part."""
        if items:
            numbers = [int(n) for f in self.folder.iterdir() for n in re.findall(r"^part-(\d+)\.h5", f.name)]
            path = self.folder / f"part-{max(numbers, default=0) + 1:06d}.h5"
            write_shard(path, items, self.info, self.dtype)
            self._register(path)

    def publish(self, wanted: Wanted, output: Path) -> None:
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
        packed = self.folder / f"packed-{digest([self.info, self.dtype, sorted(wanted.items())])}.h5"
        if self._files.get(packed) != set(wanted.items()):
            self._pack(wanted, packed)
        self._register(packed)
        _link(packed, Path(output))
        self._drop_superseded(packed)

    def _load(self) -> None:
        """Read every file's index after checking every byte; what is not whole is set aside."""
        for leftover in self.folder.glob(f".*{SUFFIX}"):
            leftover.unlink()
        for path in sorted(self.folder.glob("*.h5")):
            try:
                _check_whole(path)
                self._register(path)
            except AvemoError as error:
                os.replace(path, path.with_name(path.name + ".corrupt"))
                warnings.warn(
                    f"{error}; set aside as {path.name}.corrupt, its clips count as missing", stacklevel=4
                )

    def _register(self, path: Path) -> None:
        with Shard(path) as shard:
            if shard.dtype != self.dtype:
                return
            held = {(e.clip_id, e.key): Held(path, shard.dim, e) for e in shard.index.values()}
        self._held |= held
        self._files[path] = set(held)

    def _pack(self, wanted: Wanted, packed: Path) -> None:
        held = [self._held[pair] for pair in sorted(wanted.items())]
        dims = {item.dim for item in held if item.entry.status is Status.ok}
        if len(dims) > 1:
            raise AvemoError(
                f"{packed.parent}: expected items of one dimension, found {sorted(dims)}; "
                "raise the version of the extractor whose dim has changed"
            )
        frames = sum(item.entry.length for item in held)
        write_shard(packed, _stored_items(held), self.info, self.dtype, (frames, max(dims, default=0)))

    def _drop_superseded(self, packed: Path) -> None:
        """Delete files that hold nothing which ``packed`` lacks."""
        for path in [p for p, pairs in self._files.items() if p != packed and pairs <= self._files[packed]]:
            path.unlink()
            del self._files[path]


def _check_whole(path: Path) -> None:
    with Shard(path) as shard:
        bad = shard.verify()
    if bad:
        raise AvemoError(f"{path}: expected the bytes that were written, found others in {', '.join(bad)}")


def _stored_items(held: Sequence[Held]) -> Iterator[Item]:
    """The items themselves, one file open at a time: there may be more parts than a process may open."""
    for path, group in groupby(held, key=lambda item: item.path):
        with Shard(path) as shard:
            for item in group:
                if not shard.is_whole(item.entry.clip_id):
                    raise AvemoError(f"{path}: {item.entry.clip_id} has just changed on disk; run again")
                yield shard.item(item.entry.clip_id)


def _link(packed: Path, output: Path) -> None:
    """Give the bytes a second name; copy them where the file system cannot."""
    output.parent.mkdir(parents=True, exist_ok=True)
    for leftover in leftovers(output):
        leftover.unlink()
    with aside(output) as temporary:
        try:
            os.link(packed, temporary)
        except OSError:
            shutil.copyfile(packed, temporary)
        # An output older than its job's inputs would count as stale.
        os.utime(temporary)
