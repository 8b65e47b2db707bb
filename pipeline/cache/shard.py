"""The HDF5 shard: ragged clips packed end to end, readable by any HDF5 tool.

Datasets, each contiguous on disk (frames are read in whole clips, and the bytes
of a contiguous dataset go straight from the file to where they are wanted);
``data`` is in chunks if compressed::

    data (total_frames, dim)      all clips' frames
    times_s (total_frames,)       their times, float64
    index (clips,)                clip_id, key, status, detail, offset, length, checksum
    sum, squares (clips, dim)     per-clip moments, float64

Attributes, texts of fixed length: ``layout`` (version of this description) and ``info`` (JSON).
Shards never change once they have their name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.aside import aside
from pipeline.cache.items import DTYPES, Item, Moments, checksum, moments_of, storable
from pipeline.cache.keys import checked_id
from pipeline.contracts import AvemoError, ClipFailure, FeatureSequence, Status
from pipeline.frames import FrameBuffer, blocks

LAYOUT = "avemo-shard/1"
COMPRESSIONS = ("none", "lzf", "gzip")
CHUNK_BYTES = 2**18
MOST_COMPRESSED = 1100
"""Deflate and LZF shrink nothing further; a dataset that claims more was not written by us."""
FIELDS = {
    "clip_id": "S",
    "key": "S",
    "status": "S",
    "detail": "S",
    "offset": "i",
    "length": "i",
    "checksum": "u",
}
DATASETS = ("data", "times_s", "index", "sum", "squares")


@dataclass(frozen=True)
class Entry:
    """One row of a shard's index; ``offset`` and ``length`` count frames."""

    row: int
    clip_id: str
    key: str
    status: Status
    detail: str
    offset: int
    length: int
    checksum: int


class NewerShard(AvemoError):
    """A file that a newer avemo has written: whole, but not for this one to read or replace."""


def write_shard(
    path: Path,
    items: Iterable[Item],
    info: Mapping[str, Any],
    dtype: str = "float32",
    shape: tuple[int, int] | None = None,
    compression: str = "none",
) -> None:
    """Write ``items`` in their order to a new shard, which appears at ``path`` whole, synced and verified.

    Give ``shape``, the ``(total_frames, dim)`` of all ``ok`` items, to have
    the items streamed one by one. The same items and info make the same
    bytes. Raises `AvemoError` naming the clip that cannot be stored.
    """
    if dtype not in DTYPES:
        raise AvemoError(f"{path}: expected a dtype of {', '.join(DTYPES)}, found {dtype!r}")
    if compression not in COMPRESSIONS:
        raise AvemoError(f"{path}: expected one of {', '.join(COMPRESSIONS)}, found {compression!r}")
    if shape is None:
        items = list(items)
        frames = [item.x for item in items if item.x is not None and item.x.ndim == 2]
        shape = (sum(map(len, frames)), frames[0].shape[1] if frames else 0)
    with aside(path) as temporary:
        # No file locks: a shard is never written to once it can be found.
        with h5py.File(temporary, "w", libver=("v110", "v110"), locking=False) as file:
            _write_text(file, "layout", LAYOUT)
            _write_text(file, "info", json.dumps(dict(info), sort_keys=True))
            _write_items(file, items, dtype, shape, compression)
        with Shard(temporary) as written:
            bad = written.verify()
        if bad:
            raise AvemoError(
                f"{path}: wrote {', '.join(bad)} but read other bytes; check the disk and run again"
            )


def _write_text(file: h5py.File, name: str, text: str) -> None:
    # Of fixed length: it then lies in the checksummed header, not in HDF5's heap, which has no checksum.
    file.attrs.create(name, text.encode(), dtype=h5py.string_dtype(length=max(1, len(text.encode()))))


def _write_items(
    file: h5py.File, items: Iterable[Item], dtype: str, shape: tuple[int, int], compression: str
) -> None:
    data = _data_dataset(file, shape, np.dtype(dtype).newbyteorder("<"), compression)
    times_s = _dataset(file, "times_s", shape[:1], "<f8")
    entries: dict[str, Entry] = {}
    sums, squares, offset = [], [], 0
    for item in items:
        item = storable(item, dtype)
        if item.clip_id in entries:
            raise AvemoError(
                f"{item.clip_id}: expected one item a clip, found two; give each clip an id of its own"
            )
        moments = Moments(0, np.zeros(shape[1]), np.zeros(shape[1]))
        if item.x is not None:
            _check_fits(item.clip_id, item.x.shape, offset, shape)
            moments = moments_of(item.x)
            row = offset
            for block in blocks(item.x):
                data[row : row + len(block)] = block
                row += len(block)
            times_s[offset : offset + len(item.x)] = item.times_s
        entries[item.clip_id] = Entry(
            len(entries),
            item.clip_id,
            item.key,
            item.status,
            item.detail,
            offset,
            moments.count,
            checksum(item, moments),
        )
        sums.append(moments.sum)
        squares.append(moments.squares)
        offset += moments.count
    if offset != shape[0]:
        raise AvemoError(f"{file.filename}: expected {shape[0]} frames in all, found {offset}")
    index = _index_array(list(entries.values()))
    _dataset(file, "index", index.shape, index.dtype)[...] = index
    for name, rows in (("sum", sums), ("squares", squares)):
        _dataset(file, name, (len(rows), shape[1]), "<f8")[...] = np.reshape(rows, (len(rows), shape[1]))


def _check_fits(clip_id: str, found: tuple[int, ...], offset: int, shape: tuple[int, int]) -> None:
    if found[1] != shape[1] or offset + found[0] > shape[0]:
        raise AvemoError(
            f"{clip_id}: expected {shape[1]} dimensions and at most {shape[0] - offset} frames, as "
            f"the clips before it, found {found[1]} and {found[0]}; "
            "raise the version of an extractor whose dim changes"
        )


def _dataset(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    # HDF5 would store the time of creation, and equal shards would differ.
    return file.create_dataset(name, shape, dtype, track_times=False)


def _data_dataset(file: h5py.File, shape: tuple[int, int], dtype: np.dtype, compression: str) -> h5py.Dataset:
    if compression == "none" or 0 in shape:
        return _dataset(file, "data", shape, dtype)
    frames = max(1, min(shape[0], CHUNK_BYTES // (shape[1] * dtype.itemsize)))
    options = {"compression_opts": 1} if compression == "gzip" else {}
    return file.create_dataset(
        *("data", shape, dtype),
        **options,
        chunks=(frames, shape[1]),
        compression=compression,
        shuffle=True,
        track_times=False,
    )


def _index_array(entries: list[Entry]) -> np.ndarray:
    columns: dict[str, list[Any]] = {}
    for name, kind in FIELDS.items():
        values = [getattr(entry, name) for entry in entries]
        columns[name] = [value.encode() for value in values] if kind == "S" else values
    numbers = {"i": "<i8", "u": "<u4"}
    types = [
        (name, h5py.string_dtype(length=max([1, *map(len, columns[name])])) if kind == "S" else numbers[kind])
        for name, kind in FIELDS.items()
    ]
    array = np.zeros(len(entries), np.dtype(types))
    for name, column in columns.items():
        array[name] = column
    return array


class Shard:
    """A shard opened for reading; contents that no `write_shard` makes raise `AvemoError` naming the file."""

    def __init__(self, path: Path):
        self.path = Path(path)
        with _explained(self.path):
            self._file = h5py.File(self.path, "r", locking=False)
        try:
            with _explained(self.path):
                self._datasets = _checked_datasets(self._file, self.path)
                self.info: dict[str, Any] = json.loads(_text(self._file, "info"))
                self.index: dict[str, Entry] = _checked_index(self._datasets)
        except AvemoError:
            self.close()
            raise
        self._descriptor: int = self._file.id.get_vfd_handle()
        self._begins = {name: dataset.id.get_offset() for name, dataset in self._datasets.items()}
        self._stored = self._datasets["data"].dtype
        self.dim: int = self._datasets["data"].shape[1]
        self.dtype: str = self._datasets["data"].dtype.name

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

    def read(self, clip_id: str) -> FeatureSequence:
        """A clip's frames as stored; raises `ClipFailure` for a clip that has failed."""
        entry = self._ok_entry(clip_id)
        x = np.empty((entry.length, self.dim), self._datasets["data"].dtype)
        times_s = np.empty(entry.length, "<f8")
        self._read_frames("data", entry, x)
        self._read_frames("times_s", entry, times_s)
        return FeatureSequence(x, times_s)

    def read_into(self, clip_id: str, out: np.ndarray) -> None:
        """Write a clip's first frames to ``out (frames, dim)``, C-ordered, of any float type."""
        entry = self._ok_entry(clip_id)
        if len(out) > entry.length:
            raise AvemoError(f"{clip_id}: expected at most {entry.length} frames asked for, found {len(out)}")
        if out.dtype == self._stored:
            self._read_frames("data", entry, out)
        else:
            out[...] = self.read(clip_id).x[: len(out)]

    def _ok_entry(self, clip_id: str) -> Entry:
        entry = self.entry(clip_id)
        if entry.status is not Status.ok:
            raise ClipFailure(entry.status, clip_id, entry.detail)
        return entry

    def _read_frames(self, name: str, entry: Entry, out: np.ndarray) -> None:
        """A clip's part of a dataset, from the page cache in one copy where it is not compressed."""
        begin = self._begins[name]
        with _explained(self.path):
            if begin is None:
                self._datasets[name].read_direct(out, np.s_[entry.offset : entry.offset + len(out)])
                return
            position = begin + entry.offset * out.itemsize * math.prod(out.shape[1:])
            rest = memoryview(out.data).cast("B")
            while rest:
                found = os.preadv(self._descriptor, [rest], position)
                if found == 0:
                    raise AvemoError(f"the file's end inside clip {entry.clip_id}")
                rest, position = rest[found:], position + found

    def item(self, clip_id: str) -> Item:
        """A clip's item, failed or not, as it was given to `write_shard`."""
        entry = self.entry(clip_id)
        if entry.status is not Status.ok:
            return Item(clip_id, entry.key, entry.status, entry.detail)
        frames = slice(entry.offset, entry.offset + entry.length)
        with _explained(self.path):
            x, times_s = self._mapped(entry), self._datasets["times_s"][frames]
        return Item(clip_id, entry.key, entry.status, entry.detail, x, times_s)

    def _mapped(self, entry: Entry) -> np.ndarray:
        """A clip's frames without holding them: where they lie in the file, or unpacked to a buffer."""
        data = self._datasets["data"]
        begin = self._begins["data"]
        if begin is not None:
            start = begin + entry.offset * self.dim * data.dtype.itemsize
            # Of this open file: by now another may have its name.
            with open(os.dup(self._descriptor), "rb") as file:
                return np.memmap(file, data.dtype, "r", start, (entry.length, self.dim))
        buffer = FrameBuffer((self.dim,), data.dtype)
        for start in range(entry.offset, entry.offset + entry.length, data.chunks[0]):
            buffer.append(data[start : min(start + data.chunks[0], entry.offset + entry.length)])
        return buffer.array()

    def moments(self, clip_ids: Iterable[str]) -> Moments:
        """Moments of some clips together, from the index alone; failed clips count no frames."""
        entries = [self.entry(clip_id) for clip_id in clip_ids]
        rows = sorted(entry.row for entry in entries)
        with _explained(self.path):
            sums, squares = (self._datasets[name][...][rows].sum(axis=0) for name in ("sum", "squares"))
        return Moments(sum(entry.length for entry in entries), sums, squares)

    def is_whole(self, clip_id: str) -> bool:
        """Whether every byte stored of a clip is as it was written."""
        entry = self.index[clip_id]
        try:
            item = self.item(clip_id)
        except AvemoError:
            # A compressed chunk that does not open; other clips may lie in others.
            return False
        with _explained(self.path):
            sums, squares = self._datasets["sum"][entry.row], self._datasets["squares"][entry.row]
        return entry.checksum == checksum(item, Moments(entry.length, sums, squares))

    def verify(self) -> list[str]:
        """Ids of the clips that are not whole. Reads the whole file."""
        return [clip_id for clip_id in self.index if not self.is_whole(clip_id)]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever h5py or a check says of a bad file becomes an `AvemoError` that names it."""
    try:
        yield
    except NewerShard:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError, AvemoError) as error:
        raise AvemoError(
            f"{path}: expected a whole feature shard ({LAYOUT}), found: {error}; "
            "delete the file and run again, the store makes it anew"
        ) from error


def _text(file: h5py.File, name: str) -> str:
    """An attribute of fixed length. HDF5 may loop for ever reading one of free length from a damaged heap."""
    if file.attrs.get_id(name).dtype.kind != "S":
        raise AvemoError(f"attribute {name} not a text of fixed length")
    return file.attrs[name].decode()


def _checked_datasets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """The five datasets, held inside this file and no larger than it, with shapes that agree."""
    layout = _text(file, "layout")
    name, _, version = layout.partition("/")
    ours, _, newest = LAYOUT.partition("/")
    if name == ours and version.isdecimal() and int(version) > int(newest):
        raise NewerShard(
            f"{path}: expected layout {LAYOUT} or older, found {layout}, which a newer avemo has written; "
            "install that, or give this one a cache of its own"
        )
    if layout != LAYOUT:
        raise AvemoError(f"layout {layout!r}")
    found = {name: _checked_dataset(file, name, path.stat().st_size) for name in DATASETS}
    frames, dim = found["data"].shape
    (clips,) = found["index"].shape
    for name, shape in (("times_s", (frames,)), ("sum", (clips, dim)), ("squares", (clips, dim))):
        if found[name].shape != shape or found[name].dtype != np.dtype("<f8"):
            raise AvemoError(
                f"{name} {found[name].shape} {found[name].dtype} beside data {found['data'].shape}"
            )
    if found["data"].dtype.name not in DTYPES:
        raise AvemoError(f"data of {found['data'].dtype}")
    return found


def _checked_dataset(file: h5py.File, name: str, file_bytes: int) -> h5py.Dataset:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(
        file[name], h5py.Dataset
    ):
        raise AvemoError(f"no dataset {name} of its own")
    dataset = file[name]
    chunked = dataset.chunks is not None
    if (chunked and name != "data") or dataset.external or dataset.is_virtual or dataset.shape is None:
        raise AvemoError(f"{name} not contiguous")
    needed = math.prod(dataset.shape) * dataset.dtype.itemsize
    if needed > file_bytes * (MOST_COMPRESSED if chunked else 1):
        raise AvemoError(f"{name} of {needed} bytes in a file of {file_bytes}")
    if chunked and math.prod(dataset.chunks) * dataset.dtype.itemsize > max(CHUNK_BYTES, needed):
        raise AvemoError(f"{name} in chunks of {dataset.chunks}")
    return dataset


def _checked_index(datasets: dict[str, h5py.Dataset]) -> dict[str, Entry]:
    """The index by clip id; clips must lie end to end, which leaves no room for a false offset or length."""
    stored = datasets["index"].dtype
    kinds = {name: stored[name].kind for name in stored.names or ()}
    if kinds != FIELDS:
        raise AvemoError(f"index of {stored}")
    entries: dict[str, Entry] = {}
    expected = 0
    for row, values in enumerate(datasets["index"][...].tolist()):
        clip_id, key, status, detail = (value.decode() for value in values[:4])
        entry = Entry(row, checked_id(clip_id), key, Status(status), detail, *values[4:])
        if clip_id in entries or entry.offset != expected or (entry.length > 0) != (status == Status.ok):
            raise AvemoError(
                f"clip {clip_id}: {status}, frames {entry.offset} to {entry.offset + entry.length}"
            )
        entries[clip_id] = entry
        expected += max(entry.length, 0)
    if expected != len(datasets["data"]):
        raise AvemoError(f"{len(datasets['data'])} frames, of which {expected} in the index")
    return entries
