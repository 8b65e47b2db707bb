"""The journal of readings is read whatever cut it, and says so."""

from __future__ import annotations

import errno
import os

import pytest

from avemo.base.contracts import AvemoError
from avemo.evaluation.readings import note_reading, read_journal


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / ".readings" / "mult.jsonl"
    for number in range(2):
        note_reading(path, {"split": f"split0{number}", "model": "m", "inputs": {}})
    return path


def test_a_last_line_that_is_cut_anywhere_is_read_over_with_a_note_now_and_later(journal):
    whole = journal.read_bytes()
    end = whole.index(b"\n") + 1
    for size in range(end + 1, len(whole) - 1):
        journal.write_bytes(whole[:size])
        found = read_journal(journal)
        assert [one["split"] for one in found.models] == ["split00"]
        assert len(found.cut) == 1
        assert "mult.jsonl, line 2 is cut" in found.cut[0]
        note_reading(journal, {"split": "split02", "model": "m", "inputs": {}})
        found = read_journal(journal)
        assert [one["split"] for one in found.models] == ["split00", "split02"]
        assert len(found.cut) == 1


def test_a_line_behind_a_cut_one_is_read(journal):
    whole = journal.read_bytes()
    end = whole.index(b"\n") + 1
    journal.write_bytes(whole[: end + 20] + whole[:end])
    found = read_journal(journal)
    assert [one["split"] for one in found.models] == ["split00", "split00"]
    assert len(found.cut) == 1


def test_a_full_disk_stops_before_test_clips_are_read_and_leaves_whole_lines(journal, monkeypatch):
    before, write = journal.read_bytes(), os.write

    def fill_up(descriptor, data):
        if len(data) < 30:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data)[:25])

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(AvemoError, match=r"mult.jsonl: expected to note which model is scored.*make room"):
        note_reading(journal, {"split": "split02", "model": "m", "inputs": {}})
    assert journal.read_bytes() == before


def test_what_is_no_journal_is_named_and_a_device_keeps_nothing(journal):
    journal.write_text("none\n" + journal.read_text())
    with pytest.raises(AvemoError, match=r"mult.jsonl: expected lines of JSON, found 'none' in line 1"):
        read_journal(journal)
    journal.unlink()
    journal.symlink_to("/dev/null")
    with pytest.raises(AvemoError, match="expected a file that keeps its lines"):
        note_reading(journal, {"split": "split02", "model": "m", "inputs": {}})
