"""Files appear whole, lines are added whole, and both with the mode that the umask leaves."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from avemo.base.atomic import append_line, aside, aside_folder


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


def only_for_me(path: Path) -> None:
    """As libraries write that make a file of their own first and rename it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    os.close(descriptor)
    os.replace(name, path)


def tensors(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
@pytest.mark.parametrize("write", [only_for_me, tensors, Path.touch])
def test_files_have_the_mode_that_the_umask_leaves_and_the_group_of_a_setgid_folder(write, umask, tmp_path):
    os.chmod(tmp_path, 0o2777)
    before = os.umask(umask)
    try:
        with aside(tmp_path / "file") as temporary:
            write(temporary)
        with aside_folder(tmp_path / "folder") as temporary:
            write(temporary / "inner")
        append_line(tmp_path / "lines", "first")
    finally:
        os.umask(before)
    for name in ("file", "folder/inner", "lines"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask, name
        assert (tmp_path / name).stat().st_gid == tmp_path.stat().st_gid


def test_all_of_a_folder_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    synced, fsync, replace = set(), os.fsync, os.replace

    def note(descriptor):
        synced.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def named(temporary, path):
        assert synced == {temporary, *temporary.rglob("*")}
        replace(temporary, path)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", named)
    with aside_folder(tmp_path / "folder") as temporary:
        (temporary / "inner" / "empty").mkdir(parents=True)
        (temporary / "inner" / "file").write_text("whole")
    assert tmp_path in synced
    assert (tmp_path / "folder" / "inner" / "file").read_text() == "whole"


def test_a_file_system_that_takes_no_file_says_so_and_nothing_else(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(OSError, match=r"file: first"), aside(tmp_path / "file"):
        raise OSError(errno.EROFS, "file: first")
