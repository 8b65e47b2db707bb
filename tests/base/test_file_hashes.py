"""What is remembered of files only spares work: where it cannot be kept, everything goes on."""

from __future__ import annotations

import errno
import os

import pytest

from avemo.base import file_hashes
from avemo.base.file_hashes import FileHashes


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_memory_in_a_place_that_may_only_be_read_is_left_out(tmp_path, monkeypatch, number):
    (tmp_path / "a").write_text("a")

    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_hashes, "aside", refuse)
    hashes = FileHashes(tmp_path / "hashes.json")
    assert len(hashes.sha256(tmp_path / "a")) == 64
    hashes.save_if_changed()
    monkeypatch.setattr(file_hashes, "aside", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "away")))
    with pytest.raises(OSError, match="away"):
        hashes.save_if_changed()
