"""Caches whose folders are links to other disks: seen, checked and cleared like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.cache.garbage import delete, find_garbage
from avemo.cache.inventory import describe
from avemo.cache.store import ShardStore
from avemo.cache.verify import verify_folder, withdraw
from cache_factory import INFO, flip_frame, ids, item_of, wanted_of

PLACES = ["corpus", "corpus/toy", "corpus/.store", "corpus/.store/toy", "corpus/toy/0000.h5"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A cache of one corpus, as it lies on the disk that links will lead to."""
    info = INFO | {"corpus": "corpus", "component": "toy"}
    folder = tmp_path / "disk"
    with ShardStore(folder / "corpus" / ".store" / "toy" / "0000", info) as store:
        store.append([item_of(clip_id) for clip_id in ids(3)])
        store.publish(wanted_of(ids(3)), folder / "corpus" / "toy" / "0000.h5")
    return folder


def linked(disk: Path, place: str) -> Path:
    """The cache with ``place`` on another disk, and a link where it was."""
    away = disk.parent / "away"
    (disk / place).rename(away)
    (disk / place).symlink_to(away)
    return disk


@pytest.mark.parametrize("place", PLACES)
def test_what_lies_behind_a_link_is_listed_and_checked(disk: Path, place: str) -> None:
    cache = linked(disk, place)
    (row,) = describe(cache)
    assert (row.component, row.ok, row.shards) == ("corpus/toy", 3, 1)
    assert verify_folder(cache) == []
    flip_frame(cache / "corpus" / "toy" / "0000.h5", "clip02")
    problems = verify_folder(cache)
    assert [problem.clips for problem in problems] == [("clip02",)]
    assert problems[0].file == cache / "corpus" / "toy" / "0000.h5"
    assert withdraw(problems, cache) == [problems[0].file]
    assert not (cache / "corpus" / "toy" / "0000.h5").exists()


def test_links_in_a_circle_end(disk: Path) -> None:
    (disk / "corpus" / "again").symlink_to(disk)
    (disk / "corpus" / "gone").symlink_to(disk / "nowhere")
    assert [row.component for row in describe(disk)] == ["corpus/toy"]
    assert verify_folder(disk) == []


@pytest.mark.parametrize("place", PLACES)
def test_garbage_behind_a_link_goes_and_what_others_may_use_stays(disk: Path, place: str) -> None:
    cache = linked(disk, place)
    (garbage,) = find_garbage(cache, {})
    assert garbage.bytes > 0
    left = delete(garbage)
    assert find_garbage(cache, {}) == []
    assert not (cache / "corpus" / "toy").exists()
    ours = place in ("corpus", "corpus/.store")
    assert left == ([] if ours else [disk.parent / "away"])
    assert (disk.parent / "away").exists()


def test_a_folder_without_a_shard_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(AvemoError, match=r"expected feature shards \(\*\.h5\), found none"):
        verify_folder(tmp_path)
    with pytest.raises(AvemoError, match="expected a cache, which holds folders of corpora, found none"):
        find_garbage(tmp_path, {})
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for ask in (verify_folder, describe, lambda folder: find_garbage(folder, {})):
        with pytest.raises(AvemoError, match="found a link to .*nowhere, which is not there"):
            ask(tmp_path / "link")
