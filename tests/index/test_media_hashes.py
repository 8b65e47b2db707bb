"""What files hold is read once, and a touch is no change."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from avemo.base.contracts import MachineError
from avemo.index.media_hashes import HashCache


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.wav").write_bytes(b"sound")
    return tmp_path / "a.wav"


@pytest.fixture
def memory(tmp_path: Path, file: Path) -> Path:
    """A memory that knows the file."""
    hashes = HashCache(tmp_path / "hashes.json")
    hashes.sha256(file)
    hashes.save()
    return hashes.path


def touch(file: Path) -> None:
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def test_the_hash_is_that_of_the_bytes(file, memory):
    # sha256sum of the five letters
    assert HashCache(memory).sha256(file).startswith("dd29442deca69f52")


def test_a_file_that_is_as_it_was_is_not_read_again(file, memory, monkeypatch):
    before = HashCache(memory).sha256(file)
    monkeypatch.setattr("avemo.base.file_hashes.sha256_of", lambda path: "read")
    assert HashCache(memory).sha256(file) == before
    touch(file)
    assert HashCache(memory).sha256(file) == "read"


def test_other_bytes_of_the_same_size_under_a_time_set_back_are_noticed(file, memory):
    before, stat = HashCache(memory).sha256(file), file.stat()
    file.write_bytes(b"noise")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert HashCache(memory).sha256(file) != before


def test_a_file_put_in_anothers_place_with_its_size_and_time_is_noticed(file, memory, tmp_path):
    before, stat, other = HashCache(memory).sha256(file), file.stat(), tmp_path / "other"
    other.write_bytes(b"noise")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(file)
    assert HashCache(memory).sha256(file) != before


def test_a_file_that_changes_while_it_is_indexed_stops_the_index(file, memory):
    hashes = HashCache(memory)
    hashes.sha256(file)
    file.write_bytes(b"noise")
    with pytest.raises(MachineError, match=r"a.wav: expected a file at rest.*run again"):
        hashes.listing([file])


def test_a_listing_tells_what_a_file_holds_or_its_time_where_none_has_read_it(file, memory, tmp_path):
    absent, sha256 = tmp_path / "none.wav", HashCache(memory).sha256(file)
    assert HashCache(memory).listing([file, absent]) == [(str(file), 5, sha256)]
    unread = HashCache(tmp_path / "nothing.json").listing([file, absent])
    assert unread == [(str(file), 5, str(file.stat().st_mtime_ns))]


def test_a_touch_is_read_once_and_then_known(file, memory):
    before = HashCache(memory).listing([file])
    touch(file)
    first = HashCache(memory)
    assert first.listing([file]) == before
    assert first.changed
    first.save_if_changed()
    second = HashCache(memory)
    assert second.listing([file]) == before
    assert not second.changed


def test_other_bytes_show_also_of_the_same_size(file, memory):
    before = HashCache(memory).listing([file])
    file.write_bytes(b"noise")
    touch(file)
    assert HashCache(memory).listing([file]) != before


def test_bytes_that_come_back_are_what_the_index_has_last_seen(file, memory):
    before = HashCache(memory).listing([file])
    file.write_bytes(b"noise")
    touch(file)
    file.write_bytes(b"sound")
    touch(file)
    assert HashCache(memory).listing([file]) == before


def test_media_are_gone_when_none_is_left_whatever_else_there_is(file, memory, tmp_path):
    table, second = tmp_path / "clips.csv", tmp_path / "b.wav"
    for path in (table, second):
        path.write_bytes(b"other")
    hashes = HashCache(memory)
    for path in (file, second, table):
        hashes.sha256(path)
    hashes.save()
    file.unlink()
    assert not HashCache(memory).media_are_gone()
    second.unlink()
    assert HashCache(memory).media_are_gone()
    assert not HashCache(tmp_path / "nothing.json").media_are_gone()


def test_what_a_corpus_said_of_itself_holds_while_its_media_are_away(file, memory):
    hashes = HashCache(memory)
    hashes.sha256(file)
    hashes.keep_synthetic(True)
    hashes.save()
    other = HashCache(memory)
    other.fact("table", lambda: 1)
    other.sha256(file)
    other.save()
    assert not HashCache(memory).synthetic_and_gone
    file.unlink()
    assert HashCache(memory).synthetic_and_gone


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 3}', '{"a": [1]}', '{"a": {"b": 1}}'])
def test_a_damaged_memory_knows_nothing(text, file, memory):
    memory.write_text(text)
    assert HashCache(memory).listing([file]) == [(str(file), 5, str(file.stat().st_mtime_ns))]


def test_a_memory_that_may_not_be_written_is_left_alone(file, memory, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "denied")

    touch(file)
    hashes = HashCache(memory)
    hashes.listing([file])
    monkeypatch.setattr(Path, "write_text", refuse)
    hashes.save_if_changed()
    assert len(json.loads(memory.read_text())) == 1
