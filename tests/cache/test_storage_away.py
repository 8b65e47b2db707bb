"""A storage that is away, or a machine that ran out, is never taken for rot: nothing is set aside, withdrawn or recorded."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import pytest

from avemo.base import passing
from avemo.base.contracts import AvemoError, ClipFailure, MachineError, Status
from avemo.cache.fill import fill
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.shard import Shard
from avemo.cache.store import ShardStore
from avemo.cache.verify import verify_folder, withdraw
from cache_factory import INFO, frames_of, ids, item_of, wanted_of

WANTED = wanted_of(ids(3))
NUMBERS = ["EIO", "ENOTCONN", "ETIMEDOUT", "ESTALE", "EACCES", "ENOMEM", "EMFILE"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus' folder with a published shard and its store."""
    monkeypatch.setattr(passing, "PAUSES_S", (0, 0))
    info = INFO | {"component": "toy", "corpus": tmp_path.name}
    with ShardStore(tmp_path / ".store" / "toy" / "0000", info) as store:
        store.append([item_of(clip_id) for clip_id in ids(3)])
        store.publish(WANTED, tmp_path / "toy" / "0000.h5")
    write_manifest(tmp_path / "toy" / "manifest.json", [tmp_path / "toy" / "0000.h5"], "toy", info)
    return tmp_path


class Away:
    """Calls that fail with an error of the system, the first ``times``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: object, name: str, number: str, times: int):
        self.call, self.left = getattr(where, name), times
        self.number = getattr(errno, number)
        monkeypatch.setattr(where, name, self)

    def __call__(self, *args: object, **kwargs: object) -> object:
        self.left -= 1
        if self.left < 0:
            return self.call(*args, **kwargs)
        raise OSError(self.number, os.strerror(self.number))


PLACES = {"opening": (h5py, "File"), "reading": (os, "preadv")}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("place", PLACES)
def test_a_store_that_cannot_be_read_now_loses_nothing(cache, monkeypatch, place, number):
    before = {path: path.read_bytes() for path in cache.rglob("*.*") if path.is_file()}
    with monkeypatch.context() as patched:
        Away(patched, *PLACES[place], number, 99)
        with pytest.raises(MachineError, match=r"packed-.*h5: expected to read it.*nothing speaks against"):
            ShardStore(cache / ".store" / "toy" / "0000", INFO)
        problems = verify_folder(cache)
        assert problems
        assert withdraw(problems, cache) == []
    assert {path: path.read_bytes() for path in before} == before
    with ShardStore(cache / ".store" / "toy" / "0000", INFO) as store:
        assert store.missing(WANTED) == []


@pytest.mark.parametrize("place", PLACES)
def test_one_error_that_passes_costs_nothing_at_all(cache, monkeypatch, place):
    Away(monkeypatch, *PLACES[place], "EIO", 1)
    with ShardStore(cache / ".store" / "toy" / "0000", INFO) as store:
        assert store.missing(WANTED) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_reader_blames_no_shard_and_no_manifest(cache, monkeypatch, number):
    with FeatureSet(cache / "toy" / "manifest.json") as features, monkeypatch.context() as patched:
        Away(patched, os, "preadv", number, 99)
        with Shard(cache / "toy" / "0000.h5") as shard, pytest.raises(MachineError, match="run again"):
            shard.read("clip00")
        Away(patched, h5py, "File", number, 99)
        with pytest.raises(MachineError, match="run again"):
            features.read("clip00")
        Away(patched, Path, "read_text", number, 99)
        with pytest.raises(MachineError, match=r"manifest.json: expected to read it"):
            FeatureSet(cache / "toy" / "manifest.json")


def test_a_clip_is_tried_again_and_then_the_job_stops_without_recording_it(cache, monkeypatch):
    tries = []

    def away(clip_id):
        tries.append(clip_id)
        if len(tries) < 3:
            raise AvemoError(f"{clip_id}: no weights") from OSError(errno.EIO, "Input/output error")
        return frames_of(clip_id)

    with ShardStore(cache / "new", INFO) as store:
        assert fill(store, {"a": "k"}, away).failed == {}
        tries.clear()

        def for_ever(clip_id):
            tries.append(clip_id)
            raise AvemoError(f"{clip_id}: no weights") from OSError(errno.ESTALE, "Stale file handle")

        with pytest.raises(AvemoError, match="b: no weights"):
            fill(store, {"b": "k"}, for_ever)
        assert (len(tries), store.missing({"b": "k"})) == (3, ["b"])


def test_a_clips_own_failure_is_recorded_at_once_whatever_caused_it(cache):
    def refuse(clip_id):
        raise ClipFailure(Status.no_access, clip_id, "may not be read") from PermissionError(
            errno.EACCES, "Permission denied"
        )

    with ShardStore(cache / "new", INFO) as store:
        assert fill(store, {"a": "k"}, refuse).failed["a"].status is Status.no_access
