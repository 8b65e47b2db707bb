"""What is decoded is what the clip table has seen, or the job stops."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avemo.base.contracts import ClipFailure, MachineError, Status
from avemo.base.file_hashes import FileHashes
from avemo.index.clip_table import Row
from avemo.index.seen_media import SeenMedia


@pytest.fixture
def row(tmp_path: Path) -> Row:
    """A clip that was indexed."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    hashes = FileHashes(tmp_path / "hashes.json")
    sha256 = hashes.sha256(path)
    hashes.save()
    return Row("a", "s", "g", str(path), None, 0.0, None, sha256, None, 1.0, 16_000, None, None, "ok", "")


def swap(row: Row) -> None:
    """Other bytes of the same size, under the same time."""
    path, other = Path(row.audio_path), Path(row.audio_path).with_name("other")
    stat = path.stat()
    other.write_bytes(b"noise")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(path)


def test_a_file_that_is_as_it_was_is_not_read(row, tmp_path, monkeypatch):
    monkeypatch.setattr("avemo.base.file_hashes.sha256_of", lambda path: pytest.fail("read"))
    seen = SeenMedia(tmp_path / "index.parquet")
    assert seen.guarded("audio", lambda row: "frames")(row) == "frames"


def test_a_file_that_was_touched_is_read_and_computed(row, tmp_path):
    os.utime(row.audio_path)
    assert SeenMedia(tmp_path / "index.parquet").guarded("audio", lambda row: "frames")(row) == "frames"


def test_a_file_swapped_since_it_was_indexed_stops_the_job(row, tmp_path):
    swap(row)
    compute = SeenMedia(tmp_path / "index.parquet").guarded("audio", lambda row: pytest.fail("computed"))
    with pytest.raises(
        MachineError, match=r"a: expected .*a.wav as the clip table has seen it .*found other bytes"
    ):
        compute(row)


@pytest.mark.parametrize("fails", [True, False])
def test_a_file_swapped_while_it_is_decoded_leaves_nothing_under_its_key(row, tmp_path, fails):
    def compute(row: Row) -> str:
        swap(row)
        if fails:
            raise ClipFailure(Status.truncated, row.clip_id, "cut")
        return "frames"

    with pytest.raises(MachineError, match="found other bytes"):
        SeenMedia(tmp_path / "index.parquet").guarded("audio", compute)(row)


def test_a_file_that_is_gone_is_left_to_who_decodes_it(row, tmp_path):
    Path(row.audio_path).unlink()
    assert SeenMedia(tmp_path / "index.parquet").guarded("audio", lambda row: "told")(row) == "told"
