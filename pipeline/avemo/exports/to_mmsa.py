"""MMSA's dictionary of features, in an `.npz` and without a pickle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np

from avemo.base.contracts import AvemoError
from avemo.dataset.labels import value_columns
from avemo.exports.exported import Exported
from avemo.study.run import modality_of

FILE = "mmsa.npz"
CALLED = {"train": "train", "dev": "valid", "test": "test"}
"""What MMSA calls sides."""
MODALITIES = {"audio": "audio", "visual": "vision"}


def write(given: Exported, folder: Path) -> None:
    """`FILE` with ``<side>/<key>`` for each ``[side][key]`` of the dictionary that MMSA's README documents.

    ``audio`` and ``vision`` are ``(clips, frames, dim)`` float32, zeros at the end up to the longest clip of all sides, with
    ``audio_lengths`` and ``vision_lengths``; ``id`` are clip ids. Classes: ``classification_labels`` (numbers) and
    ``annotations`` (names). Numbers: ``regression_labels``, one a clip, or ``(clips, outputs)`` where there are several.
    Text there is none. What MMSA has no key for, and does not look at: ``speaker``, and where labels are shares of the
    classes ``label_shares (clips, classes)``. Frames are written clip by clip. Raises `AvemoError` for two features of one modality.
    """
    chosen: dict[str, str] = {}
    for name in given.features:
        modality = modality_of(name.partition("/")[0])
        key = MODALITIES[modality]
        if key in chosen:
            raise AvemoError(
                f"mmsa: expected one feature of {modality}, found {chosen[key]} and {name}; "
                "choose by --feature"
            )
        chosen[key] = name
    every = [clip_id for clips in given.sides.values() for clip_id in clips.clip_ids]
    with ZipFile(folder / FILE, "w") as archive:
        for side, called in CALLED.items():
            clip_ids = given.sides[side].clip_ids
            _add(archive, f"{called}/id", _texts(clip_ids))
            _add(archive, f"{called}/speaker", _texts(given.said(clip_ids)["speaker"]))
            for key, array in _labels(given, clip_ids).items():
                _add(archive, f"{called}/{key}", array)
            for key, name in chosen.items():
                lengths = [given.length(name, clip_id) for clip_id in clip_ids]
                longest = max((given.length(name, clip_id) for clip_id in every), default=0)
                _add(archive, f"{called}/{key}_lengths", np.array(lengths, np.int64))
                shape = len(clip_ids), int(longest), given.features[name].dim
                _add_rows(archive, f"{called}/{key}", shape, _padded(given, name, clip_ids, longest))


def _labels(given: Exported, clip_ids: Sequence[str]) -> dict[str, np.ndarray]:
    said, task = given.said(clip_ids), given.labels.task
    columns = value_columns(task)
    values = said[columns].to_numpy(np.float32) if columns[0] in said else None
    if task.kind == "classes":
        numbers = [task.names.index(name) for name in said["label"]]
        found = {"classification_labels": np.array(numbers, np.int64), "annotations": _texts(said["label"])}
        return found if values is None else found | {"label_shares": values}
    assert values is not None  # labels that are no classes are numbers
    return {"regression_labels": values[:, 0] if len(columns) == 1 else values}


def _padded(given: Exported, name: str, clip_ids: Iterable[str], longest: int) -> Iterator[np.ndarray]:
    for clip_id in clip_ids:
        x, _ = given.frames(name, clip_id)
        padded = np.zeros((longest, x.shape[1]), np.float32)
        padded[: len(x)] = x
        yield padded


def _texts(texts: Iterable[str]) -> np.ndarray:
    return np.array(list(texts), np.str_)


def _add(archive: ZipFile, name: str, array: np.ndarray) -> None:
    _add_rows(archive, name, array.shape, [array], array.dtype)


def _add_rows(
    archive: ZipFile,
    name: str,
    shape: tuple[int, ...],
    rows: Iterable[np.ndarray],
    dtype: np.dtype | type = np.float32,
) -> None:
    """An array as `numpy.savez` would add it, without all of it in memory; the same bytes at any time."""
    described = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    with archive.open(ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, described)
        for row in rows:
            member.write(np.ascontiguousarray(row).tobytes())
