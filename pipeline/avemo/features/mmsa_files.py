"""MMSA's pickled dictionaries of features, turned once into files that `imported_audio` and `imported_visual` take."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.atomic import aside_folder
from avemo.base.contracts import AvemoError
from avemo.base.keys import checked_id
from avemo.features.plain_pickle import read_plain_pickle

SIDES = ("train", "valid", "test")
FEATURES = {"audio": "audio.h5", "vision": "visual.h5"}
"""Keys of frames, and the files that they are written to."""
TEXTS = ("raw_text", "annotations")
LABELS = "regression_labels", "classification_labels"
CLIPS = "clips.csv"


@dataclass
class Converted:
    """Numbers of clips, by file; and what is not in any, or not as it was."""

    clips: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def convert(source: Path, out: Path, *, allow_pickle: bool = False) -> Converted:
    """Write the features of MMSA's ``source`` to the new folder ``out``: `FEATURES` and `CLIPS`.

    Each HDF5 file has a dataset a clip, ``(frames, dim)`` float32 without padding; ``clips.csv`` has ids, sides, texts and
    labels. The pickle is read only with ``allow_pickle``, and by `read_plain_pickle`, which runs nothing of it.
    Raises `AvemoError` for anything that is not such a dictionary.
    """
    if out.exists():
        raise AvemoError(f"{out}: expected a new folder, found one; delete it or name another")
    if not allow_pickle:
        raise AvemoError(
            f"{source}: expected leave to read a pickle, found none; give --allow-pickle, if you know where it comes from. "
            "Arrays, lists, dictionaries and texts are taken from it, and anything else is refused"
        )
    sides = _sides(source, read_plain_pickle(source))
    if not any(key in side for key in FEATURES for side in sides.values()):
        raise AvemoError(f"{source}: expected {' or '.join(FEATURES)} of a side, found neither")
    done = Converted()
    with aside_folder(out, new=True) as temporary:
        done.clips[CLIPS] = _write_clips(temporary / CLIPS, source, sides)
        for key, file in FEATURES.items():
            if any(key in side for side in sides.values()):
                done.clips[file] = _write_frames(temporary / file, source, key, sides, done.notes)
    taken = {"id", *TEXTS, *FEATURES, *(f"{key}_lengths" for key in FEATURES)}
    if left := sorted(
        {key for side in sides.values() for key in side if key not in taken and not _label(key)}
    ):
        done.notes.append(f"left out, as there is no place for it: {', '.join(left)}")
    return done


def _label(key: str) -> bool:
    return key.startswith(LABELS)


def _sides(source: Path, loaded: Any) -> dict[str, dict[str, Any]]:
    """The dictionary's sides, each with an id for every clip; raises `AvemoError` for ids that come twice."""
    found = {side: loaded[side] for side in SIDES if side in loaded} if isinstance(loaded, dict) else {}
    if not found or not all(isinstance(side, dict) and "id" in side for side in found.values()):
        keys = ", ".join(map(str, loaded)) if isinstance(loaded, dict) else type(loaded).__name__
        raise AvemoError(
            f"{source}: expected MMSA's dictionary, {', '.join(SIDES)} with an `id` for each clip, found {keys[:200]}"
        )
    seen: dict[str, str] = {}
    for name, side in found.items():
        if other := [key for key in side if not isinstance(key, str)]:
            raise AvemoError(f"{source}: expected texts as keys of {name}, found {other[0]!r:.50}; rename it")
        side["id"] = [checked_id(str(_cell(source, "id", one))) for one in _list(source, name, "id", side)]
        for clip_id in side["id"]:
            if clip_id in seen:
                raise AvemoError(
                    f"{source}: expected clip {clip_id} once, found it in {seen[clip_id]} and in {name}; rename one"
                )
            seen[clip_id] = name
    return found


def _write_clips(path: Path, source: Path, sides: Mapping[str, dict[str, Any]]) -> int:
    """A row a clip: ``clip_id, side``, and what the dictionary says of it in words and numbers."""
    keys = dict.fromkeys(key for side in sides.values() for key in side if key in TEXTS or _label(key))
    count = 0
    # Half a surrogate pair, which a pickle can hold, is written as its number.
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "side", *keys])
        for name, side in sides.items():
            columns = [_one_each(source, name, key, side) for key in keys]
            for clip_id, *values in zip(side["id"], *columns, strict=True):
                writer.writerow([clip_id, name, *(_cell(source, clip_id, value) for value in values)])
                count += 1
    return count


def _one_each(source: Path, name: str, key: str, side: Mapping[str, Any]) -> list[Any] | np.ndarray:
    """What a side has under a key, one a clip; nothing of each where it lacks the key."""
    values = _list(source, name, key, {key: [""] * len(side["id"])} | dict(side))
    if len(values) != len(side["id"]):
        raise AvemoError(
            f"{source}: expected {len(side['id'])} of {key} in {name}, one a clip, found {len(values)}"
        )
    return values


def _list(source: Path, name: str, key: str, side: Mapping[str, Any]) -> list[Any] | np.ndarray:
    """What a side has under a key, which must be a list or an array."""
    values = side[key]
    if isinstance(values, list) or (isinstance(values, np.ndarray) and values.ndim):
        return values
    raise AvemoError(
        f"{source}: expected a list of {key} in {name}, one a clip, found {type(values).__name__}"
    )


def _cell(source: Path, clip_id: str, value: Any) -> str | float | int:
    """A text or a number; a list of one is that one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, str | bytes | int | float):
        raise AvemoError(
            f"{source}, {clip_id}: expected a text or a number, found {type(value).__name__}; write them to a table yourself"
        )
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _write_frames(
    path: Path, source: Path, key: str, sides: Mapping[str, dict[str, Any]], notes: list[str]
) -> int:
    """A dataset a clip; clips without a frame have none. What was cut or replaced is added to ``notes``."""
    import h5py

    written, replaced, empty = 0, 0, []
    with h5py.File(path, "w") as file:
        for clip_id, x in _frames(source, key, sides):
            # As MMSA does when it reads: COVAREP has the logarithm of silence.
            silent = x == -np.inf
            replaced += int(silent.sum())
            with np.errstate(over="ignore"):
                x = np.where(silent, 0, x).astype(np.float32)
            if not np.isfinite(x).all():
                raise AvemoError(
                    f"{source}, {clip_id}: expected numbers in {key} that are finite as float32, found others; "
                    "correct the file"
                )
            if len(x):
                file[clip_id] = x
                written += 1
            else:
                empty.append(clip_id)
    if any(key in side and f"{key}_lengths" not in side for side in sides.values()):
        notes.append(f"{key}: no lengths are given; frames of zeros at a clip's ends were taken for padding")
    if replaced:
        notes.append(f"{key}: {replaced} values of minus infinity became 0, as MMSA reads them")
    if empty:
        notes.append(f"{key}: {len(empty)} clips without a frame, such as {empty[0]}, are left out")
    return written


def _frames(source: Path, key: str, sides: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    """Each clip's frames ``(frames, dim)`` without padding, as they are."""
    dim = None
    for name, side in sides.items():
        if key not in side:
            continue
        padded = _one_each(source, name, key, side)
        lengths = (
            _one_each(source, name, f"{key}_lengths", side)
            if f"{key}_lengths" in side
            else [None] * len(padded)
        )
        for clip_id, rows, length in zip(side["id"], padded, lengths, strict=True):
            x = _array(rows)
            if x.ndim != 2 or x.dtype.kind not in "iuf" or dim not in (None, x.shape[1]):
                raise AvemoError(
                    f"{source}, {clip_id}: expected {key} (frames, {dim or 'dim'}), found {x.dtype} {x.shape}"
                )
            dim = x.shape[1]
            yield clip_id, _whole(x) if length is None else _cut(source, clip_id, x, length)


def _array(rows: Any) -> np.ndarray:
    """Of a clip's frames; of objects where they make none."""
    try:
        return np.asarray(rows)
    except ValueError:  # lists of unequal lengths
        return np.empty(0, object)


def _whole(x: np.ndarray) -> np.ndarray:
    """Without frames of zeros at the ends."""
    real = np.flatnonzero((x != 0).any(1))
    return x[real[0] : real[-1] + 1] if len(real) else x[:0]


def _cut(source: Path, clip_id: str, x: np.ndarray, length: Any) -> np.ndarray:
    """The first ``length`` frames, or the last where padding stands before them."""
    count = _cell(source, clip_id, length)
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if not isinstance(count, int) or not 0 <= count <= len(x):
        raise AvemoError(f"{source}, {clip_id}: expected a length up to {len(x)}, found {str(count)[:50]}")
    first, last = x[:count], x[len(x) - count :]
    padded_before = x[count:].any() and not x[: len(x) - count].any()
    return last if padded_before else first
