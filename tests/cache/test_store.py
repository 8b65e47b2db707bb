"""The store keeps what was computed: over restarts, parameter changes, deleted outputs and bad disks."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo.base.contracts import AvemoError, Status
from avemo.cache.items import Item
from avemo.cache.shard import Shard
from avemo.cache.store import ShardStore
from cache_factory import INFO, assert_same, flip_frame, frames_of, ids, item_of, items_in, wanted_of

WANTED = wanted_of(ids(8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of eight clips in three parts."""
    folder = tmp_path / ".store" / "toy" / "0000"
    with ShardStore(folder, INFO) as store:
        for group in (ids(8)[5:], ids(8)[:3], ids(8)[3:5]):
            store.append([item_of(clip_id) for clip_id in group])
    return folder


def publish(folder: Path, output: Path, wanted: dict[str, str] = WANTED) -> bytes:
    with ShardStore(folder, INFO) as store:
        store.publish(wanted, output)
    return output.read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.glob("*.h5"))


def test_what_was_appended_is_held_after_reopening(folder: Path) -> None:
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED | {"new": "k1-new", "clip00": "other"}) == ["clip00", "new"]
        (failure,) = store.failures(WANTED).values()
    assert (failure.clip, failure.status, failure.detail) == ("clip03", Status.no_face, "no face in 7 frames")


def test_what_is_forgotten_is_missing_and_stays_published(folder: Path, tmp_path: Path) -> None:
    published = publish(folder, tmp_path / "0000.h5")
    with ShardStore(folder, INFO) as store:
        store.forget()
        assert store.missing(WANTED) == ids(8)
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == ids(8)
    assert (tmp_path / "0000.h5").read_bytes() == published


def test_publishing_packs_exactly_the_wanted_items_in_order(folder: Path, tmp_path: Path) -> None:
    wanted = wanted_of(["clip06", "clip03", "clip01"])
    publish(folder, tmp_path / "0000.h5", wanted)
    stored = items_in(tmp_path / "0000.h5")
    assert [item.clip_id for item in stored] == ["clip01", "clip03", "clip06"]
    for item in stored:
        assert_same(item, item_of(item.clip_id))


def test_publishing_while_clips_are_missing_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="expected 9 clips, found 1 not computed yet .*zz"):
        publish(folder, tmp_path / "0000.h5", WANTED | {"zz": "k"})
    assert not (tmp_path / "0000.h5").exists()


@settings(max_examples=15)
@given(order=st.permutations(ids(6)), cuts=st.sets(st.integers(1, 5)))
def test_parts_do_not_show_in_the_published_bytes(
    order: list[str], cuts: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    bounds = [0, *sorted(cuts), 6]
    with ShardStore(folder / "cut", INFO) as store:
        for start, end in pairwise(bounds):
            store.append([item_of(clip_id) for clip_id in order[start:end]])
        store.publish(wanted_of(ids(6)), folder / "cut.h5")
    with ShardStore(folder / "whole", INFO) as store:
        store.append([item_of(clip_id) for clip_id in ids(6)])
        store.publish(wanted_of(ids(6)), folder / "whole.h5")
    assert (folder / "cut.h5").read_bytes() == (folder / "whole.h5").read_bytes()
    assert names(folder / "cut") == ["packed"]


def test_a_deleted_output_is_linked_again(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "0000.h5"
    before = publish(folder, output)
    inode = output.stat().st_ino
    output.unlink()
    os.utime(next(folder.glob("packed-*")), (0, 0))
    assert publish(folder, output) == before
    assert output.stat().st_ino == inode
    assert output.stat().st_mtime > 1e9, "an old time would make the output stale"


def test_publishing_over_the_same_link_leaves_no_debris(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "out" / "0000.h5")
    publish(folder, tmp_path / "out" / "0000.h5")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0000.h5"]


def test_without_hard_links_the_bytes_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    packed = publish(folder, tmp_path / "0000.h5")
    (tmp_path / "0000.h5").unlink()
    assert next(folder.glob("packed-*")).read_bytes() == packed


def test_changing_a_parameter_back_leaves_nothing_to_compute(folder: Path, tmp_path: Path) -> None:
    before = publish(folder, tmp_path / "0000.h5")
    changed = wanted_of(ids(8), key="k2")
    with ShardStore(folder, INFO) as store:
        assert store.missing(changed) == ids(8)
        store.append([item_of(clip_id, key="k2", dim=7) for clip_id in ids(8)])
    assert publish(folder, tmp_path / "0000.h5", changed) != before
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == []
    assert publish(folder, tmp_path / "0000.h5") == before
    assert names(folder) == ["packed", "packed"]


def test_a_new_clip_replaces_the_packed_file(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "0000.h5")
    with ShardStore(folder, INFO) as store:
        store.append([item_of("clip08")])
    publish(folder, tmp_path / "0000.h5", wanted_of(ids(9)))
    assert names(folder) == ["packed"]
    assert len(items_in(tmp_path / "0000.h5")) == 9


def test_items_of_another_dtype_are_kept_but_do_not_count(folder: Path) -> None:
    with ShardStore(folder, INFO, "float16") as store:
        assert store.missing(WANTED) == ids(8)
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == []


def test_items_of_two_dimensions_are_not_packed_together(folder: Path, tmp_path: Path) -> None:
    with ShardStore(folder, INFO) as store:
        store.append([item_of("clip08", dim=5)])
    with pytest.raises(AvemoError, match=r"expected items of one dimension, found \[4, 5\]"):
        publish(folder, tmp_path / "0000.h5", wanted_of(ids(9)))


def test_a_flipped_byte_costs_its_clip_alone(folder: Path, tmp_path: Path) -> None:
    flip_frame(next(folder.glob("part-000002-*")), "clip01")
    with pytest.warns(
        UserWarning, match=r"part-000002-\d+.h5: .* found others in clip01; .* count as missing"
    ):
        store = ShardStore(folder, INFO)
    with store:
        assert store.missing(WANTED) == ["clip01"]
        store.append([item_of("clip01")])
        store.publish(WANTED, tmp_path / "0000.h5")
    assert names(folder) == ["packed"]
    for item in items_in(tmp_path / "0000.h5"):
        assert_same(item, item_of(item.clip_id))


def test_damage_among_replaced_items_goes_at_the_next_publication(folder: Path, tmp_path: Path) -> None:
    changed = WANTED | {"clip01": "k2-clip01"}
    with ShardStore(folder, INFO) as store:
        store.append([item_of("clip01", key="k2")])
    flip_frame(next(folder.glob("part-000002-*")), "clip01")
    with pytest.warns(UserWarning, match="found others in clip01"):
        publish(folder, tmp_path / "0000.h5", changed)
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == ["clip01"]
    assert names(folder) == ["packed"]


def test_an_open_shard_stays_what_it_was_while_another_takes_its_name(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "0000.h5")
    changed = wanted_of(ids(8), key="k2")
    with Shard(tmp_path / "0000.h5") as shard:
        with ShardStore(folder, INFO) as store:
            store.append([replace(item_of(name, key="k2"), **other_frames(name)) for name in ids(8)])
        publish(folder, tmp_path / "0000.h5", changed)
        assert shard.verify() == []
        for clip_id in shard.index:
            assert_same(shard.item(clip_id), item_of(clip_id))


def other_frames(clip_id: str) -> dict[str, np.ndarray]:
    """Frames of the same shapes with other numbers; nothing for the clip that fails."""
    item = item_of(clip_id)
    return {} if item.x is None else {"x": 2 * item.x}


def test_replaced_items_keep_no_copies_of_others(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "0000.h5")
    changed = WANTED | {"clip01": "k2-clip01"}
    with ShardStore(folder, INFO) as store:
        store.append([item_of("clip01", key="k2")])
    publish(folder, tmp_path / "0000.h5", changed)
    assert names(folder) == ["packed", "rest"]
    assert [item.key for item in items_in(next(folder.glob("rest-*")))] == ["k1-clip01"]
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == []


def test_nothing_that_was_published_goes_unasked(folder: Path, tmp_path: Path) -> None:
    """Parameters changed, media that vanish or are replaced for a time, tables cut: all may come back."""
    publish(folder, tmp_path / "0000.h5")
    gone = [Item(clip_id, f"gone-{clip_id}", Status.missing_file, "away") for clip_id in ids(8)[1:]]
    states = [wanted_of(ids(8), key) for key in ("k2", "k3", "k4")]
    for wanted in states:
        with ShardStore(folder, INFO) as store:
            store.append([item_of(clip_id, key=wanted[clip_id][:2]) for clip_id in ids(8)])
        publish(folder, tmp_path / "0000.h5", wanted)
    with ShardStore(folder, INFO) as store:
        store.append(gone)
    away = {item.clip_id: item.key for item in gone}
    publish(folder, tmp_path / "0000.h5", away)
    with ShardStore(folder, INFO) as store:
        assert [store.missing(wanted) for wanted in (WANTED, *states, away)] == [[]] * 5


def test_clips_that_one_table_leaves_out_are_held_for_the_next(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "0000.h5")
    for kept in (ids(2), [], ids(3)):
        publish(folder, tmp_path / "0000.h5", wanted_of(kept))
        assert [item.clip_id for item in items_in(tmp_path / "0000.h5")] == kept
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == []
    publish(folder, tmp_path / "0000.h5")
    assert names(folder) == ["packed"]


def test_a_kill_amid_compaction_loses_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, tmp_path / "0000.h5")
    changed = WANTED | {"clip01": "k2-clip01"}
    unlink = Path.unlink

    def stop_at_packed(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("packed"):
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with ShardStore(folder, INFO) as store, monkeypatch.context() as patch:
        store.append([item_of("clip01", key="k2")])
        patch.setattr(Path, "unlink", stop_at_packed)
        with pytest.raises(KeyboardInterrupt):
            store.publish(changed, tmp_path / "0000.h5")
    assert names(folder).count("packed") == 2
    with ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == store.missing(changed) == []
    publish(folder, tmp_path / "0000.h5", changed)
    assert names(folder) == ["packed", "rest"]


def test_a_store_that_a_newer_avemo_wrote_is_left_alone(folder: Path) -> None:
    with h5py.File(next(folder.glob("part-000001-*")), "r+") as file:
        file.attrs["layout"] = np.bytes_(b"avemo-shard/9")
    before = sorted(folder.glob("*.h5"))
    with pytest.raises(AvemoError, match="a newer avemo has written"):
        ShardStore(folder, INFO)
    assert sorted(folder.glob("*.h5")) == before


def test_a_truncated_part_is_set_aside(folder: Path) -> None:
    os.truncate(next(folder.glob("part-000001-*")), 700)
    with pytest.warns(UserWarning, match="set aside"), ShardStore(folder, INFO) as store:
        assert store.missing(WANTED) == ids(8)[5:]


def test_a_published_file_written_to_in_place_is_made_anew(folder: Path, tmp_path: Path) -> None:
    """Output and packed file are one file with two names, so damage reaches both; the store notices."""
    before = publish(folder, tmp_path / "0000.h5")
    flip_frame(tmp_path / "0000.h5", "clip05")
    with pytest.warns(UserWarning, match="found others in clip05"):
        store = ShardStore(folder, INFO)
    with store:
        store.append([item_of(clip_id) for clip_id in store.missing(WANTED)])
        store.publish(WANTED, tmp_path / "0000.h5")
    assert (tmp_path / "0000.h5").read_bytes() == before


def test_leftovers_of_dead_writers_are_removed(folder: Path, tmp_path: Path) -> None:
    (folder / ".part-000009.h5.0123abcd.tmp").write_bytes(b"half")
    (tmp_path / ".0000.h5.0123abcd.tmp").write_bytes(b"half")
    (tmp_path / ".0001.h5.0123abcd.tmp").write_bytes(b"of a neighbour that is alive")
    publish(folder, tmp_path / "0000.h5")
    assert list(folder.glob(".*.tmp")) == []
    assert [path.name for path in tmp_path.glob(".*.tmp")] == [".0001.h5.0123abcd.tmp"]


def test_a_disk_that_fills_up_leaves_the_store_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with ShardStore(folder, INFO) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left"):
                store.append([item_of("clip08")])
        assert store.missing(wanted_of(ids(9))) == ["clip08"]
    assert len(names(folder)) == 3
    assert list(folder.glob(".*.tmp")) == []


def test_a_folder_has_one_writer(folder: Path) -> None:
    with ShardStore(folder, INFO), pytest.raises(AvemoError, match=f"found pid {os.getpid()} on"):
        ShardStore(folder, INFO)


def test_an_empty_shard_is_published(tmp_path: Path) -> None:
    publish(tmp_path / "store", tmp_path / "0000.h5", {})
    with Shard(tmp_path / "0000.h5") as shard:
        assert (shard.index, shard.dim, shard.verify()) == ({}, 0, [])


def test_a_shard_of_failures_only_is_published(tmp_path: Path) -> None:
    with ShardStore(tmp_path / "store", INFO) as store:
        store.append([Item("a", "k", Status.lfs_pointer, "130 bytes")])
        store.publish({"a": "k"}, tmp_path / "0000.h5")
    assert [item.status for item in items_in(tmp_path / "0000.h5")] == [Status.lfs_pointer]


def test_other_hdf5_tools_read_what_is_published(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "0000.h5")
    with h5py.File(tmp_path / "0000.h5") as file:
        row = file["index"][4]
        x = file["data"][row["offset"] : row["offset"] + row["length"]]
    assert row["clip_id"].decode() == "clip04"
    np.testing.assert_array_equal(x, frames_of("clip04").x)
