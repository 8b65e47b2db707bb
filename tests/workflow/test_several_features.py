"""Two features of sound, one of them a row a clip, from raw clips to a report; then what a change makes run again."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import avemo
from avemo.training.checkpoint import model_meta
from workflow_runner import Workflow

CORPUS = {"root": "corpus", "actors": 4, "plain": [], "neutral": [], "size_px": 96, "fps": 5, "seconds": 0.8}
FUNCTIONALS = {"extractor": "opensmile", "config": {"set": "eGeMAPSv02"}}


def config_of(*audio: dict) -> dict:
    return {
        "run": "two",
        "corpus": {"name": "demo", "shards": 2, "config": CORPUS},
        "features": {"audio": list(audio)},
        "splits": {"n": 2, "dev": 0.25, "test": 0.25},
        "training": {"epochs": 1},
        "systems": {"mult": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
    }


LOGMEL = {"extractor": "logmel"}
BOTH = config_of(LOGMEL, FUNCTIONALS)


@pytest.fixture(scope="module")
def finished(repository, tmp_path_factory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("two"))
    workflow.snakemake(BOTH)
    return workflow


def test_a_system_sees_both_and_its_records_name_them(finished):
    folder = finished.folder / "results/two"
    meta = model_meta(folder / "train/mult/split00/model.safetensors")
    assert meta["dims"]["audio_dim"] == 240 + 88
    assert len(meta["normalisers"]["audio"]["mean"]) == 240 + 88
    record = json.loads((folder / "train/mult/split00/run.json").read_text())
    assert list(record["inputs"]) == ["audio", "audio-2"]
    page = (folder / "report.html").read_text()
    assert "audio-2: opensmile" in page
    assert "audio only" in page
    assert set(pd.read_csv(folder / "tables/clip_status.csv").stage) == {"audio", "audio-2"}


def test_its_audit_finds_nothing(finished):
    found = json.loads(finished.avemo("audit", "--run", "results/two", "--json"))
    assert found["passed"], found
    assert "made again" in str(found)


def test_a_raw_clip_is_predicted_by_both_as_it_was_in_the_evaluation(finished):
    kept = pd.read_parquet(finished.folder / "results/two/predictions/mult.parquet")
    row = kept[(kept.split == "split00") & (kept.modality == "av")].iloc[0]
    clip = finished.folder / "corpus" / "AudioWAV" / f"{row.clip_id}.wav"
    options = ("--split", "split00", "--no-temperature", "--json")
    told = json.loads(finished.avemo("predict", str(clip), "--run", "results/two", *options))
    found = list(told["probabilities"].values())
    np.testing.assert_allclose(found, [row[f"p_{c}"] for c in range(len(found))], atol=1e-4)


def test_a_notebook_reads_each_by_itself(finished):
    clips = avemo.load(finished.folder / "results/two", split=0)["train"]
    assert set(clips.features) == {"audio", "audio-2"}
    item = clips[0]
    assert item["audio"].shape[1] == 240
    assert item["audio-2"].shape == (1, 88)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, None),
        ({"config": {"set": "IS09"}}, 2),
        ({"join": "nearest"}, 0),
    ],
)
def test_a_change_of_one_feature_runs_its_jobs_and_what_rests_on_them(finished, change, again):
    planned = finished.planned(config_of(LOGMEL, FUNCTIONALS | change))
    if again is None:
        assert not planned
        return
    assert planned.get("audio_features", 0) == again
    assert planned.get("manifest", 0) == again // 2
    assert (planned["train"], planned["evaluate"], planned["linear"]) == (2, 1, 1)
    assert not {"index", "labels", "splits"} & set(planned)


def test_without_one_of_them_systems_are_trained_and_nothing_is_extracted(finished, tmp_path):
    # As in a copy in which Snakemake remembers nothing.
    shutil.copytree(finished.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".snakemake"))
    planned = Workflow(finished.repository, tmp_path / "copy").planned(config_of(LOGMEL))
    assert (planned["train"], planned["evaluate"], planned["linear"], planned["quality"]) == (2, 1, 1, 1)
    assert not {"audio_features", "manifest", "labels", "splits"} & set(planned)


def test_clips_that_lack_one_of_them_are_named(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "copy")
    workflow = Workflow(finished.repository, tmp_path / "copy")
    clips = avemo.load(workflow.folder / "results/two")["all"].clip_ids
    table = pd.DataFrame({"clip_id": clips[1:], "one": np.linspace(0, 1, len(clips) - 1)})
    table.to_csv(workflow.folder / "features.csv", index=False)
    workflow.snakemake(
        config_of(LOGMEL, FUNCTIONALS, {"extractor": "imported_audio", "config": {"file": "features.csv"}})
    )
    page = (workflow.folder / "results/two/report.html").read_text()
    assert f"audio-3 lacks {clips[0]} of {len(clips)} clips, which count as without audio" in page
    quality = pd.read_csv(workflow.folder / "results/two/data/quality.csv").set_index("clip_id")
    assert quality.failed[clips[0]] == "audio-3: not_imported"
    records = [
        json.loads(path.read_text()) for path in workflow.folder.glob("results/two/train/mult/*/run.json")
    ]
    for record in records:
        assert record["left_out"] in ({}, {clips[0]: "no features of audio-3"})
    assert clips[0] not in set(
        pd.read_parquet(workflow.folder / "results/two/predictions/mult.parquet").clip_id
    )
    # What there is of a raw clip does not do where another program made the rest.
    clip = workflow.folder / "corpus" / "AudioWAV" / f"{clips[0]}.wav"
    refused = workflow.avemo("predict", str(clip), "--run", "results/two", succeeds=False)
    assert "the run's audio-3 features were made by another program" in refused
