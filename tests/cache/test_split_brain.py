"""An owner that was stopped for longer than its lease lives cannot undo what the next one does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.base.made_of import Making, note
from avemo.cache import lock, store
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import fingerprint
from avemo.cache.store import ShardStore
from cache_factory import INFO, assert_same, ids, item_of, wanted_of


def shard_fingerprint(path: Path) -> str:
    with Shard(path) as shard:
        return fingerprint(shard.index.values())


OURS, THEIRS = wanted_of(ids(3)), wanted_of(ids(6))


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShardStore:
    """A store whose owner is on another machine than whoever comes next."""
    with monkeypatch.context() as patched:
        patched.setattr(lock, "_machine", lambda: "the first")
        opened = ShardStore(tmp_path / "store", INFO)
    opened.append([item_of("clip00")])
    return opened


def take_over(folder: Path) -> None:
    """As another machine does once the lease is old; it computes what is missing and publishes."""
    for lease in (folder / "store").glob("lock-*"):
        os.utime(lease, (1, 1))
    with ShardStore(folder / "store", INFO) as held:
        held.append([item_of(clip_id) for clip_id in held.missing(THEIRS)])
        held.publish(THEIRS, folder / "0000.h5")


def stopped_in(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], None]) -> None:
    """The first owner stops once, where it is about to call a function of its store."""
    call, left = getattr(store, name), [meanwhile]

    def late(*args: object, **kwargs: object) -> object:
        if left:
            left.pop()()
        return call(*args, **kwargs)

    monkeypatch.setattr(store, name, late)


@pytest.mark.parametrize("stop", ["write_shard", "_link"])
def test_a_stop_at_any_step_loses_nothing_of_the_next_owners(first, tmp_path, monkeypatch, stop):
    stopped_in(monkeypatch, stop, lambda: take_over(tmp_path))

    def go_on() -> None:
        first.append([item_of(clip_id) for clip_id in ("clip01", "clip02")])
        first.publish(OURS, tmp_path / "0000.h5")

    with pytest.raises(AvemoError, match="found that another took over"):
        go_on()
    first.close()
    with ShardStore(tmp_path / "store", INFO) as held:
        assert held.missing(THEIRS) == []
        held.publish(THEIRS, tmp_path / "0000.h5")
    with Shard(tmp_path / "0000.h5") as shard:
        for clip_id in THEIRS:
            assert_same(shard.item(clip_id), item_of(clip_id))


def test_a_stop_before_the_shard_has_its_name_leaves_the_next_owners_published(first, tmp_path, monkeypatch):
    first.append([item_of(clip_id) for clip_id in ("clip01", "clip02")])
    stopped_in(monkeypatch, "write_shard", lambda: take_over(tmp_path))
    with pytest.raises(AvemoError, match="found that another took over"):
        first.publish(OURS, tmp_path / "0000.h5")
    with Shard(tmp_path / "0000.h5") as shard:
        assert shard.index.keys() == THEIRS.keys()


def test_two_owners_never_give_a_part_the_same_name(first, tmp_path, monkeypatch):
    parts: list[Path] = []
    write = store.write_shard

    def noted(path: Path, *args: object, **kwargs: object) -> None:
        if path.name.startswith("part-"):
            parts.append(path)
        write(path, *args, **kwargs)

    monkeypatch.setattr(store, "write_shard", noted)
    stopped_in(monkeypatch, "write_shard", lambda: take_over(tmp_path))
    with pytest.raises(AvemoError, match="another took over"):
        first.append([item_of("clip01")])
    assert len(parts) == len(set(parts)) == 2


def test_a_stop_just_before_the_renaming_leaves_the_next_owners_published(first, tmp_path, monkeypatch):
    """The next owner takes away what the late one was about to rename."""
    output, replace, left = tmp_path / "0000.h5", os.replace, [lambda: take_over(tmp_path)]
    first.append([item_of(clip_id) for clip_id in ("clip01", "clip02")])

    def late(source: Path, target: Path) -> None:
        if Path(target) == output and left:
            left.pop()()
        replace(source, target)

    monkeypatch.setattr(os, "replace", late)
    with pytest.raises(AvemoError, match="found that another took over"):
        first.publish(OURS, output)
    assert not left
    with Shard(output) as shard:
        assert shard.index.keys() == THEIRS.keys()


def test_a_record_that_a_late_owner_leaves_beside_the_next_ones_shard_does_not_describe_it(first, tmp_path):
    output = tmp_path / "0000.h5"
    first.append([item_of(clip_id) for clip_id in ("clip01", "clip02")])
    published = first.publish(OURS, output)
    take_over(tmp_path)
    note(output, None, {}, of=fingerprint(published.entries), stat=published.stat)
    assert Making(output, identify=shard_fingerprint).changes() == ["its bytes changed"]
