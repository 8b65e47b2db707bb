"""A component's shards together: a JSON list of them, and the reader behind every data set.

Nothing is merged or copied. The manifest holds no times and no absolute
paths: unchanged content makes the same bytes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.aside import aside
from pipeline.cache.items import Moments
from pipeline.cache.shard import Entry, Shard
from pipeline.contracts import AvemoError, FeatureSequence, Status, digest

LAYOUT = "avemo-manifest/1"
KEYS = {"layout", "name", "info", "dim", "dtype", "clips", "frames", "fingerprint", "shards"}


def write_manifest(path: Path, shards: Sequence[Path], name: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """List ``shards`` at ``path``, relative to it, and return what was written.

    Raises `AvemoError` if a clip is in two shards or the shards' dimensions differ.
    """
    entries, dims, dtypes = _survey(shards)
    manifest = {
        "layout": LAYOUT,
        "name": name,
        "info": dict(info),
        "dim": max(dims, default=0),
        "dtype": "/".join(sorted(dtypes)),
        "clips": dict(sorted(Counter(str(entry.status) for entry in entries).items())),
        "frames": sum(entry.length for entry in entries),
        "fingerprint": fingerprint(entries),
        "shards": [Path(os.path.relpath(shard, path.parent)).as_posix() for shard in shards],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest


def fingerprint(entries: Iterable[Entry]) -> str:
    """Changes exactly when a clip's key or status does, or clips come or go."""
    return digest(sorted([entry.clip_id, entry.key, str(entry.status)] for entry in entries))


def _survey(shards: Sequence[Path]) -> tuple[list[Entry], set[int], set[str]]:
    """All index entries, and the dimensions and dtypes of shards that hold frames."""
    seen: dict[str, Path] = {}
    entries: list[Entry] = []
    dims: dict[int, Path] = {}
    dtypes: set[str] = set()
    for path in shards:
        with Shard(path) as shard:
            for clip_id in shard.index:
                if clip_id in seen:
                    raise AvemoError(f"{clip_id}: expected in one shard, found in {seen[clip_id]} and {path}")
                seen[clip_id] = path
            entries += shard.index.values()
            dtypes.add(shard.dtype)
            if shard.dim:
                dims[shard.dim] = path
    if len(dims) > 1:
        found = ", ".join(f"{dim} in {path}" for dim, path in dims.items())
        raise AvemoError(f"expected shards of one dimension, found {found}; run the features stage again")
    return entries, set(dims), dtypes


class FeatureSet:
    """All clips of one component, read through its manifest.

    Shards stay open once opened; a forked process opens its own. Raises
    `AvemoError` for a file that is no manifest, or one whose shards have
    changed since it was written.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        manifest = _read_manifest(self.path)
        self.info: dict[str, Any] = manifest["info"]
        self.name: str = manifest["name"]
        self.dim: int = manifest["dim"]
        self.fingerprint: str = manifest["fingerprint"]
        self._paths = [self.path.parent / shard for shard in manifest["shards"]]
        self._shards: dict[Path, Shard] = {}
        self._process = os.getpid()
        self._index = self._read_index()

    def __enter__(self) -> FeatureSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[FeatureSet], tuple[Path]]:
        # Worker processes that are spawned, not forked, get the path and open it again.
        return FeatureSet, (self.path,)

    def close(self) -> None:
        """Close all shards; reading opens them again."""
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()

    @property
    def clip_ids(self) -> list[str]:
        """Sorted ids of the clips that have frames."""
        return sorted(clip_id for clip_id in self._index if self.has(clip_id))

    def statuses(self) -> pd.DataFrame:
        """``clip_id, status, detail, frames`` of every clip, sorted by id."""
        entries = [entry for _, (_, entry) in sorted(self._index.items())]
        rows = [(entry.clip_id, str(entry.status), entry.detail, entry.length) for entry in entries]
        return pd.DataFrame(rows, columns=["clip_id", "status", "detail", "frames"])

    def has(self, clip_id: str) -> bool:
        """Whether the clip has frames."""
        return clip_id in self._index and self._index[clip_id][1].status is Status.ok

    def length(self, clip_id: str) -> int:
        """A clip's number of frames; 0 if it failed."""
        return self._find(clip_id)[1].length

    def read(self, clip_id: str) -> FeatureSequence:
        """A clip's frames as stored; raises `ClipFailure` if it failed, `AvemoError` if it is unknown."""
        return self._open(self._find(clip_id)[0]).read(clip_id)

    def read_into(self, clip_id: str, out: np.ndarray) -> None:
        """As `read`, without times: writes the first frames to ``out (frames, dim)``, C-ordered, of any float type."""
        self._open(self._find(clip_id)[0]).read_into(clip_id, out)

    def moments(self, clip_ids: Iterable[str]) -> Moments:
        """Moments over all frames of some clips, each counted once, without reading a frame."""
        by_shard: dict[Path, list[str]] = {}
        for clip_id in set(clip_ids):
            if self.length(clip_id):
                by_shard.setdefault(self._find(clip_id)[0], []).append(clip_id)
        total = Moments(0, np.zeros(self.dim), np.zeros(self.dim))
        for path in sorted(by_shard):
            total = total + self._open(path).moments(by_shard[path])
        return total

    def _find(self, clip_id: str) -> tuple[Path, Entry]:
        if clip_id not in self._index:
            raise AvemoError(f"{self.path}: expected clip {clip_id!r}, found {len(self._index)} others")
        return self._index[clip_id]

    def _open(self, path: Path) -> Shard:
        if self._process != os.getpid():
            self._shards, self._process = {}, os.getpid()
        if path not in self._shards:
            self._shards[path] = Shard(path)
        return self._shards[path]

    def _read_index(self) -> dict[str, tuple[Path, Entry]]:
        index: dict[str, tuple[Path, Entry]] = {}
        for path in self._paths:
            with Shard(path) as shard:
                index |= {clip_id: (path, entry) for clip_id, entry in shard.index.items()}
        found = fingerprint(entry for _, entry in index.values())
        if found != self.fingerprint:
            raise AvemoError(
                f"{self.path}: expected shards of fingerprint {self.fingerprint}, found {found}; "
                "they have changed since, write the manifest again"
            )
        return index


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AvemoError(
            f"{path}: expected a feature manifest, found: {error}; run the features stage"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("layout") != LAYOUT or not manifest.keys() >= KEYS:
        raise AvemoError(
            f"{path}: expected a manifest of layout {LAYOUT}, found another; run the features stage"
        )
    return manifest
