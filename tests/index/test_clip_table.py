"""The clip table: what it records, what it remembers, what its digest sees."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from avemo.base.contracts import AvemoError, Clip, MachineError, Status, digest
from avemo.base.keys import shard_of
from avemo.index import clip_table
from avemo.index.clip_table import (
    ShardSummary,
    index_clips,
    read_table,
    shard_rows,
    summaries,
    summarised,
    write_table,
)
from avemo.index.media_hashes import HashCache
from avemo.media.probe import probe
from media_factory import set_matrix, write_video, write_wav

TONE = 0.1 * np.sin(np.arange(8000) / 10)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    write_video(tmp_path / "a.mp4", np.full((6, 64, 64, 3), 90, np.uint8), fps=12, audio=TONE)
    write_wav(tmp_path / "b.wav", TONE)
    return [
        Clip("a", "anna", "anna", video_path=tmp_path / "a.mp4"),
        Clip("b", "ben", "ben", audio_path=tmp_path / "b.wav", start_s=0.1),
    ]


def index(clips: list[Clip], folder: Path) -> list:
    return index_clips(clips, HashCache(folder / "hashes.json"))


def test_a_row_says_what_the_media_hold(clips, tmp_path):
    a, b = index(clips, tmp_path)
    assert (a.fps, a.n_frames, a.audio_rate_hz, a.status) == (12, 6, 16_000, "ok")
    assert a.audio_sha256 is None
    assert (b.fps, b.video_sha256, b.audio_rate_hz) == (None, None, 16_000)
    assert b.duration_s == pytest.approx(0.4)


def test_only_media_of_new_bytes_are_opened_again(clips, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(clip_table, "probe", lambda clip: (opened.append(clip.clip_id), probe(clip))[1])

    def indexed():
        opened.clear()
        hashes = HashCache(tmp_path / "hashes.json")
        rows = index_clips(clips, hashes)
        hashes.save()
        return rows

    first = indexed()
    assert opened == ["a", "b"]
    assert indexed() == first
    assert opened == []
    write_wav(tmp_path / "b.wav", TONE[:6000])
    assert indexed()[1].duration_s == pytest.approx(0.275)
    assert opened == ["b"]
    (tmp_path / "b.wav").write_bytes(b"RIFF no sound at all")
    assert [row.status == "ok" for row in indexed() + indexed()] == [True, False] * 2


def test_the_table_comes_back_as_written(clips, tmp_path):
    rows = index([*clips, Clip("c", "c", "c", video_path=tmp_path / "none.mp4")], tmp_path)
    write_table(tmp_path / "index.parquet", rows)
    assert read_table(tmp_path / "index.parquet") == rows
    assert rows[2].status == Status.missing_file


def test_another_file_is_refused(tmp_path):
    (tmp_path / "index.parquet").write_text("not a table")
    with pytest.raises(AvemoError, match="expected a clip table"):
        read_table(tmp_path / "index.parquet")


HOSTILE = [
    {"clip_id": "../../etc/passwd"},
    {"status": "fine"},
    {"start_s": float("nan")},
    {"start_s": -1.0},
    {"end_s": float("inf")},
    {"start_s": 2.0, "end_s": 1.0},
    {"duration_s": float("nan")},
    {"fps": float("inf")},
    {"n_frames": -1},
]


@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_row_is_refused(change, clips, tmp_path):
    rows = index(clips, tmp_path)
    write_table(tmp_path / "index.parquet", [replace(rows[0], **change), rows[1]])
    with pytest.raises(AvemoError, match="expected a clip table"):
        read_table(tmp_path / "index.parquet")


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [
        (2.0, 1.0),
        (0.1, 0.1),
        (-0.5, 0.0),
        (float("nan"), 0.4),
        (0.0, float("nan")),
        (0.0, float("inf")),
        (5.0, 6.0),
    ],
)
def test_an_interval_that_is_none_costs_its_own_clip_alone(clips, tmp_path, start_s, end_s):
    wrong = Clip("c", "c", "c", video_path=tmp_path / "a.mp4", start_s=start_s, end_s=end_s)
    rows = index([*clips, wrong], tmp_path)
    write_table(tmp_path / "index.parquet", rows)
    assert [row.status for row in read_table(tmp_path / "index.parquet")] == ["ok", "ok", "outside"]
    assert rows[2].detail


def test_a_start_before_the_files_is_the_files_and_noted(clips, tmp_path):
    early = Clip("c", "c", "c", video_path=tmp_path / "a.mp4", start_s=-0.4776, end_s=0.3)
    (row,) = index([early], tmp_path)
    assert (row.status, row.start_s, row.detail) == ("ok", 0.0, "start -0.478 s taken as 0")
    assert row.duration_s == pytest.approx(0.3)


def test_a_path_for_both_is_what_its_streams_are(clips, tmp_path):
    named = (tmp_path / "b.wav").rename(tmp_path / "b.xyz")
    rows = index([Clip(p.stem, "s", "s", p, p) for p in (tmp_path / "a.mp4", named)], tmp_path)
    assert [(row.audio_path, row.video_path) for row in rows] == [
        (None, str(tmp_path / "a.mp4")),
        (str(named), None),
    ]
    assert [row.audio_rate_hz for row in rows] == [16_000, 16_000]
    absent = tmp_path / "none.aiff"
    (row,) = index([Clip("n", "s", "s", absent, absent)], tmp_path)
    assert (row.audio_path, row.video_path, row.status) == (str(absent), None, "missing_file")


def test_how_a_clip_is_read_is_part_of_its_key_only_where_it_is_out_of_the_ordinary(clips, tmp_path):
    """Mirrored pictures change what is seen, not what is heard; the others keep the keys that they had."""
    (before,) = index([clips[0]], tmp_path)
    assert before.media_key("audio") == digest([before.video_sha256, 0.0, None, "ok"])
    set_matrix(tmp_path / "a.mp4", (-1, 0, 0, 1))
    (after,) = index([clips[0]], tmp_path)
    assert after.video_reading == "mirrored"
    assert after.media_key("audio") == digest([after.video_sha256, 0.0, None, "ok"])
    assert after.media_key("visual") == digest([after.video_sha256, 0.0, None, "ok", "mirrored"])


def test_a_table_from_before_is_read_until_it_is_made_again(clips, tmp_path):
    rows = index(clips, tmp_path)
    write_table(tmp_path / "new.parquet", rows)
    old = pq.read_table(tmp_path / "new.parquet").drop_columns(list(clip_table.ADDED))
    pq.write_table(old, tmp_path / "old.parquet")
    assert read_table(tmp_path / "old.parquet") == rows


def test_a_file_that_may_not_be_read_costs_its_clip_and_is_looked_at_again(clips, tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    opened, access = Path.open, os.access

    def refuse(self, *args, **kwargs):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        patched.setattr(os, "access", lambda name, mode: str(name) != str(path) and access(name, mode))
        hashes = HashCache(tmp_path / "hashes.json")
        rows = index_clips(clips, hashes)
        before = hashes.listing([path])
        hashes.save()
    assert [row.status for row in rows] == ["no_access", "ok"]
    assert "found 'Permission denied'" in rows[0].detail
    assert HashCache(tmp_path / "hashes.json").listing([path]) != before
    assert [row.status for row in index(clips, tmp_path)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.EIO, "no_access"), (errno.ESTALE, "no_access"), (errno.ENAMETOOLONG, "missing_file")],
)
def test_an_error_of_one_file_is_its_clips(clips, tmp_path, monkeypatch, number, status):
    stat = os.stat

    def refuse(path, *args, **kwargs):
        if str(path).endswith("a.mp4"):
            raise OSError(number, os.strerror(number), str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    rows = index(clips, tmp_path)
    assert [row.status for row in rows] == [status, "ok"]
    assert os.strerror(number) in rows[0].detail


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "表" * 100 + ".mp4", "a\0b.mp4", "b.wav/c.mp4"])
def test_a_name_that_no_file_can_have_costs_its_clip(clips, tmp_path, name):
    rows = index([clips[1], Clip("z", "z", "z", video_path=tmp_path / name)], tmp_path)
    assert [row.status for row in rows] == ["ok", "missing_file"]


def test_a_machine_that_runs_out_of_files_stops_the_index(clips, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MachineError, match="Too many open files"):
        index(clips, tmp_path)


def test_one_bad_file_leaves_the_other_modality_usable(clips, tmp_path):
    (tmp_path / "empty.wav").touch()
    (row,) = index([Clip("a", "a", "a", tmp_path / "empty.wav", tmp_path / "a.mp4")], tmp_path)
    assert row.status == Status.empty_file
    assert row.video_sha256
    assert row.audio_sha256 is None


def test_an_id_that_could_leave_the_folder_is_refused(clips, tmp_path):
    with pytest.raises(AvemoError, match="clip"):
        index([Clip("../a", "a", "a", video_path=tmp_path / "a.mp4")], tmp_path)


def digests(rows, shards: int) -> list[str]:
    return [summary.digest for summary in summaries(rows, shards)]


def test_the_digest_sees_media_and_intervals_but_not_places(clips, tmp_path):
    before = digests(index(clips, tmp_path), 1)
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "a.mp4").rename(tmp_path / "elsewhere" / "a.mp4")
    b = clips[1]
    here = Clip("a", "anna", "anna", video_path=moved)
    assert digests(index([here, b], tmp_path), 1) == before
    shorter = Clip("a", "anna", "anna", video_path=moved, end_s=0.3)
    assert digests(index([shorter, b], tmp_path), 1) != before
    write_wav(tmp_path / "b.wav", TONE[::-1])
    assert digests(index([here, b], tmp_path), 1) != before


def test_a_change_shows_in_its_own_shard_alone(clips, tmp_path):
    shards = 5
    before = digests(index(clips, tmp_path), shards)
    write_wav(tmp_path / "b.wav", TONE[::-1])
    after = digests(index(clips, tmp_path), shards)
    changed = [shard for shard in range(shards) if before[shard] != after[shard]]
    assert changed == [shard_of("b", shards)]


def test_every_clip_is_in_one_shard_and_stays_there_when_clips_come(clips, tmp_path):
    rows = index(clips, tmp_path)
    place = {row.clip_id: s for s in range(7) for row in shard_rows(rows, s, 7)}
    assert sorted(place) == ["a", "b"]
    fewer = {row.clip_id: s for s in range(7) for row in shard_rows(rows[1:], s, 7)}
    assert fewer == {"b": place["b"]}


def test_a_summary_is_kept_until_the_table_or_the_code_changes(clips, tmp_path, monkeypatch):
    table, rows = tmp_path / "index.parquet", index(clips, tmp_path)
    write_table(table, rows)

    def kept(version: str) -> list[ShardSummary]:
        return summarised(table, 2, tmp_path / "kept", version)

    first = kept("1")
    assert first == summaries(rows, 2)
    assert sum(summary.clips for summary in first) == 2
    with monkeypatch.context() as patched:
        patched.setattr(clip_table, "stream_table", None)
        assert kept("1") == first
        with pytest.raises(TypeError):
            kept("2")
    write_table(table, [replace(rows[0], video_sha256="other"), rows[1]])
    assert kept("1") != first
