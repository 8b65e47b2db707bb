"""Tar files as the webdataset library streams them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np

from avemo.exports.exported import Exported, file_names

SHARD_BYTES = 2**28
"""Of frames in one tar, at most; a longer clip has one of its own."""


def write(given: Exported, folder: Path) -> None:
    """``<side>-<number>.tar``, and of each clip ``<number>.json``, ``<number>.<feature>.npy`` and
    ``<number>.<feature>_times_s.npy``.

    Samples have numbers for keys, as the library ends a key at its first dot; ``clip_id`` is in the JSON. A clip that lacks
    a feature has an array of no frames there. The same clips make the same bytes.
    """
    names = file_names(given.features)
    for side, clips in given.sides.items():
        number = 0
        for shard, clip_ids in enumerate(given.parts(clips.clip_ids, SHARD_BYTES) if len(clips) else [[]]):
            with tarfile.open(folder / f"{side}-{shard:06d}.tar", "w") as tar:
                for said in given.said(clip_ids).to_dict("records"):
                    clip_id = said["clip_id"]
                    said = {key: None if value != value else value for key, value in said.items()}
                    said["target"] = clips.targets[clip_id]
                    _add(tar, f"{number:08d}.json", json.dumps(said).encode())
                    for name, told in names.items():
                        x, times_s = given.frames(name, clip_id)
                        _add(tar, f"{number:08d}.{told}.npy", _as_npy(x))
                        _add(tar, f"{number:08d}.{told}_times_s.npy", _as_npy(times_s))
                    number += 1


def _as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """One member, without a time or an owner."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
