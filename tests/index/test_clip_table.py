"""The clip table: what it records, what it remembers, what its digest sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError, Clip, Status
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
from media_factory import write_video, write_wav

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


def test_an_interval_that_ends_before_it_begins_is_named_at_the_index(clips, tmp_path):
    with pytest.raises(AvemoError, match="a: expected end_s after start_s, found 2.0 to 1.0 s"):
        index([Clip("a", "a", "a", video_path=tmp_path / "a.mp4", start_s=2.0, end_s=1.0)], tmp_path)


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
