"""Reading a shard: `avemo.cache.shard_layout` says what one looks like."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from avemo.base.contracts import AvemoError, ClipFailure, FeatureSequence, MachineError, Status
from avemo.base.frames import let_go, zeros
from avemo.base.passing import patiently
from avemo.cache.folders import require_file
from avemo.cache.items import Item, Moments, checksum
from avemo.cache.shard_layout import (
    CHUNK_BYTES,
    Entry,
    checked_datasets,
    checked_index,
    checked_info,
    explained,
    text_of,
)

EVERY = slice(None)
"""All columns."""


class Shard:
    """A shard opened for reading.

    Contents that no `write_shard` makes raise `AvemoError` naming the file, and so does reading a clip of which a
    byte has changed since.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        with explained(self.path):
            require_file(self.path)
            self._file = patiently(lambda: h5py.File(self.path, "r", locking=False))
        try:
            with explained(self.path):
                self._datasets = checked_datasets(self._file, self.path)
                self.info: dict[str, Any] = checked_info(json.loads(text_of(self._file, "info")))
                self.index: dict[str, Entry] = checked_index(self._datasets)
        except AvemoError:
            self.close()
            raise
        self._descriptor: int = self._file.id.get_vfd_handle()
        self._begins = {name: dataset.id.get_offset() for name, dataset in self._datasets.items()}
        self._stored = self._datasets["data"].dtype
        self.dim: int = self._datasets["data"].shape[1]
        self.dtype: str = self._datasets["data"].dtype.name
        self._whole: set[str] = set()

    def __enter__(self) -> Shard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def entry(self, clip_id: str) -> Entry:
        """A clip's row of the index; raises `AvemoError` if there is none."""
        if clip_id not in self.index:
            raise AvemoError(f"{self.path}: expected clip {clip_id!r}, found {len(self.index)} others")
        return self.index[clip_id]

    def read(self, clip_id: str, columns: slice = EVERY) -> FeatureSequence:
        """A clip's frames as stored, or ``columns`` of them alone; raises `ClipFailure` for a clip that has failed."""
        entry = self._ok_entry(clip_id)
        if columns != EVERY:
            return self._read_columns(entry, columns)
        x = np.empty((entry.length, self.dim), self._stored)
        self._read_rows("data", entry.offset, x)
        return FeatureSequence(x, self._require_whole(entry, x))

    def read_into(self, clip_id: str, out: np.ndarray, columns: slice = EVERY) -> None:
        """Write a clip's first frames, or ``columns`` of them, to ``out (frames, dim)``, C-ordered, of any float type."""
        entry = self._ok_entry(clip_id)
        if len(out) > entry.length:
            raise AvemoError(f"{clip_id}: expected at most {entry.length} frames asked for, found {len(out)}")
        if out.dtype != self._stored or len(out) < entry.length or columns != EVERY:
            out[...] = self.read(clip_id, columns).x[: len(out)]
            return
        self._read_rows("data", entry.offset, out)
        if clip_id not in self._whole:
            self._require_whole(entry, out)

    def _read_columns(self, entry: Entry, columns: slice) -> FeatureSequence:
        """Some columns of a clip; of the file these are read and no others, once all were compared with their sum."""
        if entry.clip_id not in self._whole:
            self.item(entry.clip_id)
        times_s = np.empty(entry.length, "<f8")
        self._read_rows("times_s", entry.offset, times_s)
        first, begin, of = entry.offset, self._begins["data"], range(self.dim)[columns]
        if begin is None or of.step != 1:
            with explained(self.path):
                return FeatureSequence(self._datasets["data"][first : first + entry.length, columns], times_s)
        size = self._stored.itemsize
        x = np.empty((entry.length, len(of)), self._stored)
        for row, part in enumerate(x, start=first):
            self._read_bytes("data", begin + (row * self.dim + of.start) * size, part)
        return FeatureSequence(x, times_s)

    def _ok_entry(self, clip_id: str) -> Entry:
        entry = self.entry(clip_id)
        if entry.status is not Status.ok:
            raise ClipFailure(entry.status, clip_id, entry.detail)
        return entry

    def _read_rows(self, name: str, first: int, out: np.ndarray) -> None:
        """Rows of a dataset from ``first`` on, from the page cache in one copy where it is not compressed."""
        begin = self._begins[name]
        if begin is None:
            with explained(self.path):
                self._datasets[name].read_direct(out, np.s_[first : first + len(out)])
            return
        self._read_bytes(name, begin + first * (out.nbytes // len(out)) if len(out) else begin, out)

    def _read_bytes(self, name: str, position: int, out: np.ndarray) -> None:
        """The bytes from ``position`` on. Read and never mapped: a mapped page that cannot be read kills the process."""
        rest = out.data.cast("B")
        while rest:
            with explained(self.path):
                found = patiently(partial(os.preadv, self._descriptor, [rest], position))
                if found == 0:
                    raise AvemoError(f"the file's end inside {name}")
            rest, position = rest[found:], position + found

    def _require_whole(self, entry: Entry, x: np.ndarray) -> np.ndarray:
        """A clip's times; raises `AvemoError` where what is stored of it is not as it was written, which is
        looked at once while the file is open."""
        times_s = np.empty(entry.length, "<f8")
        self._read_rows("times_s", entry.offset, times_s)
        self._require(Item(entry.clip_id, entry.key, entry.status, entry.detail, x, times_s))
        return times_s

    def _require(self, item: Item) -> None:
        if item.clip_id not in self._whole and not self._is_written(item):
            raise AvemoError(
                f"{self.path}: expected the bytes that were written, found others in {item.clip_id}; "
                "run avemo cache verify, then the workflow again"
            )
        self._whole.add(item.clip_id)

    def _is_written(self, item: Item) -> bool:
        entry = self.index[item.clip_id]
        row = np.empty((2, 1, self.dim), "<f8")
        for name, moment in zip(("sum", "squares"), row, strict=True):
            self._read_rows(name, entry.row, moment)
        return entry.checksum == checksum(item, Moments(entry.length, *row[:, 0]))

    def item(self, clip_id: str) -> Item:
        """A clip's item, failed or not, as it was given to `write_shard`."""
        item = self._item(self.entry(clip_id))
        self._require(item)
        return item

    def _item(self, entry: Entry) -> Item:
        if entry.status is not Status.ok:
            return Item(entry.clip_id, entry.key, entry.status, entry.detail)
        times_s = np.empty(entry.length, "<f8")
        self._read_rows("times_s", entry.offset, times_s)
        return Item(entry.clip_id, entry.key, entry.status, entry.detail, self._frames(entry), times_s)

    def _frames(self, entry: Entry) -> np.ndarray:
        """A clip's frames; a long clip's are not held in memory."""
        x = zeros((entry.length, self.dim), self._stored)
        step = max(1, CHUNK_BYTES // (self.dim * self._stored.itemsize))
        for start in range(0, entry.length, step):
            self._read_rows("data", entry.offset + start, x[start : start + step])
        let_go(x)
        return x

    def moments(self, clip_ids: Iterable[str]) -> Moments:
        """Moments of some clips together, kept with the index; failed clips count no frames."""
        entries = [self.entry(clip_id) for clip_id in clip_ids]
        for entry in entries:
            if entry.length and entry.clip_id not in self._whole:
                self.read(entry.clip_id)
        rows = sorted(entry.row for entry in entries)
        with explained(self.path):
            sums, squares = (self._datasets[name][...][rows].sum(axis=0) for name in ("sum", "squares"))
        return Moments(sum(entry.length for entry in entries), sums, squares)

    def verify(self) -> list[str]:
        """Ids of the clips of which some stored byte is not as it was written. Reads the whole file."""
        return [clip_id for clip_id, entry in self.index.items() if not self._is_whole(entry)]

    def _is_whole(self, entry: Entry) -> bool:
        try:
            item = self._item(entry)
        except MachineError:
            raise
        except AvemoError:
            # A compressed chunk that does not open; other clips may lie in others.
            return False
        return self._is_written(item)
