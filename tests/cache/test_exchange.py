"""Exported features come back equal, by our own import and by Hugging Face's reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError
from avemo.base.keys import shard_of
from avemo.cache.exchange import export, import_folder
from avemo.cache.items import storable
from avemo.cache.manifest import write_manifest
from avemo.cache.shard_writer import write_shard
from avemo.cache.store import ShardStore
from cache_factory import INFO, assert_same, frames_of, ids, item_of, items_in, wanted_of

CLIPS = ids(12)
SHARDS = 3


@pytest.fixture(params=["float32", "float16"])
def manifest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    paths = [tmp_path / "toy" / f"{shard:04d}.h5" for shard in range(SHARDS)]
    paths[0].parent.mkdir()
    for shard, path in enumerate(paths):
        items = [item_of(clip_id) for clip_id in CLIPS if shard_of(clip_id, SHARDS) == shard]
        write_shard(path, items, INFO, request.param)
    write_manifest(tmp_path / "toy" / "manifest.json", paths, "toy", INFO)
    return tmp_path / "toy" / "manifest.json"


def dtype_of(manifest: Path) -> str:
    return json.loads(manifest.read_text())["dtype"]


@pytest.mark.parametrize("form", ["numpy", "parquet"])
def test_what_is_exported_and_imported_is_what_was_stored(form: str, manifest: Path, tmp_path: Path) -> None:
    assert export(manifest, tmp_path / "out", form) == 12
    assert import_folder(tmp_path / "out", tmp_path / "corpus", SHARDS) == (12, 0)
    dtype = dtype_of(manifest)
    for shard in range(SHARDS):
        wanted = wanted_of(clip_id for clip_id in CLIPS if shard_of(clip_id, SHARDS) == shard)
        output = tmp_path / f"{shard}.h5"
        with ShardStore(tmp_path / "corpus" / ".store" / "toy" / f"{shard:04d}", INFO, dtype) as store:
            assert store.missing(wanted) == []
            store.publish(wanted, output)
        for item in items_in(output):
            assert_same(item, storable(item_of(item.clip_id), dtype))
    assert import_folder(tmp_path / "out", tmp_path / "corpus", SHARDS) == (0, 12)


def test_hugging_face_datasets_loads_the_parquet_export(manifest: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export(manifest, tmp_path / "out", "parquet")
    table = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "hub"))
    rows = {row["clip_id"]: row for row in table}
    assert sorted(rows) == CLIPS
    for clip_id, row in rows.items():
        if clip_id == "clip03":
            assert (row["status"], row["detail"]) == ("no_face", "no face in 7 frames")
            continue
        expected = frames_of(clip_id)
        np.testing.assert_array_equal(
            np.array(row["x"], dtype_of(manifest)), expected.x.astype(dtype_of(manifest))
        )
        np.testing.assert_array_equal(row["times_s"], expected.times_s)


def test_numpy_files_are_plain_arrays(manifest: Path, tmp_path: Path) -> None:
    export(manifest, tmp_path / "out", "numpy")
    x = np.load(tmp_path / "out" / "x" / "clip04.npy", allow_pickle=False)
    np.testing.assert_array_equal(x, frames_of("clip04").x.astype(dtype_of(manifest)))
    assert len(list((tmp_path / "out" / "x").iterdir())) == 11


def test_an_existing_folder_is_left_alone(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="expected a new folder, found one"):
        export(manifest, tmp_path / "toy", "numpy")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("info", "component"), "../../elsewhere"),
        (("clips", 0, "clip_id"), "../../../etc/passwd"),
        (("clips", 0, "status"), "fine"),
        (("clips", 0, "clip_id"), None),
        (("dtype",), "int8"),
        (("clips",), 5),
        (("info",), "x"),
    ],
)
def test_a_hostile_list_is_refused_and_writes_nothing(
    place: tuple, value: object, manifest: Path, tmp_path: Path
) -> None:
    export(manifest, tmp_path / "out", "numpy")
    described = json.loads((tmp_path / "out" / "avemo.json").read_text())
    inner = described
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "out" / "avemo.json").write_text(json.dumps(described))
    with pytest.raises(AvemoError):
        import_folder(tmp_path / "out", tmp_path / "corpus", SHARDS)
    assert not (tmp_path / "corpus").exists()


def test_pickled_arrays_are_refused(manifest: Path, tmp_path: Path) -> None:
    export(manifest, tmp_path / "out", "numpy")
    np.save(tmp_path / "out" / "x" / "clip00.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(AvemoError, match="expected an exported folder"):
        import_folder(tmp_path / "out", tmp_path / "corpus", SHARDS)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="expected an exported folder"):
        import_folder(tmp_path, tmp_path / "corpus", SHARDS)
