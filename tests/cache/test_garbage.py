"""What no config refers to can be told, deleted, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.cache.garbage import delete, find_garbage, find_unpublished
from avemo.cache.store import ShardStore
from cache_factory import INFO, ids, item_of, wanted_of


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for corpus, component in (("one", "a-1"), ("one", "b-2"), ("two", "a-1")):
        folder = tmp_path / corpus
        with ShardStore(folder / ".store" / component / "0000", INFO) as store:
            store.append([item_of(clip_id) for clip_id in ids(4)])
            store.publish(wanted_of(ids(4)), folder / component / "0000.h5")
    (tmp_path / "one" / "logs" / "b-2").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_components_that_are_used_stay(cache: Path) -> None:
    found = find_garbage(cache, {"one": {"a-1"}})
    assert [(garbage.corpus, garbage.component) for garbage in found] == [("one", "b-2"), ("two", "a-1")]
    size = (cache / "one" / "b-2" / "0000.h5").stat().st_size
    assert size <= found[0].bytes < 1.1 * size, "published file and store are one file with two names"
    delete(found[0])
    assert not (cache / "one" / "b-2").exists()
    assert not (cache / "one" / ".store" / "b-2").exists()
    assert (cache / "one" / "a-1" / "0000.h5").exists()
    assert [garbage.corpus for garbage in find_garbage(cache, {"one": {"a-1"}})] == ["two"]


def test_what_a_job_writes_to_is_not_deleted(cache: Path) -> None:
    (garbage,) = find_garbage(cache, {"one": {"a-1", "b-2"}})
    with ShardStore(cache / "two" / ".store" / "a-1" / "0000", INFO):
        with pytest.raises(AvemoError, match="expected no other writer, found pid"):
            delete(garbage)
        assert (cache / "two" / "a-1" / "0000.h5").exists()


def test_an_absent_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="none: expected a cache folder"):
        find_garbage(tmp_path / "none", {})


def test_what_is_published_no_more_goes_only_where_asked_and_nothing_else(cache: Path) -> None:
    store, published = cache / "one" / ".store" / "a-1" / "0000", cache / "one" / "a-1" / "0000.h5"
    used = {"one": {"a-1"}, "two": {"a-1"}, "none": {"a-1"}}
    assert find_unpublished(cache, used) == []
    with ShardStore(store, INFO) as held:
        held.append([item_of("clip00", key="k2"), item_of("clip09")])
        held.publish({"clip00": "k2-clip00"}, published)
        held.append([item_of("clip08")])
    (garbage,) = find_unpublished(cache, used)
    assert (garbage.corpus, garbage.component, garbage.what) == ("one", "a-1", "unpublished")
    assert garbage.bytes == sum(path.stat().st_size for path in garbage.paths)
    with ShardStore(store, INFO) as held:
        assert held.missing(wanted_of([*ids(4), "clip09"])) == []
        with pytest.raises(AvemoError, match="expected no other writer"):
            delete(garbage)
    delete(garbage)
    assert find_unpublished(cache, used) == []
    with ShardStore(store, INFO) as held:
        assert held.missing({"clip00": "k2-clip00"} | wanted_of(["clip08"])) == [], (
            "computed, not published yet"
        )
        assert held.missing(wanted_of([*ids(4), "clip09"])) == [*ids(4), "clip09"]
