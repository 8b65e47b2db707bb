"""Features in other programs' files, by clip id: tables, folders of arrays, HDF5. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from avemo.base.contracts import AvemoError, ConfigError, FeatureSequence
from avemo.base.registry import nearest

ARRAYS = (".npy", ".npz", ".csv")
"""Files of a folder that hold a clip's frames, by ending."""


@dataclass(frozen=True)
class Reading:
    """How rows become frames: column of ids, column of times in seconds (or how many rows a second), columns to take
    as patterns, and the column that is 0 where a row has seen nothing."""

    id: str = "clip_id"
    times: str | None = None
    fps: float | None = None
    columns: tuple[str, ...] = ()
    seen: str | None = None


PRESETS: dict[str, Reading] = {
    "openface": Reading(
        times="timestamp",
        columns=("AU*_r", "AU*_c", "pose_Rx", "pose_Ry", "pose_Rz", "gaze_angle_x", "gaze_angle_y"),
        seen="success",
    ),
    "py-feat": Reading(
        columns=(
            *("AU*", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
            *("Pitch", "Roll", "Yaw"),
        ),
        seen="FaceScore",
    ),
}
"""OpenFace 2's CSV of a clip, and py-feat's."""


class ImportedFile(Protocol):
    """A file or folder of features."""

    def read(self, clip_id: str) -> FeatureSequence | None:
        """A clip's frames; None if there is nothing of it."""

    def any_clip(self) -> str | None:
        """The id of some clip; None where there is none."""


def open_file(path: Path, reading: Reading) -> ImportedFile:
    """The file, of the kind that its ending says. Raises `AvemoError` for another kind, and for one that is not there."""
    if path.is_dir():
        if tensors := next(path.glob("*.safetensors"), None):
            raise AvemoError(
                f"{path}: expected a folder of {', '.join(ARRAYS)}, found {tensors.name}, as of a network; correct `file`"
            )
        return _Folder(path, reading)
    if not path.is_file():
        raise AvemoError(f"{path}: expected a file or folder of features, found nothing; correct `file`")
    if path.suffix in (".csv", ".parquet"):
        return _Table(path, reading)
    if path.suffix in (".h5", ".hdf5"):
        return _Hdf5(path, reading)
    if path.suffix in (".pkl", ".pickle"):
        raise AvemoError(
            f"{path}: expected .csv, .parquet, .h5 or a folder of {', '.join(ARRAYS)}, found a pickle, which runs "
            "its author's code when read; MMSA's becomes files to import by `avemo cache convert FILE --allow-pickle "
            "--out FOLDER`; of others write the arrays with numpy.savez where you trust them, a file a clip"
        )
    raise AvemoError(
        f"{path}: expected .csv, .parquet, .h5 or a folder of {', '.join(ARRAYS)}, found {path.suffix or 'no ending'}"
    )


class _Table:
    """One row a clip, or a row a frame."""

    def __init__(self, path: Path, reading: Reading):
        self._path, self._reading = path, reading
        table = read_table(path, (reading.id,))
        if reading.id not in table:
            raise _lacks(path, reading.id, table)
        ids = table[reading.id].astype(str).str.strip()
        self._rows = dict(iter(table.drop(columns=reading.id).groupby(ids, sort=False)))

    def read(self, clip_id: str) -> FeatureSequence | None:
        rows = self._rows.get(clip_id)
        return None if rows is None else _frames(f"{self._path}, {clip_id}", rows, self._reading)

    def any_clip(self) -> str | None:
        return next(iter(self._rows), None)


class _Folder:
    """A file a clip, named for it."""

    def __init__(self, path: Path, reading: Reading):
        self._path, self._reading = path, reading

    def read(self, clip_id: str) -> FeatureSequence | None:
        found = [path for ending in ARRAYS if (path := self._path / f"{clip_id}{ending}").is_file()]
        if len(found) > 1:
            raise AvemoError(
                f"{self._path}: expected one file of clip {clip_id}, found {', '.join(one.name for one in found)}; "
                "leave the right one"
            )
        return self._of(found[0]) if found else None

    def _of(self, path: Path) -> FeatureSequence:
        if path.suffix == ".csv":
            return _frames(str(path), read_table(path), self._reading)
        try:
            loaded = np.load(path, allow_pickle=False)
            if path.suffix == ".npy":
                return _array(str(path), loaded, None, self._reading)
            with loaded:
                times_s = loaded.get("times_s")
                return _array(str(path), loaded["x"], times_s, self._reading)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise AvemoError(
                f"{path}: expected an array (in .npz: x, and times_s if its frames have times), found: {error}"
            ) from error

    def any_clip(self) -> str | None:
        return min((path.stem for path in self._path.iterdir() if path.suffix in ARRAYS), default=None)


class _Hdf5:
    """A dataset a clip, or a group with ``x`` and ``times_s``."""

    def __init__(self, path: Path, reading: Reading):
        self._path, self._reading = path, reading

    def read(self, clip_id: str) -> FeatureSequence | None:
        """A clip's data set, or its group of frames and times; None if the file has neither. Raises `AvemoError`."""
        import h5py

        try:
            with h5py.File(self._path, "r", locking=False) as file:
                if clip_id not in file:
                    return None
                x, times_s = file[clip_id], None
                if isinstance(x, h5py.Group):
                    times_s = x["times_s"][...] if "times_s" in x else None
                    x = x["x"]
                if Path(x.file.filename) != Path(file.filename) or x.external or x.is_virtual:
                    raise ValueError("a dataset that lies in another file")
                return _array(f"{self._path}, {clip_id}", x[...], times_s, self._reading)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise AvemoError(
                f"{self._path}, {clip_id}: expected an array, or a group of x and times_s, found: {error}"
            ) from error

    def any_clip(self) -> str | None:
        import h5py

        with h5py.File(self._path, "r", locking=False) as file:
            return next(iter(file), None)


NO_NUMBER = ["", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "-nan", "-NaN", "null", "NULL", "None", "<NA>"]
"""What stands for a number that is not there."""


def read_table(path: Path, texts: Sequence[str] = ()) -> Any:
    """A CSV (names and cells without blanks at their ends) or Parquet file as a data frame.

    Columns that are ``texts`` are so whatever they look like: `NA`, `null` and `007` are ids like any other.
    """
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        read: Any = partial(pd.read_csv, path, skipinitialspace=True, encoding="utf-8-sig", low_memory=False)
        names = list(read(nrows=0))
        ids = [name for name in names if str(name).strip() in texts]
        empty = {name: NO_NUMBER for name in names if name not in ids}
        table = read(dtype=dict.fromkeys(ids, str), keep_default_na=False, na_values=empty)
    except (OSError, ValueError) as error:
        raise AvemoError(f"{path}: expected a table, found: {' '.join(str(error).split())[:300]}") from error
    return table.rename(columns=lambda name: str(name).strip())


def _frames(where: str, rows: Any, reading: Reading) -> FeatureSequence:
    """A clip's rows: those that have seen something, and of them the columns that were asked for."""
    if reading.seen is not None:
        if reading.seen not in rows:
            raise _lacks(Path(where), reading.seen, rows)
        rows = rows[rows[reading.seen].fillna(0) > 0]
    times_s = None
    if reading.times is not None:
        if reading.times not in rows:
            raise _lacks(Path(where), reading.times, rows)
        times_s = rows[reading.times].to_numpy(float)
    names = _columns(where, rows.drop(columns=[reading.times] if reading.times else []), reading.columns)
    # Rows that saw nothing still count in time.
    numbers = rows.index.to_numpy() - (rows.index[0] if len(rows) and reading.seen is None else 0)
    return _array(where, rows[names].to_numpy(np.float64), times_s, reading, numbers)


def _columns(where: str, rows: Any, patterns: Sequence[str]) -> list[str]:
    if patterns:
        names = [str(name) for name in rows if any(fnmatchcase(str(name), one) for one in patterns)]
        if not names:
            raise ConfigError(
                f"{where}: expected columns like {', '.join(patterns)}, found {', '.join(map(str, rows))[:300]}; "
                "correct `columns`"
            )
    else:
        names = [str(name) for name in rows]
    words = [name for name in names if rows[name].dtype.kind not in "iufb"]
    if words:
        raise ConfigError(
            f"{where}: expected numbers in every column, found others in {', '.join(words[:5])}; "
            "say which to take by `columns`, and which holds times by `times`"
        )
    return names


def _array(
    where: str, x: np.ndarray, times_s: Any, reading: Reading, numbers: np.ndarray | None = None
) -> FeatureSequence:
    x = np.asarray(x)
    x = x[None] if x.ndim == 1 else x
    if x.ndim != 2 or x.dtype.kind not in "iufb":
        raise AvemoError(f"{where}: expected numbers (frames, dim) or (dim,), found {x.dtype} {x.shape}")
    if times_s is None:
        if reading.fps is not None:
            times_s = ((np.arange(len(x)) if numbers is None else numbers) + 0.5) / reading.fps
        elif len(x) == 1:
            times_s = np.zeros(1)
        else:
            raise ConfigError(
                f"{where}: expected one row, or times of its {len(x)} rows, found none; "
                "say which column holds seconds by `times`, or how many rows a second has by `fps`"
            )
    times_s = np.asarray(times_s, float)
    if times_s.shape != (len(x),) or (np.diff(times_s) < 0).any():
        raise AvemoError(
            f"{where}: expected a time for each of {len(x)} rows, none before the last, found {times_s.shape}"
        )
    return FeatureSequence(x.astype(np.float32), times_s)


def _lacks(path: Path, name: str, table: Any) -> ConfigError:
    known = [str(column) for column in table]
    return ConfigError(
        f"{path}: expected a column {name!r}{nearest(name, known)}, found {', '.join(known)[:300]}; correct the config"
    )
