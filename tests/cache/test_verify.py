"""``verify_folder`` and ``describe`` over a cache as the workflow lays it out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cache_factory import INFO, flip_frame, ids, item_of, wanted_of

from pipeline.cache.listing import Row, describe
from pipeline.cache.store import ShardStore
from pipeline.cache.verify import Problem, verify_folder
from pipeline.contracts import AvemoError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two shards of one component and one of another, published from stores."""
    for component, shard, clip_ids in (
        ("toy", "0000", ids(4)),
        ("toy", "0001", ["x"]),
        ("other", "0000", ["y"]),
    ):
        with ShardStore(tmp_path / "corpus" / ".store" / component / shard, INFO) as store:
            store.append([item_of(clip_id) for clip_id in clip_ids])
            store.publish(wanted_of(clip_ids), tmp_path / "corpus" / component / f"{shard}.h5")
    return tmp_path


def test_a_whole_cache_has_no_problems(cache: Path) -> None:
    assert verify_folder(cache) == []


def test_a_flipped_byte_is_reported_once_at_its_published_file_and_clip(cache: Path) -> None:
    shard = cache / "corpus" / "toy" / "0000.h5"
    flip_frame(shard, "clip02")
    assert verify_folder(cache) == [Problem(shard, "clip02", "bytes differ from those written")]


def test_a_truncated_shard_and_a_part_set_aside_are_reported(cache: Path) -> None:
    shard = cache / "corpus" / "other" / "0000.h5"
    os.truncate(shard, 600)
    corrupt = cache / "corpus" / ".store" / "toy" / "0000" / "part-000001.h5.corrupt"
    corrupt.write_bytes(b"")
    first, second = verify_folder(cache)
    assert (first.file, first.what) == (corrupt, "set aside as corrupt; delete it")
    assert second.file == shard
    assert "expected a whole feature shard" in second.what


def test_describe_counts_what_is_published(cache: Path) -> None:
    def frames(clip_ids: list[str]) -> int:
        return sum(len(x) for x in (item_of(clip_id).x for clip_id in clip_ids) if x is not None)

    sizes = {c: sum(p.stat().st_size for p in (cache / "corpus" / c).iterdir()) for c in ("toy", "other")}
    assert describe(cache) == [
        Row("corpus/other", 1, 0, frames(["y"]), sizes["other"], 1),
        Row("corpus/toy", 4, 1, frames([*ids(4), "x"]), sizes["toy"], 2),
    ]


@pytest.mark.parametrize("look", [describe, verify_folder])
def test_an_absent_folder_is_named(look: object, tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="none: expected a cache folder"):
        look(tmp_path / "none")  # type: ignore[operator]
