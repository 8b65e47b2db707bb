"""What made a file stands beside it, and is compared whenever the file is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError, MachineError
from avemo.base.made_of import (
    Making,
    checked,
    made_of,
    note,
    read_of,
    record_path,
    require_made_of,
    write_made,
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table made of two others."""
    path = tmp_path / "table.csv"
    write_made(path, lambda aside: aside.write_text("a,b"), {"lr": 0.1}, {"labels": "l1", "splits": "s1"})
    return path


def test_a_file_that_is_as_it_was_written_is_known_by_its_bytes(table):
    assert checked(table) == made_of(table).of
    table.write_text("a,c")
    with pytest.raises(AvemoError, match=r"table.csv: expected the bytes that table.made.json tells of"):
        checked(table)
    record_path(table).unlink()
    assert len(checked(table)) == 64
    table.unlink()
    with pytest.raises(AvemoError, match="expected a file, found none"):
        checked(table)


def test_a_file_made_of_others_than_are_read_with_it_is_refused(table):
    require_made_of(table, {"labels": "l1", "splits": "s1", "audio": "unknown then"})
    with pytest.raises(AvemoError, match=r"table.csv: expected one made of the splits s2 .* made of s1"):
        require_made_of(table, {"labels": "l1", "splits": "s2"})


def test_what_differs_is_told_setting_by_setting_and_file_by_file(table, tmp_path):
    labels = tmp_path / "labels.parquet"
    same = Making(table, {"lr": 0.1}, {"labels": "l1", "splits": tmp_path / "absent.json"})
    assert same.changes() == []
    write_made(labels, lambda aside: aside.write_text("other"), None, {})
    other = Making(table, {"lr": 0.2}, {"labels": labels, "splits": "s2"})
    assert other.changes() == ["lr: 0.1 → 0.2", "labels changed", "splits changed"]


def test_a_file_without_a_record_may_be_of_anything_and_one_that_is_not_there_of_nothing(table, tmp_path):
    assert Making(tmp_path / "absent.csv", {"lr": 0.2}).changes() == []
    record_path(table).write_text('{"of": 3')
    assert Making(table, {"lr": 0.1}).changes() == ["no record says what made it"]


def test_a_file_that_is_gone_but_for_its_record_is_told(table):
    table.unlink()
    assert Making(table, {"lr": 0.1}).changes() == ["it is gone"]


def test_a_file_in_its_place_counts_by_what_it_holds(table, tmp_path):
    making, copy = Making(table, {"lr": 0.1}), tmp_path / "copy.csv"
    copy.write_text("a,b")
    copy.rename(table)
    before = made_of(table).inode
    os.utime(record_path(table), (7, 7))
    assert making.changes() == []
    # It was read once and is known since; its record is no newer for that.
    assert made_of(table).inode == table.stat().st_ino != before
    assert record_path(table).stat().st_mtime == 7
    copy.write_text("a,c")
    copy.rename(table)
    assert making.changes() == ["its bytes changed"]


def test_the_order_of_settings_counts(tmp_path):
    config = tmp_path / "config.json"
    config.write_text("{}")
    note(config, {"systems": {"a": 1, "b": 2}}, {})
    assert Making(config, {"systems": {"a": 1, "b": 2}}).changes() == []
    assert Making(config, {"systems": {"b": 2, "a": 1}}).changes() == ["the order of its settings"]


def test_a_record_never_stands_beside_a_file_that_it_does_not_describe(table):
    def die(aside: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_made(table, die, {"lr": 0.2}, {})
    assert (table.read_text(), made_of(table)) == ("a,b", None)


def test_a_file_that_cannot_be_read_now_did_not_change(table: Path, tmp_path: Path):
    def away(_: Path) -> str:
        raise MachineError("table.csv: storage away")

    copy = tmp_path / "copy" / "table.csv"
    copy.parent.mkdir()
    copy.write_bytes(table.read_bytes())
    record_path(copy).write_bytes(record_path(table).read_bytes())
    with pytest.raises(MachineError, match="storage away"):
        Making(copy, {"lr": 0.1}, {"labels": "l1", "splits": "s1"}, away).changes()


def test_a_record_that_may_not_be_read_is_named(table):
    record_path(table).unlink()
    record_path(table).mkdir()
    with pytest.raises(
        MachineError, match=r"table.made.json: expected the record of what made table.csv, found it closed"
    ):
        made_of(table)


def test_a_manifest_that_is_read_no_more_or_in_another_way_is_a_change(tmp_path):
    model, manifests = tmp_path / "model", {name: tmp_path / name / "manifest.json" for name in ("a", "b")}
    read: dict[str, str] = {}
    for name, manifest in manifests.items():
        write_made(manifest, lambda aside: aside.write_text("{}"), None, {})
        read |= read_of(name, manifest, made_of(manifest).of)
    write_made(model, lambda aside: aside.write_text("w"), None, {"labels": "l1"} | read)
    assert Making(model, None, {"labels": "l1"}, cached=manifests).changes() == []
    assert Making(model, None, {"labels": "l1"}, cached={"a": manifests["a"]}).changes() == [
        "b is read no more"
    ]
    other = {"a": manifests["a"], "b (nearest)": manifests["b"]}
    assert Making(model, None, {"labels": "l1"}, cached=other).changes() == [
        *("b (nearest) changed", "code of b (nearest) changed", "b is read no more")
    ]


def test_what_is_read_no_more_is_told(table):
    """A modality that was taken out, say: what was made with it does not stand."""
    assert Making(table, {"lr": 0.1}, {"labels": "l1"}).changes() == ["splits is read no more"]
    assert Making(table, {"lr": 0.1}, {"labels": "l1"}, noted=("splits",)).changes() == []
    # Who does not know all that is read cannot tell.
    assert Making(table, {"lr": 0.1}, {"labels": "l1"}).changes(lambda path: None) == []
