"""Writing a shard: whole, synced and read back, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.base.frames import blocks
from avemo.cache.items import DTYPES, Item, Moments, checksum, moments_of, storable
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import CHUNK_BYTES, COMPRESSIONS, FIELDS, LAYOUT, Entry


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
            _write_items(file, items, dtype, shape, compression, len(info.get("parts", ())) or 1)
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
    file: h5py.File, items: Iterable[Item], dtype: str, shape: tuple[int, int], compression: str, parts: int
) -> None:
    data = _data_dataset(file, shape, np.dtype(dtype).newbyteorder("<"), compression, parts)
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


def _data_dataset(
    file: h5py.File, shape: tuple[int, int], dtype: np.dtype, compression: str, parts: int
) -> h5py.Dataset:
    if compression == "none" or 0 in shape:
        return _dataset(file, "data", shape, dtype)
    # A chunk holds one part of its frames, so that a part is unpacked alone.
    width = shape[1] // parts
    frames = max(1, min(shape[0], CHUNK_BYTES // (width * dtype.itemsize)))
    options = {"compression_opts": 1} if compression == "gzip" else {}
    return file.create_dataset(
        *("data", shape, dtype),
        **options,
        chunks=(frames, width),
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
