"""Five real talking faces, as anybody's table."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from avemo.cache.manifest import FeatureSet
from avemo.features.extraction import has_face
from workflow_runner import Workflow

pytestmark = pytest.mark.slow
CONFIG = {
    "run": "real",
    "corpus": {"name": "table", "shards": 2, "config": {"csv": "clips.csv"}},
    "features": {
        "audio": {"extractor": "compare_lld"},
        "visual": {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}},
    },
    "systems": {"mult": {"model": "mult"}},
}


@pytest.fixture(scope="module")
def real(repository, shared_data, tmp_path_factory) -> Workflow:
    folder = tmp_path_factory.mktemp("real")
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    rows = [f"{clip.stem},{clip.name},{clip.stem}" for clip in clips]
    (folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker", *rows]))
    for clip in clips:
        shutil.copy(clip, folder)
    workflow = Workflow(repository, folder)
    workflow.snakemake(CONFIG, "features")
    return workflow


def features(real: Workflow, component: str) -> FeatureSet:
    (manifest,) = real.folder.glob(f"cache/table/{component}-*/manifest.json")
    return FeatureSet(manifest)


def test_faces_are_found_in_nearly_every_frame(real):
    with features(real, "mtcnn") as tracks:
        assert len(tracks.clip_ids) == 5
        for clip_id in tracks.clip_ids:
            assert has_face(tracks.read(clip_id)).mean() >= 0.95


def test_both_features_are_cached_with_their_times(real):
    for component, dim in (("compare_lld", 130), ("efficientnet_b2", 1408)):
        with features(real, component) as stored:
            assert len(stored.clip_ids) == 5
            for clip_id in stored.clip_ids:
                sequence = stored.read(clip_id)
                assert sequence.x.shape == (len(sequence.times_s), dim)
                assert np.isfinite(sequence.x).all()
                assert (np.diff(sequence.times_s) > 0).all()


def test_there_is_a_contact_sheet(real):
    sheet = real.folder / "results/real/data/contact_sheet.png"
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert sheet.stat().st_size > 10_000
