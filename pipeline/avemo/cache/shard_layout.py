"""The HDF5 shard: ragged clips packed end to end, readable by any HDF5 tool.

Datasets, each contiguous on disk (frames are read in whole clips, and the bytes
of a contiguous dataset go straight from the file to where they are wanted);
``data`` is in chunks if compressed::

    data (total_frames, dim)      all clips' frames
    times_s (total_frames,)       their times, float64
    index (clips,)                clip_id, key, status, detail, offset, length, checksum
    sum, squares (clips, dim)     per-clip moments, float64

Attributes, texts of fixed length: ``layout`` (version of this description) and ``info`` (JSON).
Shards never change once they have their name. Here is what they look like, and what makes a file be one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from avemo.base.contracts import AvemoError, MachineError, Status, digest
from avemo.base.keys import checked_id
from avemo.base.passing import is_passing
from avemo.cache.items import DTYPES

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


def fingerprint(entries: Iterable[Entry]) -> str:
    """Changes exactly when a clip's key or status does, or clips come or go."""
    return digest(sorted([entry.clip_id, entry.key, str(entry.status)] for entry in entries))


class NewerShard(AvemoError):
    """A file that a newer avemo has written: whole, but not for this one to read or replace."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Whatever h5py or a check says of a bad file becomes an `AvemoError` that names it, a `MachineError` where it may be whole."""
    try:
        yield
    except (NewerShard, MachineError):
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError, AvemoError) as error:
        # Also a RecursionError, of JSON without end.
        if is_passing(error):
            raise unread(path, error) from error
        raise AvemoError(
            f"{path}: expected a whole feature shard ({LAYOUT}), found: {error}; "
            "delete the file and run again, the store makes it anew"
        ) from error


def unread(path: Path, error: BaseException) -> MachineError:
    """What stops a job where a file that may be whole cannot be read now."""
    return MachineError(
        f"{path}: expected to read it, found: {error}; nothing speaks against the file: mount its storage, let whoever "
        "runs this read it, or free memory and open files, then run again"
    )


def text_of(file: h5py.File, name: str) -> str:
    """An attribute of fixed length. HDF5 may loop for ever reading one of free length from a damaged heap."""
    if file.attrs.get_id(name).dtype.kind != "S":
        raise AvemoError(f"attribute {name} not a text of fixed length")
    return file.attrs[name].decode()


def checked_info(info: object) -> dict[str, Any]:
    """What made a shard, as a mapping whose own mappings are such; raises `AvemoError` for anything else."""
    if not isinstance(info, dict):
        raise AvemoError(f"info that is no mapping: {str(info)[:60]}")
    for name, kind in (("provenance", dict), ("config", dict), ("component", str), ("corpus", str)):
        if not isinstance(info.get(name, kind()), kind):
            raise AvemoError(f"info whose {name} is {str(info[name])[:60]!r}")
    return info


def checked_datasets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """The five datasets, held inside this file and no larger than it, with shapes that agree."""
    layout = text_of(file, "layout")
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


def checked_index(datasets: dict[str, h5py.Dataset]) -> dict[str, Entry]:
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
