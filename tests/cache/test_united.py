"""Features of several corpora read as one where they lie: the same bytes under other names, and no copy."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError, ClipFailure
from avemo.cache.exchange import export
from avemo.cache.manifest import FeatureSet, write_manifest, write_united_manifest
from avemo.cache.shard_writer import write_shard
from cache_factory import FAILING, INFO, frames_of, ids, item_of


def make(cache: Path, corpus: str, shards: int, key: str = "k1", **info: object) -> Path:
    """Six clips of a corpus, the same ids in each, in so many shards."""
    folder, about = cache / corpus / "toy", INFO | {"corpus": corpus, "shards": shards} | info
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.h5" for number in range(shards)]
    for number, path in enumerate(paths):
        write_shard(path, [item_of(clip, f"{key}{corpus}") for clip in ids(6)[number::shards]], about)
    write_manifest(folder / "manifest.json", paths, "toy", about)
    return folder / "manifest.json"


@pytest.fixture
def united(tmp_path: Path) -> Path:
    make(tmp_path, "a", 2)
    make(tmp_path, "b", 3)
    path = tmp_path / "united-1" / "toy" / "manifest.json"
    write_united_manifest(path, ["b", "a"])
    return path


def test_every_clip_is_read_under_its_corpus_name(united: Path) -> None:
    with FeatureSet(united) as features:
        assert features.clip_ids == sorted(f"{c}:{clip}" for c in "ab" for clip in ids(6) if clip != FAILING)
        for clip in features.clip_ids:
            expected = frames_of(clip[2:])
            np.testing.assert_array_equal(features.read(clip).x, expected.x)
            np.testing.assert_array_equal(features.item(clip).times_s, expected.times_s)
            assert features.item(clip).clip_id == clip
            out = np.empty((features.length(clip), features.dim), np.float32)
            features.read_into(clip, out)
            np.testing.assert_array_equal(out, expected.x)
        assert features.has("a:clip00")
        assert not features.has(f"b:{FAILING}")
        assert not features.has("clip00")
        assert not features.has("c:clip00")
        with pytest.raises(ClipFailure):
            features.read(f"a:{FAILING}")
        with pytest.raises(AvemoError, match="expected clip 'c:clip00', found 12 others"):
            features.length("c:clip00")
        assert len(features.statuses()) == 12


def test_moments_are_those_of_the_frames(united: Path) -> None:
    clips = ["a:clip00", "b:clip00", "b:clip05"]
    frames = np.concatenate([frames_of(clip[2:]).x for clip in clips]).astype(float)
    with FeatureSet(united) as features:
        found = features.moments(clips)
    assert found.count == len(frames)
    np.testing.assert_allclose(found.sum, frames.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.squares, (frames**2).sum(axis=0), atol=1e-12)


def test_nothing_is_copied(united: Path) -> None:
    assert [path.name for path in united.parent.parent.rglob("*") if path.is_file()] == ["manifest.json"]
    assert united.stat().st_size < 2000


def test_the_order_of_corpora_does_not_count_and_other_processes_open_it(united: Path) -> None:
    before = united.read_bytes()
    write_united_manifest(united, ["a", "b"])
    assert united.read_bytes() == before
    with pickle.loads(pickle.dumps(FeatureSet(united))) as features:  # noqa: S301 (our own)
        assert features.has("b:clip01")


def test_a_corpus_that_has_changed_since_is_named(united: Path, tmp_path: Path) -> None:
    fingerprint = json.loads(united.read_text())["fingerprint"]
    make(tmp_path, "b", 3, key="k2")
    with pytest.raises(AvemoError, match=r"b/toy/manifest.json of fingerprint .*write the manifest again"):
        FeatureSet(united)
    assert write_united_manifest(united, ["a", "b"])["fingerprint"] != fingerprint


def test_features_that_were_made_otherwise_are_refused(united: Path, tmp_path: Path) -> None:
    make(tmp_path, "b", 3, libraries={"av": "9"})
    with pytest.raises(AvemoError, match=r"libraries \{'av': '9'\} in b instead of None in a"):
        write_united_manifest(united, ["a", "b"])


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".."])
def test_a_corpus_outside_the_cache_is_none(united: Path, name: str) -> None:
    manifest = json.loads(united.read_text())
    manifest["corpora"] = {name: manifest["corpora"]["a"]}
    united.write_text(json.dumps(manifest))
    with pytest.raises(AvemoError, match="expected a manifest"):
        FeatureSet(united)


def test_a_united_manifest_of_united_ones_is_refused(united: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer" / "toy" / "manifest.json"
    write_united_manifest(outer, ["united-1", "a"])
    with pytest.raises(AvemoError, match="united-1"):
        FeatureSet(outer)


def test_each_corpus_is_exported_for_itself(united: Path, tmp_path: Path) -> None:
    with pytest.raises(AvemoError, match="found those of a, b together"):
        export(united, tmp_path / "out", "numpy")
