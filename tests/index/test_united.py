"""The clip tables of several corpora as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avemo.base.contracts import AvemoError
from avemo.index.clip_table import Row, read_table, write_table
from avemo.index.same_media import joined_groups, same_media
from avemo.index.united import united_rows

ROW = Row("c1", "s1", "g1", "c1.wav", None, 0.0, None, "sha", None, 1.0, 16_000, None, None, "ok", "")


def test_clips_speakers_and_groups_are_called_by_their_corpora(tmp_path):
    other = replace(ROW, clip_id="c2", audio_sha256="other", speaker="N/A", group="c2")
    rows = united_rows({"b": [ROW, other], "a": [ROW]})
    assert [row.clip_id for row in rows] == ["a:c1", "b:c1", "b:c2"]
    # No name is nobody's, in whichever corpus.
    assert [row.speaker for row in rows] == ["a:s1", "b:s1", "N/A"]
    assert [row.group for row in rows] == ["a:g1", "b:g1", "b:c2"]
    assert {row.audio_path for row in rows} == {"c1.wav"}
    write_table(tmp_path / "index.parquet", rows)
    assert read_table(tmp_path / "index.parquet") == rows


def test_the_same_recording_in_two_corpora_is_found():
    rows = united_rows({"b": [ROW], "a": [ROW]})
    (found,) = same_media(rows)
    assert [row.clip_id for row in found] == ["a:c1", "b:c1"]
    assert joined_groups(rows, [found]) == {"a:c1": "a:g1", "b:c1": "a:g1"}


def test_ids_that_become_too_long_are_named():
    with pytest.raises(AvemoError, match=r"1 to 200 printable characters .*found 202"):
        united_rows({"a": [replace(ROW, clip_id="x" * 200)]})
