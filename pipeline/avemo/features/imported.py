"""Features that another program made, taken from its files into the cache under a key of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from avemo.base.component import Work
from avemo.base.contracts import (
    AvemoError,
    ClipFailure,
    ComponentConfig,
    FeatureSequence,
    MachineError,
    Status,
    located,
)
from avemo.features.base import Extractor
from avemo.features.imported_files import ARRAYS, PRESETS, Reading, open_file
from avemo.weights.hashes import parts_of, sha256_path


class ImportedConfig(ComponentConfig):
    """Which file, and what its columns mean."""

    file: str = located()
    """A .csv, .parquet or .h5, or a folder with a .npy, .npz or .csv for each clip. Its bytes are part of the key."""
    preset: Literal["none", "openface", "py-feat"] = "none"
    """What columns mean in files of these programs; fields below that are given count more."""
    id: str = "clip_id"
    """Of one table for all clips: the column of clip ids."""
    times: str | None = None
    """The column with each frame's time in seconds."""
    fps: float | None = Field(None, gt=0)
    """Without it: rows a second. A clip of one row needs neither; its time is 0."""
    columns: tuple[str, ...] = ()
    """Patterns such as ``AU*``; none: all columns but those of ids and times."""


class Imported(Extractor):
    """A row a clip, or frames, as the file has them. A clip that the file lacks fails with its name.

    The file's hash is in the key, and not what made it: whoever imports features answers for that. Reports say so.
    """

    reads: ClassVar[str] = "table"
    version = 1
    tiny = {"file": "features.csv"}
    work = Work(seconds=0.05, memory_mb=4000)
    Config = ImportedConfig

    def __init__(self, config: ImportedConfig):
        super().__init__(config)
        self._seen = _stats(Path(config.file))
        self._hash = sha256_path(config.file)
        own = PRESETS.get(config.preset, Reading())
        given = {name: getattr(config, name) for name in ("id", "times", "fps", "columns")}
        set_here = {name: value for name, value in given.items() if name in config.model_fields_set and value}
        self._path = Path(config.file)
        self._file = open_file(self._path, replace(own, **set_here))
        some = self._file.any_clip()
        first = self._file.read(some) if some else None
        if first is None:
            raise AvemoError(f"{self._path}: expected features of clips, found none; correct `file`")
        self.dim = first.x.shape[1]

    def provenance(self) -> dict[str, Any]:
        """That they were imported, and the sha-256 of the file."""
        return {"imported": self._path.name, "file": self._hash}

    def key_part(self) -> str:
        """By the file's bytes, not its name."""
        from avemo.base.contracts import digest

        return digest([self.name, self.release(), self.config.numbers(), self._hash])

    @property
    def identity(self) -> str | None:
        """Of the file."""
        return self._hash

    def read(self, clip_id: str) -> FeatureSequence:
        """A clip's frames; raises `ClipFailure` where the file has none, `AvemoError` for another width, `MachineError`
        where it has changed since it was hashed."""
        found = self._file.read(clip_id)
        self._require_at_rest(clip_id)
        if found is None or not len(found.x):
            what = "no features" if found is None else "no row in which anything was seen"
            raise ClipFailure(Status.not_imported, clip_id, f"{what} in {self._path.name}")
        if found.x.shape[1] != self.dim:
            raise AvemoError(
                f"{self._path}, {clip_id}: expected {self.dim} columns, as other clips have, found {found.x.shape[1]}"
            )
        return found

    def _require_at_rest(self, clip_id: str) -> None:
        """As a folder has thousands of files, of those only the clip's."""
        places = [self._path]
        if self._path.is_dir():
            places = [self._path / f"{clip_id}{ending}" for ending in ARRAYS]
        if any(_stats(place).get(place) != self._seen.get(place) for place in places):
            raise MachineError(
                f"{self._path}, {clip_id}: expected a file at rest, found it changed while its features were imported; "
                "run again"
            )


def _stats(path: Path) -> dict[Path, tuple[int, int, int, int]]:
    """What tells of the files behind a path whether they were replaced or written to."""
    stats = {part: part.stat() for part in parts_of(path)}
    return {part: (s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for part, s in stats.items()}


class ImportedAudio(Imported):
    """Of the sound."""

    name = "imported_audio"
    modality = "audio"


class ImportedVisual(Imported):
    """Of the faces, or of anything seen."""

    name = "imported_visual"
    modality = "visual"
