"""A component's shards read as one, and its manifest says when they have changed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError, ClipFailure
from avemo.base.keys import shard_of
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.shard_writer import write_shard
from cache_factory import FAILING, INFO, frames_of, ids, item_of

SHARDS = {"0000": ["clip01", "clip03", "clip05"], "0001": [], "0002": ["clip00", "clip02", "clip04"]}
OK = [clip_id for clip_id in ids(6) if clip_id != FAILING]


def make(folder: Path, shards: dict[str, list[str]] = SHARDS, key: str = "k1") -> Path:
    """A folder ``toy`` of shards with their manifest."""
    (folder / "toy").mkdir(parents=True, exist_ok=True)
    paths = [folder / "toy" / f"{name}.h5" for name in shards]
    for path, clip_ids in zip(paths, shards.values(), strict=True):
        write_shard(path, [item_of(clip_id, key) for clip_id in clip_ids], INFO)
    write_manifest(folder / "toy" / "manifest.json", paths, "toy", INFO)
    return folder / "toy" / "manifest.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


def test_the_manifest_counts_clips_and_frames(path: Path) -> None:
    manifest = json.loads(path.read_text())
    assert manifest["clips"] == {"no_face": 1, "ok": 5}
    assert manifest["frames"] == sum(len(frames_of(clip_id).x) for clip_id in OK)
    assert (manifest["dim"], manifest["dtype"], manifest["info"]) == (4, "float32", INFO)
    assert manifest["shards"] == ["0000.h5", "0001.h5", "0002.h5"]


def test_equal_content_makes_equal_bytes_anywhere(path: Path, tmp_path: Path) -> None:
    assert make(tmp_path / "elsewhere").read_bytes() == path.read_bytes()


def test_the_fingerprint_changes_with_a_key_and_not_with_the_sharding(path: Path, tmp_path: Path) -> None:
    def fingerprint(manifest: Path) -> str:
        return json.loads(manifest.read_text())["fingerprint"]

    assert fingerprint(make(tmp_path / "one", {"0000": ids(6)})) == fingerprint(path)
    assert fingerprint(make(tmp_path / "two", key="k2")) != fingerprint(path)


def test_every_clip_is_read_as_it_was_written(path: Path) -> None:
    with FeatureSet(path) as features:
        assert (features.clip_ids, features.dim, features.info) == (OK, 4, INFO)
        for clip_id in OK:
            frames = features.read(clip_id)
            np.testing.assert_array_equal(frames.x, frames_of(clip_id).x)
            np.testing.assert_array_equal(frames.times_s, frames_of(clip_id).times_s)
            assert features.length(clip_id) == len(frames.x)


def test_failed_and_unknown_clips(path: Path) -> None:
    with FeatureSet(path) as features:
        assert (features.has(FAILING), features.length(FAILING), features.has("x")) == (False, 0, False)
        with pytest.raises(ClipFailure, match="no face in 7 frames"):
            features.read(FAILING)
        with pytest.raises(AvemoError, match="expected clip 'x', found 6 others"):
            features.read("x")


def test_statuses_are_a_sorted_table(path: Path) -> None:
    with FeatureSet(path) as features:
        table = features.statuses()
    assert list(table.columns) == ["clip_id", "status", "detail", "frames"]
    assert list(table.clip_id) == ids(6)
    assert tuple(table.iloc[3]) == (FAILING, "no_face", "no face in 7 frames", 0)


@pytest.mark.parametrize(
    "clip_ids", [OK, ["clip05", "clip00"], ["clip02", "clip02"], ["clip04", FAILING], []]
)
def test_moments_are_those_of_the_frames(clip_ids: list[str], path: Path) -> None:
    frames = [frames_of(clip_id).x.astype(np.float64) for clip_id in set(clip_ids) - {FAILING}]
    every = np.concatenate([np.zeros((0, 4)), *frames])
    with FeatureSet(path) as features:
        moments = features.moments(clip_ids)
    assert moments.count == len(every)
    np.testing.assert_allclose(moments.sum, every.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(moments.squares, np.einsum("td,td->d", every, every), atol=1e-12)


def test_reading_goes_on_after_close_and_in_a_copy_for_a_worker(path: Path) -> None:
    features = FeatureSet(path)
    features.read("clip00")
    copy = pickle.loads(pickle.dumps(features))  # noqa: S301 - as a spawned worker process gets it
    features.close()
    for one in (features, copy):
        np.testing.assert_array_equal(one.read("clip00").x, frames_of("clip00").x)
        one.close()


def test_a_forked_process_opens_its_own_files(path: Path) -> None:
    with FeatureSet(path) as features:
        features.read("clip00")
        before = features._shards[path.parent / "0002.h5"]
        child = os.fork()
        if child == 0:
            same = np.array_equal(features.read("clip00").x, frames_of("clip00").x)
            own = features._shards[path.parent / "0002.h5"] is not before
            os._exit(0 if same and own else 1)
        assert os.waitpid(child, 0)[1] == 0
        np.testing.assert_array_equal(features.read("clip02").x, frames_of("clip02").x)


def test_a_folder_may_move(path: Path, tmp_path: Path) -> None:
    shutil.move(path.parent, tmp_path / "moved")
    with FeatureSet(tmp_path / "moved" / "manifest.json") as features:
        assert features.clip_ids == OK


def test_shards_that_changed_since_are_refused(path: Path) -> None:
    write_shard(path.parent / "0002.h5", [item_of("clip00", "k2")], INFO)
    with FeatureSet(path) as features, pytest.raises(AvemoError, match="changed since, write the manifest"):
        features.read("clip00")


def test_opening_reads_no_shard_and_a_clip_only_its_own(tmp_path: Path) -> None:
    shards = {f"{number:04d}": [c for c in ids(20) if shard_of(c, 4) == number] for number in range(4)}
    with FeatureSet(make(tmp_path, shards)) as features:
        assert features._shards == {}
        features.read("clip07")
        assert [path.stem for path in features._shards] == [f"{shard_of('clip07', 4):04d}"]


def test_a_clip_in_two_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match=r"clip00: expected in one shard, found in .*0000.h5 and .*0001.h5"):
        make(tmp_path, {"0000": ["clip00"], "0001": ["clip00"]})


def test_shards_of_two_dimensions_are_refused(path: Path) -> None:
    write_shard(path.parent / "0001.h5", [item_of("clip07", dim=5)], INFO)
    with pytest.raises(AvemoError, match="expected shards of one dimension, found 4 in .* 5 in"):
        write_manifest(path, sorted(path.parent.glob("*.h5")), "toy", INFO)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"layout": "avemo-manifest/1"}', '{"layout": "avemo-manifest/2"}']
)
def test_what_is_no_manifest_is_refused(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(AvemoError, match="manifest.json: expected a"):
        FeatureSet(path)


@pytest.mark.parametrize(
    "other", [{"libraries": {"opensmile": "2.7"}}, {"config": {"dim": 5}}, {"provenance": {"weights": "ab"}}]
)
def test_shards_that_were_not_made_alike_are_refused(path: Path, other: dict) -> None:
    write_shard(path.parent / "0001.h5", [item_of("clip07")], INFO | other)
    paths = sorted(path.parent.glob("*.h5"))
    with pytest.raises(
        AvemoError, match=rf"0001.h5: expected a shard made as the others.*{next(iter(other))}"
    ):
        write_manifest(path, paths, "toy", INFO)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_part_of_frames_is_read_alone(tmp_path: Path, compression: str) -> None:
    info = INFO | {"parts": ["0", "1"]}
    shard, path = tmp_path / "toy" / "0000.h5", tmp_path / "toy" / "manifest.json"
    shard.parent.mkdir()
    write_shard(shard, [item_of(clip_id) for clip_id in OK], info, compression=compression)
    write_manifest(path, [shard], "toy", info)
    with FeatureSet(path) as whole, FeatureSet(path, "1") as part:
        assert (whole.dim, part.dim) == (4, 2)
        for clip_id in OK:
            expected = whole.read(clip_id).x[:, 2:]
            np.testing.assert_array_equal(part.read(clip_id).x, expected)
            out = np.empty((len(expected), 2))
            part.read_into(clip_id, out)
            np.testing.assert_array_equal(out, expected)
        assert part.moments(OK).count == whole.moments(OK).count
        np.testing.assert_array_equal(part.moments(OK).sum, whole.moments(OK).sum[2:])
        assert pickle.loads(pickle.dumps(part)).dim == 2  # noqa: S301 - as a spawned worker process gets it
    with pytest.raises(AvemoError, match=r"expected a part of its frames \(0, 1\), found '2'"):
        FeatureSet(path, "2")
    with pytest.raises(AvemoError, match=r"\(they have none\), found '1'"):
        FeatureSet(make(tmp_path / "plain"), "1")
