"""Clips that are asked for: a file, all media of a folder, or a list; each whole, or cut into windows."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from avemo.base.contracts import AvemoError, Clip, ClipFailure, ConfigError
from avemo.base.paths import expanded
from avemo.base.text_files import stream_lines
from avemo.cache.folders import files_under
from avemo.corpora.csv_file import stream_csv
from avemo.index.media_hashes import is_media
from avemo.media.probe import kinds, probe, with_streams

LISTS = (".csv", ".tsv", ".parquet", ".txt")
REMEDY = "give a table with a column path, and clip_id, start_s and end_s where there are such"
SHORTEST_S = 0.1
"""Of a window and its step."""
MOST_WINDOWS = 1_000_000
ROUNDING_S = 1e-3
"""So much of a recording makes no further window."""


@dataclass(frozen=True)
class Asked:
    """A file, or an interval of it; ``end_s`` None: its end."""

    clip_id: str
    path: Path
    start_s: float = 0.0
    end_s: float | None = None

    def clip(self) -> Clip:
        """As rooms take it, with the streams that the file has; raises `ClipFailure` where it has none."""
        whole = Clip(self.clip_id, "", "", audio_path=self.path, video_path=self.path)
        found = with_streams(whole, kinds(self.path, self.clip_id))
        return replace(found, start_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True)
class Asking:
    """What is asked for, and the files of a folder that are no media."""

    clips: list[Asked]
    left_out: list[Path]


def asked_for(path: Path) -> Asking:
    """The clips behind a path: of a folder all media below it, by names relative to it; of a list its rows.

    Raises `AvemoError` for a folder without media, an empty list, and for ids that come twice.
    """
    if path.is_dir():
        # Also what has a file's name and is none, such as a link to nowhere: it gets a row that says so.
        files = sorted(one for one in files_under(path, "") if not _is_hidden(one, path))
        clips = [Asked(printed(one.relative_to(path)), one) for one in files if is_media(one)]
        found = Asking(clips, [one for one in files if not is_media(one)])
    elif path.suffix.lower() in LISTS:
        found = Asking(_listed(path), [])
    else:
        found = Asking([Asked(path.name, path)], [])
    if not found.clips:
        raise AvemoError(
            f"{path}: expected sound or video, found none among {len(found.left_out)} files; correct the path"
        )
    twice = [name for name, count in Counter(one.clip_id for one in found.clips).items() if count > 1]
    if twice:
        raise AvemoError(
            f"{path}: expected each clip_id once, found {', '.join(twice[:5])} several times; "
            "take rows out, or give each an id of its own in a column clip_id of a CSV"
        )
    return found


def _is_hidden(path: Path, below: Path) -> bool:
    """Whether it, or a folder on the way to it, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(below).parts)


def printed(path: Path) -> str:
    """A path as a table holds it: bytes of a name that are no text are shown by their numbers.

    >>> printed(Path("a") / os.fsdecode(b"\\xe9.wav"))
    'a/\\\\xe9.wav'
    """
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _listed(path: Path) -> list[Asked]:
    if not path.is_file():
        raise AvemoError(f"{path}: expected a list of clips, found no file; correct the path")
    if path.suffix.lower() == ".txt":
        lines = enumerate(stream_lines(path), 1)
        rows = [(number, {"path": line.strip()}) for number, line in lines if line.strip()]
    elif path.suffix.lower() == ".parquet":
        rows = _parquet(path)
    else:
        read = stream_csv(path, ["path"], "a list of clips", REMEDY, numbers=("start_s", "end_s"))
        rows = [(line.number, dict(line.cells)) for line in read]
    return [_row(f"{path}, line {number}", path.parent, cells) for number, cells in rows]


def _parquet(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise AvemoError(f"{path}: expected a Parquet table, found another file; {REMEDY}") from error
    if "path" not in table:
        raise AvemoError(f"{path}: expected a column path, found {', '.join(map(str, table))}; {REMEDY}")
    wanted = table[[name for name in ("path", "clip_id", "start_s", "end_s") if name in table]]
    cells = wanted.astype(object).where(wanted.notna(), "")
    return [
        (n, {str(k): str(v) for k, v in row.items()}) for n, row in enumerate(cells.to_dict("records"), 1)
    ]


def _row(where: str, folder: Path, cells: dict[str, str]) -> Asked:
    try:
        given = expanded(cells.get("path", ""))
    except ValueError as error:
        raise AvemoError(f"{where}: path: {error}") from error
    if not given:
        raise AvemoError(f"{where}: expected a path, found none; {REMEDY}")
    start_s, end_s = (_seconds(where, name, cells.get(name, "")) for name in ("start_s", "end_s"))
    if end_s is not None and end_s <= (start_s or 0.0):
        raise AvemoError(
            f"{where}: expected end_s after start_s, found {start_s or 0.0} to {end_s}; correct the row"
        )
    name = cells.get("clip_id") or given
    if not name.isprintable():
        raise AvemoError(f"{where}: expected a clip_id that prints, found {name!r}; correct the row")
    return Asked(name, folder / given, start_s or 0.0, end_s)


def _seconds(where: str, name: str, cell: str) -> float | None:
    try:
        found = float(cell) if cell else None
    except ValueError:
        found = math.nan
    if found is not None and not 0 <= found < math.inf:
        raise AvemoError(f"{where}: expected {name} in seconds, found {cell!r}; correct the row")
    return found


def in_windows(one: Asked, length_s: float, step_s: float) -> list[Asked]:
    """A clip cut into windows, of one id and other times. Raises `ClipFailure` where its length cannot be read."""
    duration_s = probe(one.clip()).duration_s or 0.0
    *starts_s, last_s = (round(one.start_s + s, 6) for s in window_starts(duration_s, length_s, step_s))
    # The last one ends where the clip does.
    whole = [replace(one, start_s=s, end_s=round(s + length_s, 6)) for s in starts_s]
    return [*whole, replace(one, start_s=last_s)]


def window_starts(duration_s: float, length_s: float, step_s: float) -> list[float]:
    """Where windows of ``length_s`` begin; the last lies at the end, nearer to the one before it than the others. Of a recording
    that is shorter there is one, all of it.

    >>> window_starts(7.0, 3.0, 2.0), window_starts(8.0, 3.0, 2.0), window_starts(2.0, 3.0, 2.0)
    ([0.0, 2.0, 4.0], [0.0, 2.0, 4.0, 5.0], [0.0])
    """
    last_s = duration_s - length_s
    if last_s <= ROUNDING_S:
        return [0.0]
    count = math.ceil((last_s - ROUNDING_S) / step_s)
    if count > MOST_WINDOWS:
        raise ConfigError(
            f"--step: expected at most {MOST_WINDOWS} windows, found {count}; take a longer one"
        )
    return [*(n * step_s for n in range(count)), last_s]


def check_windows(length_s: float, step_s: float) -> None:
    """Raise `ConfigError` for a length, or a step, that is none."""
    for name, value in (("--window", length_s), ("--step", step_s)):
        if not SHORTEST_S <= value < math.inf:
            raise ConfigError(f"{name}: expected at least {SHORTEST_S} s, found {value}")
    if step_s > length_s:
        raise ConfigError(
            f"--step: expected at most the window's {length_s:g} s, found {step_s:g}, which leaves parts unseen"
        )


def cut(clips: Iterable[Asked], length_s: float, step_s: float) -> list[Asked]:
    """All clips in windows; one that cannot be read stays whole, so that its failure has a row."""
    found = []
    for one in clips:
        try:
            found += in_windows(one, length_s, step_s)
        except ClipFailure:
            found.append(one)
    return found
