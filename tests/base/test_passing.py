"""Errors that pass are told from those that a file is to blame for."""

from __future__ import annotations

import errno

import h5py
import pytest

from avemo.base import passing
from avemo.base.passing import is_passing, number_of, patiently


def test_storage_and_machine_are_told_from_files_also_as_causes_and_in_hdf5s_words(tmp_path):
    for number in ("EIO", "ENOTCONN", "ETIMEDOUT", "ESTALE", "EACCES", "ENOMEM", "EMFILE", "ENFILE"):
        assert is_passing(OSError(getattr(errno, number), number))
    assert is_passing(MemoryError())
    assert not any(map(is_passing, [OSError(errno.ENOENT, "none"), ValueError("no header"), None]))
    caused = ValueError("no header")
    caused.__cause__ = OSError(errno.EIO, "Input/output error")
    assert is_passing(caused)
    with pytest.raises(FileNotFoundError, match="errno = 2") as caught:
        h5py.File(tmp_path / "none.h5")
    assert number_of(OSError(str(caught.value))) == errno.ENOENT


def test_what_passes_is_asked_again_and_what_does_not_is_not(monkeypatch):
    monkeypatch.setattr(passing, "PAUSES_S", (0, 0))
    asked = []

    def ask(error, times):
        asked.append(error)
        if len(asked) <= times:
            raise error
        return "answer"

    assert patiently(lambda: ask(OSError(errno.EIO, "away"), 2)) == "answer"
    asked.clear()
    with pytest.raises(OSError, match="away"):
        patiently(lambda: ask(OSError(errno.EIO, "away"), 9))
    assert len(asked) == 3
    asked.clear()
    with pytest.raises(ValueError, match="rot"):
        patiently(lambda: ask(ValueError("rot"), 9))
    assert len(asked) == 1
