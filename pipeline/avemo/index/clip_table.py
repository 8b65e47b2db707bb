"""The clip table: one checked row a clip, written as Parquet by the index stage.

Media problems that a look at the file tells (missing, empty, Git LFS pointer,
unreadable, the same id twice) are recorded here, before anything expensive
runs; such a clip keeps its row, with status and reason.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from avemo.base.atomic import aside
from avemo.base.component import version_of
from avemo.base.contracts import AvemoError, Clip, ClipFailure, Status, canonical, digest
from avemo.base.keys import checked_id, shard_of
from avemo.media.files import check_file, unread
from avemo.media.probe import MediaInfo, by_suffix, kinds, probe, with_streams

UNKNOWN_S = 5.0
BATCH_ROWS = 16_384
"""Of a table that is read at a time."""
FORMAT = 2
"""Raised whenever the same corpus would have another table, so that it is made again."""
PROBED = 2
"""Raised whenever `probe` finds other numbers in the same file."""
ADDED = ("audio_reading", "video_reading")
"""Columns that tables of before do not have; their clips are read anew at the next index."""
HALF = "half"
"""The last column, of tables alone that have clips of half a picture."""
HALVES = ("", "left", "right")


@dataclass(frozen=True)
class Row:
    """One clip as indexed. Durations in seconds; hashes are of whole files; None = no such stream.

    ``detail`` says what is wrong or, with the status ok, what was chosen or cut. ``audio_reading`` and
    ``video_reading`` are `MediaInfo`'s.
    """

    clip_id: str
    speaker: str
    group: str
    audio_path: str | None
    video_path: str | None
    start_s: float
    end_s: float | None
    audio_sha256: str | None
    video_sha256: str | None
    duration_s: float | None
    audio_rate_hz: int | None
    fps: float | None
    n_frames: int | None
    status: str
    detail: str
    audio_reading: str = ""
    video_reading: str = ""
    half: str = ""

    @property
    def clip(self) -> Clip:
        """The row as the media room wants it."""
        return Clip(
            self.clip_id,
            self.speaker,
            self.group,
            Path(self.audio_path) if self.audio_path else None,
            Path(self.video_path) if self.video_path else None,
            self.start_s,
            self.end_s,
            self.half,
        )

    @property
    def problem(self) -> ClipFailure | None:
        """What is wrong with the media, with its remedy; None if nothing is."""
        return (
            ClipFailure(Status(self.status), self.clip_id, self.detail) if self.status != Status.ok else None
        )

    def media_key(self, modality: str) -> str:
        """What identifies the signal of ``modality``: its file's bytes, the interval and half, any failure, how it is read."""
        sha = (self.audio_sha256 or self.video_sha256) if modality == "audio" else self.video_sha256
        reading = [self.audio_reading] if modality == "audio" else [self.video_reading, self.half]
        return digest([sha, self.start_s, self.end_s, self.status, *filter(None, reading)])


class Hashes(Protocol):
    """Where `index_clips` gets a file's hash."""

    def sha256(self, path: Path) -> str:
        """The hash of the file's bytes, hex."""

    def fact(self, key: str, find: Callable[[], Any]) -> Any:
        """What ``find`` gives, perhaps remembered from an earlier call with this key."""


def index_clips(
    clips: Sequence[Clip], hashes: Hashes, progress: Callable[[int, int], None] | None = None
) -> list[Row]:
    """One row a clip id, sorted. Raises `AvemoError` for ids that no file may be named after.

    A start before the file's is taken for the file's, and noted. Where both paths are one file, its streams decide.
    """
    by_id: dict[str, list[Clip]] = {}
    for clip in clips:
        by_id.setdefault(checked_id(clip.clip_id), []).append(clip)
    rows = []
    for done, (_, same) in enumerate(sorted(by_id.items()), start=1):
        rows.append(_row(same[0], hashes) if len(same) == 1 else _duplicate(same))
        if progress:
            progress(done, len(by_id))
    return rows


def _duplicate(same: list[Clip]) -> Row:
    files = ", ".join(str(clip.video_path or clip.audio_path) for clip in same)
    failure = ClipFailure(Status.duplicate_id, same[0].clip_id, f"{len(same)} rows share this id: {files}")
    return _make_row(replace(by_suffix(same[0]), start_s=0.0, end_s=None), {}, failure)


def _row(clip: Clip, hashes: Hashes) -> Row:
    """A clip's row; a problem of one file leaves the other modality usable."""
    end_s = math.inf if clip.end_s is None else clip.end_s
    if not max(clip.start_s, 0.0) < end_s or clip.end_s == math.inf:
        detail = f"expected an end after the start, found {clip.start_s:.3f} to {clip.end_s} s"
        failure = ClipFailure(Status.outside, clip.clip_id, detail)
        return _make_row(replace(by_suffix(clip), start_s=0.0, end_s=None), {}, failure)
    note = f"start {clip.start_s:.3f} s taken as 0" if clip.start_s < 0 else ""
    clip = replace(clip, start_s=max(clip.start_s, 0.0))
    shas: dict[Path, str] = {}
    problem: ClipFailure | None = None
    for path in dict.fromkeys(path for path in (clip.audio_path, clip.video_path) if path):
        try:
            shas[path] = _sha256(path, clip.clip_id, hashes)
        except ClipFailure as failure:
            problem = failure
    try:
        clip = _with_streams(clip, shas, hashes)
        if problem is None:
            info = MediaInfo(**hashes.fact(_probe_key(clip, shas), lambda: asdict(probe(clip))))
            return _make_row(clip, shas, None, info, "; ".join(filter(None, (note, info.notes))))
    except ClipFailure as failure:
        problem = failure
    return _make_row(by_suffix(clip), shas, problem)


def _sha256(path: Path, clip_id: str, hashes: Hashes) -> str:
    """The file's hash; raises `ClipFailure` for one that is none, or cannot be read."""
    check_file(path, clip_id)
    try:
        return hashes.sha256(path)
    except OSError as error:
        raise unread(path, clip_id, error) from error


def _with_streams(clip: Clip, shas: Mapping[Path, str], hashes: Hashes) -> Clip:
    """A clip whose paths are one file, as that file's streams are: a video with its sound, or one of them alone."""
    path = clip.video_path
    if path is None or path != clip.audio_path or path not in shas:
        return clip
    key = digest(["streams", PROBED, version_of("av"), shas[path], path.suffix])
    found = hashes.fact(key, lambda: kinds(path, clip.clip_id))
    return with_streams(clip, found)


def _probe_key(clip: Clip, shas: Mapping[Path, str]) -> str:
    """All that `probe` can depend on, so that thousands of files need not be opened for one that is new."""
    files = [path and [shas[path], path.suffix] for path in (clip.audio_path, clip.video_path)]
    return digest(["probe", PROBED, version_of("av"), files, clip.start_s, clip.end_s])


def _make_row(
    clip: Clip,
    shas: Mapping[Path, str],
    problem: ClipFailure | None,
    info: MediaInfo | None = None,
    note: str = "",
) -> Row:
    info = info or MediaInfo()
    return Row(
        clip_id=clip.clip_id,
        speaker=clip.speaker,
        group=clip.group,
        audio_path=str(clip.audio_path) if clip.audio_path else None,
        video_path=str(clip.video_path) if clip.video_path else None,
        start_s=clip.start_s,
        end_s=clip.end_s,
        audio_sha256=shas.get(clip.audio_path) if clip.audio_path else None,
        video_sha256=shas.get(clip.video_path) if clip.video_path else None,
        duration_s=info.duration_s,
        audio_rate_hz=info.audio_rate_hz,
        fps=info.fps,
        n_frames=info.n_frames,
        status=str(problem.status if problem else Status.ok),
        detail=problem.detail if problem else note,
        audio_reading=info.audio_reading,
        video_reading=info.video_reading,
        half=clip.half if clip.video_path else "",
    )


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Rows to Parquet, aside and renamed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with aside(path) as temporary:
        schema = _schema(halves=any(row.half for row in rows))
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), temporary)


def read_table(path: Path) -> list[Row]:
    """The rows that `write_table` wrote; raises `AvemoError` for anything else."""
    return list(stream_table(path))


def stream_table(path: Path) -> Iterator[Row]:
    """The rows one after the other, as `read_table` reads them, a bounded number in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            known = (_schema(), _schema(halves=True), _schema(added=False))
            if not any(file.schema_arrow.equals(schema) for schema in known):
                raise ValueError(f"columns {file.schema_arrow.to_string(show_schema_metadata=False)}")
            for batch in file.iter_batches(BATCH_ROWS):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    row = Row(*values)
                    _check(row)
                    yield row
    except (pa.ArrowException, TypeError, ValueError, OSError, AvemoError) as error:
        raise AvemoError(f"{path}: expected a clip table, found {error}; delete it and run again") from error


def _schema(added: bool = True, halves: bool = False) -> Any:
    """One column a field of `Row`; without those of `ADDED`, as tables were before, and `HALF` only where it is asked for."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "float": pa.float64(), "int": pa.int64()}
    left_out = (*(() if added else ADDED), *(() if halves else (HALF,)))
    columns = [field for field in fields(Row) if field.name not in left_out]
    return pa.schema([(field.name, kinds[str(field.type).split(" ")[0]]) for field in columns])


class ShardSummary(NamedTuple):
    """What a workflow asks of a shard's rows.

    ``digest`` changes exactly when media, interval or status of one of its clips does; names of files and folders do
    not count. ``seconds`` are of media, ``longest_s`` those of one clip; a clip of unknown length counts as `UNKNOWN_S`.
    """

    digest: str
    seconds: float
    clips: int
    longest_s: float


def summarised(path: Path, shards: int, folder: Path, version: str) -> list[ShardSummary]:
    """The shards of the table at ``path``, kept in ``folder`` while table and ``version`` stay.

    For many processes that each want a little of a large table.
    """
    stat = path.stat()
    of = [shards, str(path.resolve()), stat.st_mtime_ns, stat.st_size, version]
    kept = folder / f"table-{digest(of)}.json"
    if kept.is_file():
        return [ShardSummary(*summary) for summary in json.loads(kept.read_text())]
    found = summaries(stream_table(path), shards)
    folder.mkdir(parents=True, exist_ok=True)
    with aside(kept) as temporary:
        temporary.write_text(json.dumps(found))
    return found


def summaries(rows: Iterable[Row], shards: int) -> list[ShardSummary]:
    """One summary a shard; the rows are looked at one after the other."""
    hashers = [hashlib.sha256(b"[") for _ in range(shards)]
    seconds, clips, longest_s = [0.0] * shards, [0] * shards, [0.0] * shards
    for row in rows:
        shard = shard_of(row.clip_id, shards)
        media = [row.clip_id, row.media_key("audio"), row.media_key("visual")]
        hashers[shard].update(b"," * (clips[shard] > 0) + canonical(media).encode())
        length_s = UNKNOWN_S if row.duration_s is None else row.duration_s
        seconds[shard] += length_s
        longest_s[shard] = max(longest_s[shard], length_s)
        clips[shard] += 1
    for hasher in hashers:
        hasher.update(b"]")
    digests = [hasher.hexdigest()[:32] for hasher in hashers]
    return [ShardSummary(*summary) for summary in zip(digests, seconds, clips, longest_s, strict=True)]


def digest_of(rows: Iterable[Row]) -> str:
    """The digest of a shard whose rows these are, in the table's order."""
    return summaries(rows, 1)[0].digest


def _check(row: Row) -> None:
    """Raises for what `index_clips` never makes, so that nothing downstream has to look."""
    checked_id(row.clip_id)
    Status(row.status)
    end_s = math.inf if row.end_s is None else row.end_s
    if not (0 <= row.start_s < end_s and row.end_s != math.inf):
        raise ValueError(f"{row.clip_id}: an interval from {row.start_s} to {row.end_s} s")
    if row.half not in HALVES:
        raise ValueError(f"{row.clip_id}: {row.half!r} as half of a picture")
    for value in (row.duration_s, row.audio_rate_hz, row.fps, row.n_frames):
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{row.clip_id}: {value} as duration, rate or number of frames")


def shard_rows(rows: Iterable[Row], shard: int, shards: int) -> list[Row]:
    """The rows whose clips belong to ``shard``; adding clips never moves the others."""
    return [row for row in rows if shard_of(row.clip_id, shards) == shard]
