"""A table that shrinks and media that vanish in part are said before a run goes on without them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avemo.base.contracts import Clip
from avemo.index.clip_table import index_clips
from avemo.index.media_hashes import HashCache
from avemo.study.losses import losses
from media_clips import RATE, noise
from media_factory import write_wav


@pytest.fixture
def clips(tmp_path):
    return [
        Clip(f"c{n}", "s", "s", audio_path=write_wav(tmp_path / f"{n}.wav", noise(0.2), RATE))
        for n in range(6)
    ]


def test_clips_that_leave_the_table_and_files_that_are_gone_are_named(clips, tmp_path):
    rows = index_clips(clips, HashCache(tmp_path / "hashes.json"))
    assert losses(rows, clips) == []
    assert losses(rows, [*clips, replace(clips[0], clip_id="new")]) == []
    for clip in clips[1:3]:
        clip.audio_path.unlink()
    left, away = losses(rows, clips[:5])
    assert left.startswith(
        "1 of 6 clips have left the table (c5); what was computed of them stays in the cache"
    )
    assert away.startswith("2 of 6 clips have lost a file (c1, c2); ")
    assert losses(rows, [])[0].startswith("6 of 6 clips have left the table (c0, c1, c2, …)")


def test_a_clip_that_had_no_file_before_has_lost_none(clips, tmp_path):
    clips[0].audio_path.unlink()
    rows = index_clips(clips, HashCache(tmp_path / "hashes.json"))
    assert losses(rows, clips) == []
