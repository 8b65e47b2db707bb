"""Features of whole pictures: of clips that show no face, without looking for one."""

from __future__ import annotations

import numpy as np
import pytest

from avemo.base.contracts import Clip
from avemo.cache.manifest import FeatureSet
from avemo.features import EXTRACTORS
from avemo.features.extraction import extract_frames
from avemo.study.resolve import resolve
from media_factory import write_video
from workflow_runner import Workflow

NAMES = ("field", "street")


def config(**changes: object) -> dict:
    network = {"weights": "random-seed-0", "model": "test_resnet", "crop": "none", "device": "cpu"}
    return {
        "run": "scenes",
        "corpus": {"name": "table", "shards": 1, "config": {"csv": "clips.csv"}},
        "features": {"visual": {"extractor": "timm_image", "config": network | changes}},
        "systems": {"mult": {"model": "mult"}},
    }


@pytest.fixture(scope="module")
def extracted(repository, tmp_path_factory) -> Workflow:
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    for name in NAMES:
        coarse = rng.integers(0, 255, (6, 6, 8, 3), np.uint8)
        write_video(folder / f"{name}.mp4", coarse.repeat(12, 1).repeat(12, 2), fps=10)
    rows = [f"{name},{name}.mp4,{name}" for name in NAMES]
    (folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker", *rows]))
    workflow = Workflow(repository, folder)
    workflow.snakemake(config(), "features")
    return workflow


def test_each_picture_has_a_row_and_no_face_was_looked_for(extracted):
    (manifest,) = extracted.folder.glob("cache/*/timm_image-*/manifest.json")
    with FeatureSet(manifest) as features:
        assert features.clip_ids == list(NAMES)
        assert [features.length(name) for name in NAMES] == [6, 6]
        x = features.read("field").x
    assert not list(extracted.folder.glob("cache/*/mtcnn-*"))
    feature = resolve(config()).features["visual"]
    kind = EXTRACTORS.load(feature.extractor)
    extractor = kind(kind.Config(**feature.config, **feature.places, device="cpu"))
    clip = Clip("field", "", "", video_path=extracted.folder / "field.mp4")
    np.testing.assert_allclose(extract_frames(extractor, clip).x, x, atol=1e-6)


def test_its_setting_moves_its_key_and_faces_are_tracked_where_they_are_asked_for(extracted):
    assert not extracted.planned(config(), "features")
    fewer = extracted.planned(config(fps=5), "features")
    assert "faces" not in fewer
    of_faces = config()
    del of_faces["features"]["visual"]["config"]["crop"]
    assert extracted.planned(of_faces, "features")["faces"] == 1
