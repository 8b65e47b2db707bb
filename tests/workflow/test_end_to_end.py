"""A tiny demo through Snakemake, from nothing to its report; then what a change makes run again."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import yaml

from avemo.evaluation.audit import CHECKS
from avemo.progress.dryrun import dry_run
from workflow_runner import Workflow

CORPUS = {"root": "corpus", "actors": 4, "plain": [], "neutral": [], "size_px": 128, "fps": 5, "seconds": 0.8}
TINY = {"width": 8, "heads": 2, "layers": 1}


def tiny_config() -> dict:
    return {
        "run": "tiny",
        "corpus": {"name": "demo", "shards": 2, "config": CORPUS},
        "features": {
            "audio": {"extractor": "compare_lld"},
            "visual": {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}},
        },
        "splits": {"n": 2, "dev": 0.25, "test": 0.25},
        "training": {"epochs": 1},
        "learning_curve": {"percent": [50], "systems": ["auxformer"]},
        "systems": {
            "mult": {"model": "mult", "config": TINY},
            "auxformer": {"model": "auxformer", "config": TINY},
        },
    }


@pytest.fixture(scope="module")
def finished(repository, tmp_path_factory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("tiny"))
    (workflow.folder / "config.yaml").write_text(yaml.safe_dump(tiny_config(), sort_keys=False))
    told = workflow.avemo("run", "--configfile", "config.yaml", "--", "--cores", "2")
    (workflow.folder / "told.txt").write_text(told)
    return workflow


def test_a_run_tells_each_stages_progress_in_few_lines_and_what_it_has_cost(finished):
    told = (finished.folder / "told.txt").read_text().splitlines()
    assert told[-1] == f"report: {finished.folder / 'results/tiny/report.html'}"
    assert any("tiny: train auxformer: 2 of 2 done" in line for line in told)
    assert len(told) < 60
    summary = json.loads((finished.folder / "results/tiny/run_summary.json").read_text())
    assert summary["ok"] is True
    costs = {stage["stage"]: stage["cpu_s"] for stage in summary["stages"]}
    assert all(costs[stage] > 0 for stage in ("faces", "audio", "visual", "train"))


def test_every_clip_of_a_finished_run_counts_by_its_key(finished):
    (rows,) = json.loads(finished.avemo("status", "--configfile", "config.yaml", "--json")).values()
    clips = {row["stage"]: (row["clips_done"], row["clips"]) for row in rows if row["clips"]}
    assert clips == dict.fromkeys(("faces", "audio", "visual"), (64, 64))
    assert not any(row["running"] or row["failed"] for row in rows)
    assert len(list(finished.folder.glob("cache/demo/.store/*/*/keys.json"))) == 6


def test_the_run_ends_with_a_report_that_says_what_it_rests_on(finished):
    page = (finished.folder / "results/tiny/report.html").read_text()
    assert "synthetic corpus" in page
    assert "random weights" in page
    scores = pd.read_csv(finished.folder / "results/tiny/scores/auxformer.csv")
    assert set(scores.modality) == {"av", "audio", "visual"}
    # Scores are shares, but for these.
    bounds = dict.fromkeys(("temperature", "nll", "nll_scaled"), (0, float("inf")))
    bounds = {f"calibration_{name}": pair for name, pair in bounds.items()} | {"cosine_distance": (0, 2)}
    for metric, found in scores.groupby("metric"):
        assert found.value.between(*bounds.get(metric, (0, 1))).all(), metric
    for suffix in ("csv", "tex", "html"):
        assert (finished.folder / f"results/tiny/tables/main.{suffix}").stat().st_size > 100


def test_a_run_record_names_config_versions_and_features(finished):
    record = json.loads((finished.folder / "results/tiny/train/mult/split01/run.json").read_text())
    assert record["config"]["config"]["width"] == 8
    assert record["parameters"] > 1000
    assert set(record["inputs"]) == {"audio", "visual"}


def test_the_first_system_of_the_config_is_the_one_compared(finished):
    assert set(pd.read_csv(finished.folder / "results/tiny/scores/tests.csv").reference) == {"mult"}
    page = (finished.folder / "results/tiny/report.html").read_text()
    assert page.index("<h3>mult</h3>") < page.index("<h3>auxformer</h3>")


def test_the_audit_finds_nothing_and_names_what_is_planted(finished, tmp_path):
    found = json.loads(finished.avemo("audit", "--run", "results/tiny", "--json"))
    assert found["passed"]
    offences = {check["check"]: check["offences"] for check in found["runs"]["tiny"]}
    assert set(CHECKS) <= set(offences)
    assert not any(offences.values())
    assert "6 models; made again" in str(found)
    assert "Leakage audit" in (finished.folder / "results/tiny/report.html").read_text()
    shutil.copytree(finished.folder, tmp_path / "copy")
    copy = Workflow(finished.repository, tmp_path / "copy")
    splits = copy.folder / "results/tiny/data/splits.json"
    made = json.loads(splits.read_text())
    made["splits"][0]["train"].append(made["splits"][0]["test"][0])
    splits.write_text(json.dumps(made))
    told = copy.avemo("audit", "--run", "results/tiny", succeeds=False)
    assert "splits.json: expected the bytes that splits.made.json tells of" in told
    assert "is on test and train" in told
    assert "mult, split00: for train it read" in told


def test_the_learning_curve_stands_apart_from_the_systems(finished):
    curve = pd.read_csv(finished.folder / "results/tiny/tables/learning_curve.csv")
    assert set(curve.percent) == {50, 100}
    assert set(curve.system) == {"auxformer"}
    record = json.loads((finished.folder / "results/tiny/train/auxformer-50pct/split00/run.json").read_text())
    whole = json.loads((finished.folder / "results/tiny/train/auxformer/split00/run.json").read_text())
    assert record["read"]["train"]["clips"] == -(-whole["read"]["train"]["clips"] // 2)
    assert record["read"]["dev"] == whole["read"]["dev"]
    assert set(pd.read_csv(finished.folder / "results/tiny/scores/tests.csv").system) == {
        *("auxformer", "linear", "majority", "chance")
    }


def test_the_report_shows_speakers_and_errors(finished):
    folder = finished.folder / "results/tiny"
    speakers = pd.read_csv(folder / "tables/speakers.csv", dtype={"speaker": str})
    assert set(speakers.speaker) <= {"1001", "1002", "1003", "1004"}
    assert (folder / "figures/errors.svg").stat().st_size > 10_000
    assert pd.read_csv(folder / "tables/intensity.csv").intensity.tolist()


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned(tiny_config()) == {}


def test_a_checkout_in_a_folder_with_a_space_runs(finished, tmp_path):
    (tmp_path / "my clone").symlink_to(finished.repository)
    spaced = Workflow(tmp_path / "my clone", finished.folder)
    assert spaced.planned(tiny_config()) == {}


def test_one_systems_hyper_parameter_retrains_that_system_alone(finished):
    config = tiny_config()
    config["systems"]["mult"]["training"] = {"lr": 1e-3}
    planned = finished.planned(config)
    assert planned["train"] == 2
    assert planned["evaluate"] == 1
    assert planned["report"] == 1
    assert not {"index", "labels", "splits", "faces", "audio_features", "visual_features"} & set(planned)


def test_the_label_rule_extracts_nothing_again(finished):
    config = tiny_config()
    config["corpus"]["labels"] = {"rule": "intended"}
    planned = finished.planned(config)
    assert planned["labels"] == 1
    assert not {"index", "faces", "audio_features", "visual_features"} & set(planned)


def test_an_extractors_parameter_extracts_that_feature_alone(finished):
    config = tiny_config()
    config["features"]["audio"]["config"] = {"pitch_window": "all32"}
    planned = finished.planned(config)
    assert planned["audio_features"] == 2
    assert not {"index", "faces", "visual_features"} & set(planned)


def test_a_reformatted_config_and_other_speed_settings_change_nothing(finished):
    config = dict(reversed(tiny_config().items()))
    config["training"] = {"epochs": 1, "device": "cpu"}
    config["splits_per_job"] = 2
    # Whichever job is now the one that trains a split, and however late that one ended.
    (finished.folder / "results/tiny/train/mult/split00/model.made.json").touch()
    assert finished.planned(config) == {}


def model_of(folder, split):
    return (folder / "tiny/train/mult" / split / "model.safetensors").read_bytes()


def test_one_job_trains_several_splits_to_the_same_bytes(finished, monkeypatch):
    config = tiny_config() | {"splits_per_job": 2, "results": "packed"}
    target = "packed/tiny/train/mult/split01/model.safetensors"
    finished.snakemake(config, target)
    assert not list((finished.folder / "packed/tiny/.resume").rglob("*.safetensors"))
    for split in ("split00", "split01"):
        assert model_of(finished.folder / "packed", split) == model_of(finished.folder / "results", split)
    # A cluster asks each job's gear of the rule `train`, and one job trains both.
    monkeypatch.chdir(finished.folder)
    arguments = [target, "--forcerun", "train", "--cores", "1", "--configfile", "config.yaml"]
    arguments += ["--snakefile", str(finished.repository / "Snakefile"), "--set-resources", "train:gpu_mb=7"]
    (job,) = dry_run(arguments)
    assert (job.rule, job.resources["gpu_mb"]) == ("train", 7)
    assert "--split split00 --split split01" in job.command


@pytest.mark.parametrize(
    "lost",
    [
        "train/mult/split01/run.json",
        "train/mult/split01",
        "train/mult/split00",
        "train/mult/split00/model.made.json",
    ],
)
def test_what_a_job_of_several_splits_has_left_is_missed_and_made_again_to_the_same_bytes(
    finished, tmp_path, lost
):
    shutil.copytree(finished.folder, tmp_path / "copy")
    copy, config = Workflow(finished.repository, tmp_path / "copy"), tiny_config() | {"splits_per_job": 2}
    path = copy.folder / "results/tiny" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert copy.planned(config)["train"] == 1
    copy.snakemake(config, "results/tiny/scores/mult.csv")
    assert copy.planned(config, "results/tiny/scores/mult.csv") == {}
    for split in ("split00", "split01"):
        assert model_of(copy.folder / "results", split) == model_of(finished.folder / "results", split)


def test_a_job_of_several_splits_goes_on_where_it_stopped(finished):
    """It fails at its second split, as a kill would end it, and trains the first one no more."""
    part = json.loads((finished.folder / "results/tiny/train/mult/split00/run.json").read_text())["config"]
    data, cache = finished.folder / "results/tiny/data", finished.folder / "cache/demo"
    arguments = ["train", "--cfg", json.dumps(part), "--run", "tiny", "--system", "mult"]
    arguments += ["--labels", str(data / "labels.parquet"), "--splits", str(data / "splits.json")]
    for side, name in (("audio", "compare_lld"), ("visual", "efficientnet")):
        (manifest,) = cache.glob(f"{name}*/manifest.json")
        arguments += [f"--{side}", str(manifest)]
    arguments += [
        "--resume",
        "again/.resume/{split}",
        "--out",
        "again/tiny/train/mult/{split}/model.safetensors",
    ]
    arguments += ["--split", "split00", "--split"]
    said = finished.avemo(*arguments, "split07", succeeds=False)
    assert "expected a split 'split07'" in said
    assert said.count("epoch 1 of 1") == 1
    assert finished.avemo(*arguments, "split01").count("epoch 1 of 1") == 1
    assert not list((finished.folder / "again/.resume").rglob("*.safetensors"))
    for split in ("split00", "split01"):
        assert model_of(finished.folder / "again", split) == model_of(finished.folder / "results", split)
    arguments[arguments.index("--out") + 1] = "again/model.safetensors"
    said = finished.avemo(*arguments, "split01", succeeds=False)
    assert "--out again/model.safetensors: expected {split} in it, as 2 splits are trained" in said


def test_an_unknown_key_stops_before_any_job(finished):
    config = tiny_config()
    config["corpus"]["config"]["actor"] = 3
    output = finished.snakemake(config, succeeds=False)
    assert "unknown key 'corpus.config.actor'; did you mean 'actors'?" in output


def test_predict_gives_probabilities_for_any_clip(finished):
    clip = next((finished.folder / "corpus" / "VideoFlash").iterdir())
    answer = json.loads(finished.avemo("predict", str(clip), "--run", "results/tiny", "--json"))
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert set(answer["probabilities"]) == {"anger", "disgust", "fear", "happiness", "neutral", "sadness"}
    assert any("random weights" in note for note in answer["notes"])


def test_the_cache_verifies(finished):
    assert "no problems" in finished.avemo("cache", "verify", "cache")


def test_predict_names_a_file_that_is_not_there(finished):
    output = finished.avemo("predict", "nothing.mp4", "--run", "results/tiny", succeeds=False)
    assert output.count("nothing.mp4: missing_file") == 1
