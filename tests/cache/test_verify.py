"""``verify_folder`` and ``describe`` over a cache as the workflow lays it out."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from avemo.base.contracts import AvemoError
from avemo.base.keys import shard_of
from avemo.cache.inventory import describe
from avemo.cache.shard_writer import write_shard
from avemo.cache.store import ShardStore
from avemo.cache.verify import Problem, verify_folder, withdraw
from cache_factory import INFO, flip_frame, ids, item_of, wanted_of


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two shards of one component and one of another, published from stores."""
    for component, shard, clip_ids in (
        ("toy", "0000", ids(4)),
        ("toy", "0001", ["x"]),
        ("other", "0000", ["y"]),
    ):
        info = INFO | {"corpus": "corpus", "component": component}
        with ShardStore(tmp_path / "corpus" / ".store" / component / shard, info) as store:
            store.append([item_of(clip_id) for clip_id in clip_ids])
            store.publish(wanted_of(clip_ids), tmp_path / "corpus" / component / f"{shard}.h5")
    return tmp_path


def test_a_whole_cache_has_no_problems(cache: Path) -> None:
    assert verify_folder(cache) == []


def test_a_flipped_byte_is_reported_once_at_its_published_file_and_clip(cache: Path) -> None:
    shard = cache / "corpus" / "toy" / "0000.h5"
    flip_frame(shard, "clip02")
    assert verify_folder(cache) == [Problem(shard, ("clip02",), "bytes differ from those written")]


def test_a_truncated_shard_and_a_part_set_aside_are_reported(cache: Path) -> None:
    shard = cache / "corpus" / "other" / "0000.h5"
    os.truncate(shard, 600)
    corrupt = cache / "corpus" / ".store" / "toy" / "0000" / "part-000001.h5.corrupt"
    corrupt.write_bytes(b"")
    first, second = verify_folder(cache, lambda path: ["y"] if path == shard else [])
    assert (first.file, first.what) == (corrupt, "unreadable, set aside until the next run")
    assert (second.file, second.clips) == (shard, ("y",))
    assert "expected a whole feature shard" in second.what


def test_a_shard_of_another_corpus_or_component_is_told(cache: Path) -> None:
    foreign = cache / "corpus" / "toy" / "0001.h5"
    info = INFO | {"corpus": "elsewhere", "component": "toy"}
    foreign.unlink()
    write_shard(foreign, [item_of("x")], info)
    swapped = cache / "corpus" / "toy" / "0000.h5"
    swapped.unlink()
    os.link(cache / "corpus" / "other" / "0000.h5", swapped)
    problems = verify_folder(cache)
    assert Problem(foreign, ("x",), "from another place: elsewhere/toy") in problems
    # A file of two names is read once, at the first.
    assert len(problems) == 1
    (cache / "corpus" / "other" / "0000.h5").unlink()
    assert Problem(swapped, ("y",), "from another place: corpus/other") in verify_folder(cache)


def test_a_clip_in_the_wrong_shard_is_told(tmp_path: Path) -> None:
    info = {"corpus": tmp_path.name, "component": "toy", "shards": 4}
    (tmp_path / "toy").mkdir()
    write_shard(tmp_path / "toy" / "0002.h5", [item_of(clip_id) for clip_id in ids(8)], info)
    (problem,) = verify_folder(tmp_path)
    assert problem.clips == tuple(name for name in ids(8) if shard_of(name, 4) != 2)


def test_withdrawing_leaves_the_store_and_what_a_newer_avemo_wrote(cache: Path) -> None:
    toy, other = cache / "corpus" / "toy" / "0000.h5", cache / "corpus" / "other" / "0000.h5"
    flip_frame(toy, "clip02")
    with h5py.File(other, "r+") as file:
        file.attrs["layout"] = np.bytes_(b"avemo-shard/9")
    problems = verify_folder(cache)
    assert {problem.file: problem.replaceable for problem in problems} == {toy: True, other: False}
    assert withdraw(problems, cache) == [toy]
    assert other.exists()
    store = cache / "corpus" / ".store" / "toy" / "0000"
    with pytest.warns(UserWarning, match="clip02"), ShardStore(store, INFO) as held:
        assert held.missing(wanted_of(ids(4))) == ["clip02"]


def test_describe_counts_what_is_published(cache: Path) -> None:
    def frames(clip_ids: list[str]) -> int:
        return sum(len(x) for x in (item_of(clip_id).x for clip_id in clip_ids) if x is not None)

    with ShardStore(cache / "corpus" / ".store" / "toy" / "0000", INFO) as store:
        store.append([item_of("new")])
    part = next((cache / "corpus" / ".store" / "toy" / "0000").glob("part-*")).stat().st_size
    other, toy = describe(cache)
    assert (other.component, other.ok, other.failed, other.shards) == ("corpus/other", 1, 0, 1)
    assert (toy.component, toy.ok, toy.failed, toy.shards) == ("corpus/toy", 4, 1, 2)
    assert toy.frames == frames([*ids(4), "x"])
    assert toy.bytes == sum(path.stat().st_size for path in (cache / "corpus" / "toy").iterdir())
    assert (other.kept_bytes, toy.kept_bytes) == (0, part)
    assert toy.key != other.key
    assert 0 <= toy.age_h < 0.1


@pytest.mark.parametrize("look", [describe, verify_folder])
def test_an_absent_folder_is_named(look: object, tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="none: expected a cache folder"):
        look(tmp_path / "none")  # type: ignore[operator]
