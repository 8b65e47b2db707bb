"""Shards and manifests that somebody else made up: refused by name, at once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from avemo.base.contracts import AvemoError, Status
from avemo.cache.exchange import export, import_folder
from avemo.cache.inventory import describe
from avemo.cache.items import Item
from avemo.cache.manifest import read_manifest, write_manifest
from avemo.cache.shard import Shard
from avemo.cache.shard_writer import write_shard
from avemo.cache.verify import verify_folder
from cache_factory import INFO, ids, item_of

INFOS = [
    '"text"',
    "[1]",
    "null",
    "7",
    "[" * 3000,
    "NaN",
    '{"provenance": "random"}',
    '{"config": []}',
    '{"component": 3}',
    "{",
]


@contextmanager
def refused(message: str) -> Iterator[None]:
    """An error of this text within a second."""
    begin = time.monotonic()
    with pytest.raises(AvemoError, match=message):
        yield
    assert time.monotonic() - begin < 1


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    write_shard(tmp_path / "0000.h5", [item_of(clip_id) for clip_id in ids(3)], INFO)
    write_manifest(tmp_path / "manifest.json", [tmp_path / "0000.h5"], "toy", INFO)
    return tmp_path / "manifest.json"


@pytest.mark.parametrize("info", INFOS)
def test_a_shard_whose_info_is_no_mapping_is_refused(manifest, info):
    with h5py.File(manifest.with_name("0000.h5"), "r+") as file:
        file.attrs["info"] = np.bytes_(info)
    with refused("0000.h5: expected a whole feature shard"):
        Shard(manifest.with_name("0000.h5"))
    (problem,) = verify_folder(manifest.parent)
    assert "expected a whole feature shard" in problem.what


@pytest.mark.parametrize("shard", ["../../0000.h5", "/etc/0000.h5", "a/../../0000.h5", "0000\x1b.h5"])
def test_a_manifest_names_no_shard_elsewhere(manifest, shard):
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"shards": [shard]}))
    with refused("manifest.json: expected a manifest.*outside its folder"):
        read_manifest(manifest)


@pytest.mark.parametrize("info", [[], "x", {"provenance": 1}])
def test_a_manifest_whose_info_is_no_mapping_is_refused(manifest, info):
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"info": info}))
    with refused("manifest.json: expected a manifest"):
        read_manifest(manifest)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_in_place_of_a_file_keeps_nobody_waiting(manifest, make):
    for path, read in ((manifest.with_name("0001.h5"), Shard), (manifest, read_manifest)):
        path.unlink(missing_ok=True)
        make(path)
        with refused(f"{path.name}: expected .*found.* a folder, pipe or device"):
            read(path)
    if make is os.mkfifo:
        with refused("0001.h5: expected a whole feature shard"):
            describe(manifest.parent)
        assert "0001.h5" in [problem.file.name for problem in verify_folder(manifest.parent)]


def test_ids_that_no_file_can_be_called_by_are_exported_and_come_back(tmp_path):
    names = ["表情" * 70, "long-" + "a" * 32, "a" * 200, "é" * 124, "plain"]
    x, times_s = np.ones((2, 4), np.float32), np.arange(2.0)
    items = [Item(name, f"key-{name}", Status.ok, "", (n + 1) * x, times_s) for n, name in enumerate(names)]
    write_shard(tmp_path / "0000.h5", sorted(items, key=lambda item: item.clip_id), INFO)
    write_manifest(tmp_path / "manifest.json", [tmp_path / "0000.h5"], "toy", INFO)
    for form in ("numpy", "parquet"):
        assert export(tmp_path / "manifest.json", tmp_path / form, form) == len(names)
        assert import_folder(tmp_path / form, tmp_path / f"cache-{form}", 1) == (len(names), 0)
        (part,) = (tmp_path / f"cache-{form}" / ".store" / "toy" / "0000").glob("part-*.h5")
        with Shard(part) as shard:
            assert [shard.read(name).x[0, 0] for name in names] == [1, 2, 3, 4, 5]
