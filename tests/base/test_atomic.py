"""Lines are added whole or not at all."""

from __future__ import annotations

import errno
import os

import pytest

from avemo.base.atomic import append_line


@pytest.mark.parametrize("room", range(6))
def test_a_full_disk_leaves_the_lines_that_were_there(room, tmp_path, monkeypatch):
    path, write, left = tmp_path / "a.jsonl", os.write, [room]
    append_line(path, "first")

    def fill_up(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, bytes(data)[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fill_up)
        with pytest.raises(OSError, match="No space left"):
            append_line(path, "second")
    assert path.read_text() == "first\n"
    append_line(path, "second")
    assert path.read_text() == "first\nsecond\n"


def test_a_cut_line_of_another_writer_is_ended(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("first\nsec")
    append_line(path, "third")
    assert path.read_text() == "first\nsec\nthird\n"
