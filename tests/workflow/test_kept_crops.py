"""Kept face crops: made once, and all that another visual extractor needs."""

from __future__ import annotations

import json
import re
from functools import partial

import numpy as np
import pytest
import yaml

from avemo.base.contracts import Clip
from avemo.cache.manifest import FeatureSet
from avemo.evaluation.prediction import visual_features
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.features.extraction import track_clip
from avemo.study.resolve import resolve
from avemo.synthetic.actors import make_actor
from avemo.synthetic.face import draw_face
from avemo.synthetic.motion import FACE_AXES, Pose
from media_factory import write_video
from workflow_runner import Workflow

NAMES = ("anna", "ben")


def config(architecture: str = "tf_efficientnet_b2", **crops) -> dict:
    network = {"weights": "random-seed-0", "architecture": architecture}
    return {
        "run": "kept",
        "corpus": {"name": "table", "shards": 1, "config": {"csv": "clips.csv"}},
        "crops": {"cache": "jpeg"} | crops,
        "features": {"visual": {"extractor": "efficientnet_b2", "config": network}},
        "systems": {"mult": {"model": "mult"}},
    }


@pytest.fixture(scope="module")
def kept(repository, tmp_path_factory) -> Workflow:
    """Features of two clips of drawn faces; after that, another network's without the media."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "media").mkdir()
    pose = Pose(dict.fromkeys(FACE_AXES, 0.0), jaw=0.2, lids=1, yaw=0, gaze_x=0, gaze_y=0, x=0, y=0)
    for number, name in enumerate(NAMES):
        look = make_actor(number, 0).look
        frames = [draw_face(look, pose, 160, np.random.default_rng(n)) for n in range(3)]
        write_video(folder / "media" / f"{name}.mp4", np.stack(frames), fps=10)
    rows = [f"{name},media/{name}.mp4,{name}" for name in NAMES]
    (folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker", *rows]))
    workflow = Workflow(repository, folder)
    workflow.snakemake(config(), "features", "--until", "manifest")
    crops = {path: path.stat().st_mtime_ns for path in files(workflow, "crops")}
    (folder / "media").rename(folder / "away")
    told = workflow.snakemake(config("efficientnet_b2"), "features")
    assert "table: none of its media is there; its clip table stays as it is" in told
    (folder / "away").rename(folder / "media")
    assert crops == {path: path.stat().st_mtime_ns for path in files(workflow, "crops")}
    return workflow


def files(workflow: Workflow, component: str) -> list:
    return sorted(workflow.folder.glob(f"cache/table/**/{component}-*/**/*.*"))


def test_another_extractor_reads_the_crops_alone(kept):
    logs = [path.read_text() for path in files(kept, "efficientnet_b2") if path.suffix == ".log"]
    assert sum("2 computed, 0 reused, 0 failed" in log for log in logs) == 2
    manifests = [path for path in files(kept, "efficientnet_b2") if path.name == "manifest.json"]
    first, second = (FeatureSet(path) for path in manifests)
    for name in NAMES:
        assert first.read(name).x.shape == second.read(name).x.shape == (3, 1408)
        np.testing.assert_array_equal(first.read(name).times_s, second.read(name).times_s)


def test_prediction_sees_what_was_trained_on(kept):
    resolved = resolve(config())
    visual = resolved.features["visual"]
    extractor = EXTRACTORS.load(visual.extractor)
    extractor = extractor(extractor.Config(**visual.config, **visual.places))
    tracker = FaceTracker(FaceTracker.Config(**resolved.faces.config))
    clip = Clip("anna", "s", "s", video_path=kept.folder / "media" / "anna.mp4")
    with FeatureSet(kept.folder / "cache/table" / resolved.features["visual"].id / "manifest.json") as held:
        expected = held.read("anna")
    assert_close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4 * np.abs(expected.x).max())
    track = track_clip(tracker, clip)
    assert_close(visual_features(extractor, track, clip, resolved).x, expected.x)
    without = resolved.model_copy(update={"crops": None})
    with pytest.raises(AssertionError):
        assert_close(visual_features(extractor, track, clip, without).x, expected.x)


def test_a_file_that_is_away_stops_a_job_that_needs_it_and_no_clip_is_to_blame(kept):
    cfg = kept.avemo("config", "show", "--config", "config.yaml", "--part", "crops")
    (tracks,) = kept.folder.glob("cache/table/mtcnn-*/0000.h5")
    arguments = ["--cfg", cfg, "--index", "cache/table/index.parquet", "--shard", "0", "--shards", "1"]
    arguments += ["--faces", str(tracks), "--store", "store", "--out", "crops.h5"]
    (kept.folder / "media").rename(kept.folder / "away")
    told = kept.avemo("faces", "crops", *arguments, succeeds=False)
    index = [
        "--cfg",
        json.dumps({"id": "table", "name": "table", "version": 1, "config": {"csv": "clips.csv"}}),
    ]
    listed = kept.avemo("corpus", "index", *index, "--hashes", "h.json", "--out", "i.parquet", succeeds=False)
    (kept.folder / "away").rename(kept.folder / "media")
    assert "anna: missing_file: expected a media file, found none at media/anna.mp4" in told
    assert "where the clip table has seen one; mount its storage" in told
    assert "all 2 clips of table lack theirs: mount them" in listed
    (kept.folder / "media" / "ben.mp4").rename(kept.folder / "ben.mp4")
    told = kept.avemo("faces", "crops", *arguments, succeeds=False)
    (kept.folder / "ben.mp4").rename(kept.folder / "media" / "ben.mp4")
    assert "ben: missing_file: expected a media file, found none at media/ben.mp4" in told
    assert "1 computed, 1 reused, 0 failed" in kept.avemo("faces", "crops", *arguments)
    arguments[arguments.index("--faces") + 1] = "crops.h5"
    told = kept.avemo("faces", "crops", *arguments, succeeds=False)
    assert re.search("crops.h5: expected a shard of mtcnn-.*, found crops-.*; correct --faces", told)


def test_the_crops_are_listed_checked_and_told_of_like_any_component(kept):
    assert "table/crops-" in kept.avemo("cache", "ls", "cache", "--json")
    assert "no problems" in kept.avemo("cache", "verify", "cache")
    assert "crops crops-" in kept.avemo("status", "--configfile", "config.yaml")
    assert "cache/table/crops-" not in kept.avemo("cache", "gc", "--config", "config.yaml")


def test_another_quality_cuts_and_extracts_again_and_none_cuts_for_itself(kept):
    (kept.folder / "worse.yaml").write_text(yaml.safe_dump(config(quality=80)))
    plan = kept.avemo("plan", "--configfile", "worse.yaml")
    assert "crops table/crops-" in plan
    assert "config.quality: 95 → 80" in plan
    assert "visual_features table/efficientnet_b2-" in plan
    assert "faces table/mtcnn-" not in plan
    recomputed = kept.planned(config(cache="none"))
    assert recomputed["visual_features"] == 1
    assert not {"faces", "crops"} & set(recomputed)
