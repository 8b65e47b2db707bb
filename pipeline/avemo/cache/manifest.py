"""A component's shards together: a JSON list of them, and the reader behind every data set.

Nothing is merged or copied. The manifest holds no times and no absolute
paths: unchanged content makes the same bytes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError, FeatureSequence, Status, digest
from avemo.base.keys import parted_id, shard_of
from avemo.base.passing import is_passing, patiently
from avemo.cache.folders import require_file
from avemo.cache.items import Item, Moments
from avemo.cache.shard import EVERY, Shard
from avemo.cache.shard_layout import Entry, checked_info, fingerprint, unread
from avemo.cache.united import ShardOf, common_info, member_manifest, unlike

LAYOUT = "avemo-manifest/2"


class Manifest(BaseModel):
    """What the file says: ``shards`` by number, relative to it, with a fingerprint each and one of all.

    Of several corpora together: each one's id and the fingerprint of its own manifest, and no shards.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    layout: Literal["avemo-manifest/2"]
    name: str
    info: dict[str, Any]
    dim: int = Field(ge=0)
    dtype: str
    clips: dict[str, int]
    frames: int = Field(ge=0)
    fingerprint: str
    shards: list[str]
    fingerprints: list[str]
    corpora: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")], str] = {}


def write_manifest(path: Path, shards: Sequence[Path], name: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """List ``shards`` at ``path``, relative to it, and return what was written.

    Raises `AvemoError` if a clip is in two shards, the shards' dimensions differ, or what made them is not ``info``.
    """
    by_shard, dims, dtypes = _survey(shards, info)
    entries = [entry for index in by_shard for entry in index]
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
        "fingerprints": [fingerprint(index) for index in by_shard],
    }
    _write(path, manifest)
    return manifest


def write_united_manifest(path: Path, corpora: Sequence[str]) -> dict[str, Any]:
    """Name the manifests of several corpora in one, and return what was written.

    Raises `AvemoError` where their features were not made alike.
    """
    parts = {corpus: read_manifest(member_manifest(path, corpus)) for corpus in sorted(corpora)}
    infos = {corpus: common_info(part.info) for corpus, part in parts.items()}
    other = unlike(infos)
    dims = {part.dim for part in parts.values() if part.dim}
    if other or len(dims) > 1:
        told = "; ".join(other) or ", ".join(f"{part.dim} dimensions in {c}" for c, part in parts.items())
        raise AvemoError(
            f"{path}: expected features that were made alike in all corpora, found {told}; run the features stage "
            "again where the same libraries are installed"
        )
    statuses = sum((Counter(part.clips) for part in parts.values()), Counter[str]())
    fingerprints = {corpus: part.fingerprint for corpus, part in parts.items()}
    first = next(iter(parts.values()))
    manifest = {
        "layout": LAYOUT,
        "name": first.name,
        "info": next(iter(infos.values())),
        "dim": max(dims, default=0),
        "dtype": "/".join(sorted({part.dtype for part in parts.values()})),
        "clips": dict(sorted(statuses.items())),
        "frames": sum(part.frames for part in parts.values()),
        "fingerprint": digest(fingerprints),
        "shards": [],
        "fingerprints": [],
        "corpora": fingerprints,
    }
    _write(path, manifest)
    return manifest


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def _survey(shards: Sequence[Path], info: Mapping[str, Any]) -> tuple[list[list[Entry]], set[int], set[str]]:
    """The index entries of each shard, and the dimensions and dtypes of those that hold frames."""
    seen: dict[str, Path] = {}
    by_shard: list[list[Entry]] = []
    dims: dict[int, Path] = {}
    dtypes: set[str] = set()
    for path in shards:
        with Shard(path) as shard:
            _check_made_alike(path, shard.info, info)
            for clip_id in shard.index:
                if clip_id in seen:
                    raise AvemoError(f"{clip_id}: expected in one shard, found in {seen[clip_id]} and {path}")
                seen[clip_id] = path
            by_shard.append(list(shard.index.values()))
            dtypes.add(shard.dtype)
            if shard.dim:
                dims[shard.dim] = path
    if len(dims) > 1:
        found = ", ".join(f"{dim} in {path}" for dim, path in dims.items())
        raise AvemoError(f"expected shards of one dimension, found {found}; run the features stage again")
    return by_shard, set(dims), dtypes


def _check_made_alike(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise `AvemoError` where a shard was made by another config, network or library than the others."""
    other = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    if other:
        told = (f"{key} {found.get(key)} instead of {expected.get(key)}" for key in other)
        raise AvemoError(
            f"{path}: expected a shard made as the others were, found {'; '.join(told)}; "
            "run the features stage again where the same libraries are installed"
        )


class FeatureSet:
    """All clips of one component, read through its manifest.

    A shard is opened when a clip of it is asked for, and stays open; a forked
    process opens its own. Where frames are made of parts, such as layers of a
    network, ``part`` names the one to see. Raises `AvemoError` for a file that is no
    manifest, for a part that frames do not have, and where a shard has changed since it was written.
    """

    def __init__(self, path: Path, part: str = ""):
        self.path, self.part = Path(path), part
        manifest = read_manifest(self.path)
        self.info, self.name = manifest.info, manifest.name
        self.columns = columns_of(self.path, manifest.info.get("parts", ()), manifest.dim, part)
        self.dim = len(range(manifest.dim)[self.columns])
        self.dtype, self.fingerprint = manifest.dtype, manifest.fingerprint
        self._places: dict[str, list[Path]] = {}
        self._fingerprints: dict[Path, str] = {}
        for corpus, place, part_of in _parts(self.path, manifest):
            self._places[corpus] = [place.parent / shard for shard in part_of.shards]
            self._fingerprints |= zip(self._places[corpus], part_of.fingerprints, strict=True)
        self._corpus_of = {path: corpus for corpus, paths in self._places.items() for path in paths}
        self._shards: dict[Path, Shard | ShardOf] = {}
        self._holders: dict[str, Shard | ShardOf] = {}
        self._process = os.getpid()

    def __enter__(self) -> FeatureSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[FeatureSet], tuple[Path, str]]:
        # Worker processes that are spawned, not forked, get the path and open it again.
        return FeatureSet, (self.path, self.part)

    def close(self) -> None:
        """Close all shards; reading opens them again."""
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()
        self._holders.clear()

    @property
    def paths(self) -> list[Path]:
        """Its shards."""
        return [path for paths in self._places.values() for path in paths]

    def entries(self) -> list[Entry]:
        """Every clip's row of its shard's index, sorted by id."""
        found = [entry for path in self.paths for entry in self._open(path).index.values()]
        return sorted(found, key=lambda entry: entry.clip_id)

    @property
    def clip_ids(self) -> list[str]:
        """Sorted ids of the clips that have frames."""
        return [entry.clip_id for entry in self.entries() if entry.status is Status.ok]

    def statuses(self) -> pd.DataFrame:
        """``clip_id, status, detail, frames`` of every clip, sorted by id."""
        rows = [(entry.clip_id, str(entry.status), entry.detail, entry.length) for entry in self.entries()]
        return pd.DataFrame(rows, columns=["clip_id", "status", "detail", "frames"])

    def has(self, clip_id: str) -> bool:
        """Whether the clip has frames."""
        shard = self._holder(clip_id)
        return shard is not None and shard.index[clip_id].status is Status.ok

    def length(self, clip_id: str) -> int:
        """A clip's number of frames; 0 if it failed."""
        return self._find(clip_id).index[clip_id].length

    def read(self, clip_id: str) -> FeatureSequence:
        """A clip's frames as stored; raises `ClipFailure` if it failed, `AvemoError` if it is unknown."""
        return self._find(clip_id).read(clip_id, self.columns)

    def read_into(self, clip_id: str, out: np.ndarray) -> None:
        """As `read`, without times: writes the first frames to ``out (frames, dim)``, C-ordered."""
        self._find(clip_id).read_into(clip_id, out, self.columns)

    def item(self, clip_id: str) -> Item:
        """A clip's whole item, failed or not."""
        return self._find(clip_id).item(clip_id)

    def moments(self, clip_ids: Iterable[str]) -> Moments:
        """Moments over all frames of some clips, each counted once; they were summed when the frames were written."""
        by_shard: dict[Path, list[str]] = {}
        for clip_id in set(clip_ids):
            if self.length(clip_id):
                by_shard.setdefault(self._find(clip_id).path, []).append(clip_id)
        total = Moments(0, np.zeros(self.dim), np.zeros(self.dim))
        for path in sorted(by_shard):
            found = self._open(path).moments(by_shard[path])
            total += Moments(found.count, found.sum[self.columns], found.squares[self.columns])
        return total

    def _find(self, clip_id: str) -> Shard | ShardOf:
        shard = self._holder(clip_id)
        if shard is None:
            raise AvemoError(f"{self.path}: expected clip {clip_id!r}, found {len(self.entries())} others")
        return shard

    def _holder(self, clip_id: str) -> Shard | ShardOf | None:
        """The shard that has the clip; the one its id belongs to is looked at first."""
        if clip_id in self._holders and self._process == os.getpid():
            return self._holders[clip_id]
        corpus, name = ("", clip_id) if "" in self._places else parted_id(clip_id)
        paths = self._places.get(corpus)
        if not paths:
            return None
        likely = paths[shard_of(name, len(paths))]
        shards = (self._open(path) for path in (likely, *paths))
        return next((shard for shard in shards if clip_id in shard.index), None)

    def _open(self, path: Path) -> Shard | ShardOf:
        if self._process != os.getpid():
            self._shards, self._holders, self._process = {}, {}, os.getpid()
        if path not in self._shards:
            shard = Shard(path)
            found, expected = fingerprint(shard.index.values()), self._fingerprints[path]
            if found != expected:
                shard.close()
                raise AvemoError(
                    f"{self.path}: expected {path.name} of fingerprint {expected}, found {found}; "
                    "it has changed since, write the manifest again"
                )
            corpus = self._corpus_of[path]
            self._shards[path] = ShardOf(shard, corpus) if corpus else shard
            self._holders |= dict.fromkeys(self._shards[path].index, self._shards[path])
        return self._shards[path]


def _parts(path: Path, manifest: Manifest) -> Iterator[tuple[str, Path, Manifest]]:
    """The manifests of its corpora, with where they lie; it itself, under no name, where it is of one corpus."""
    if not manifest.corpora:
        yield "", path, manifest
    for corpus, expected in manifest.corpora.items():
        place = member_manifest(path, corpus)
        part = read_manifest(place)
        if part.fingerprint != expected or part.corpora:
            raise AvemoError(
                f"{path}: expected {place} of fingerprint {expected}, found {part.fingerprint}; "
                "it has changed since, write the manifest again"
            )
        yield corpus, place, part


def columns_of(where: Path | str, parts: Sequence[str], dim: int, part: str) -> slice:
    """Of frames of ``dim`` that are made of ``parts``, the columns of one; all where none is named."""
    if not part:
        return EVERY
    if part not in parts:
        raise AvemoError(
            f"{where}: expected a part of its frames ({', '.join(parts) or 'they have none'}), found {part!r}; "
            "name one of these, or leave it out"
        )
    width = dim // len(parts)
    first = list(parts).index(part) * width
    return slice(first, first + width)


def read_manifest(path: Path) -> Manifest:
    """The file, checked; raises `AvemoError` for anything that `write_manifest` does not write."""
    try:
        require_file(path)
        manifest = Manifest.model_validate(json.loads(patiently(path.read_text)))
        checked_info(manifest.info)
        for shard in manifest.shards:
            if Path(shard).is_absolute() or ".." in Path(shard).parts or not shard.isprintable():
                raise ValueError(f"a shard outside its folder, {shard!r}")
        if len(manifest.fingerprints) != len(manifest.shards):
            raise ValueError(f"{len(manifest.fingerprints)} fingerprints of {len(manifest.shards)} shards")
    except (OSError, ValueError, RecursionError, AvemoError) as error:
        if is_passing(error):
            raise unread(path, error) from error
        raise AvemoError(
            f"{path}: expected a manifest of layout {LAYOUT}, found: {error}; run the features stage"
        ) from error
    return manifest
