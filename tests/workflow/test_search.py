"""Searches on dev, from raw clips to a report: what is tried, what a kill costs, who decides, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from avemo.base.file_hashes import sha256_of
from avemo.study.study import resolve_study
from avemo.training.search import best, read_trial
from workflow_runner import Workflow

pytestmark = pytest.mark.slow

CORPUS = {"root": "corpus", "actors": 4, "plain": [], "neutral": [], "size_px": 96, "fps": 5, "seconds": 0.8}
MULT = {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}
FIELDS = {"training.lr": {"low": 1.0e-5, "high": 1.0e-1, "log": True}, "config.width": [4, 8]}
TPE = {"sampler": "tpe", "trials": 5, "startup": 2, "fields": FIELDS}
GRID = {"studies": "all", "by": "loss", "fields": {"training.lr": [1.0e-3, 1.0e-2]}}
SYSTEMS = {
    "tpe": MULT | {"search": TPE},
    "grid": MULT | {"search": GRID},
    "plain": MULT,
}


def config_of(**tpe: object) -> dict:
    systems = SYSTEMS | {"tpe": MULT | {"search": TPE | tpe}}
    return {
        "run": "searched",
        "corpus": {"name": "demo", "shards": 1, "config": CORPUS},
        "features": {"audio": {"extractor": "logmel"}},
        "splits": {"n": 2, "dev": 0.25, "test": 0.25},
        "training": {"epochs": 2},
        "systems": systems,
    }


def trials(folder: Path, system: str, study: str) -> list[Path]:
    return sorted((folder / "results/searched/search" / system / study).glob("*/trial.json"))


def killed_after(workflow: Workflow, made: int) -> None:
    """Start the search of one split, and kill the workflow's whole session when so many trials are there."""
    target = "results/searched/search/tpe/split00/0004/trial.made.json"
    place = ("--snakefile", str(workflow.repository / "Snakefile"), "--directory", str(workflow.folder))
    command = [sys.executable, "-m", "snakemake", *place, "--cores", "1", target]
    command += ["--configfile", str(workflow.folder / "config.yaml")]
    started = subprocess.Popen(
        command,
        cwd=workflow.folder,
        env=workflow.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 300
    while len(trials(workflow.folder, "tpe", "split00")) < made and time.monotonic() < end:
        assert started.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()


@pytest.fixture(scope="module")
def searched(repository: Path, tmp_path_factory) -> tuple[Workflow, dict[Path, tuple[int, bytes]]]:
    """A finished run whose first search was killed, and what its trials were at that moment."""
    workflow = Workflow(repository, tmp_path_factory.mktemp("searched"))
    planned = workflow.planned(config_of())
    assert (planned["trial"], planned["train"]) == (5 + 5 + 2, 3 * 2)
    first = "results/searched/search/tpe/split00/0000/trial.made.json"
    workflow.snakemake(config_of(), first)
    killed_after(workflow, 2)
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in trials(workflow.folder, "tpe", "split00")
    }
    workflow.snakemake(config_of(), "--unlock")
    workflow.snakemake(config_of(), "--rerun-incomplete")
    return workflow, before


def test_a_killed_search_repeats_no_trial(searched):
    workflow, before = searched
    assert 2 <= len(before) < 5
    for path, (mtime_ns, content) in before.items():
        assert (path.stat().st_mtime_ns, path.read_bytes()) == (mtime_ns, content), path
    assert (
        len(trials(workflow.folder, "tpe", "split00")) == len(trials(workflow.folder, "tpe", "split01")) == 5
    )
    assert len(trials(workflow.folder, "grid", "all")) == 2
    assert not workflow.planned(config_of())
    assert not workflow.planned(config_of() | {"splits_per_job": 2})


def test_the_best_trial_on_dev_is_the_system(searched):
    folder = searched[0].folder
    for system, by, of in (("tpe", "score", "split01"), ("grid", "loss", "all")):
        made = [read_trial(path) for path in trials(folder, system, of)]
        chosen = best(made, by)
        model = folder / f"results/searched/train/{system}/split01/model.safetensors"
        assert sha256_of(model) == chosen.splits["split01"].model
        told = json.loads(model.with_name("run.json").read_text())["config"]["training"]["lr"]
        assert told == chosen.values["training.lr"]


def test_a_trial_is_what_its_settings_would_have_been_without_a_search(searched, tmp_path):
    """Weights, history and all of a system of that name, whose settings are written out."""
    workflow = searched[0]
    path = trials(workflow.folder, "grid", "all")[1]
    config = config_of()
    config["systems"] = {"grid": MULT | {"training": {"lr": 1.0e-2}}}
    config["results"] = "again"
    workflow.snakemake(config, "again/searched/train/grid/split00/model.safetensors")
    again = workflow.folder / "again/searched/train/grid/split00/model.safetensors"
    assert sha256_of(again) == sha256_of(path.parent / "split00/model.safetensors")


def test_a_larger_budget_keeps_what_there_is(searched):
    planned = searched[0].planned(config_of(trials=6))
    assert planned["trial"] == 2
    assert planned["train"] == 2
    assert "labels" not in planned


def test_the_audit_passes_and_tells_of_the_trials(searched):
    found = json.loads(searched[0].avemo("audit", "--run", "results/searched", "--json"))
    assert found["passed"], found
    assert "12 trials of tpe, grid" in str(found)


def test_the_audit_finds_a_look_at_test_clips_before_the_end(searched):
    workflow = searched[0]
    journal = workflow.folder / "results/searched/.readings/tpe.jsonl"
    whole = journal.read_text()
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        early = [line | {"at": "2020-01-01T00:00:00Z"} for line in lines]
        journal.write_text("".join(json.dumps({"at": one.pop("at")} | one) + "\n" for one in early))
        told = workflow.avemo("audit", "--run", "results/searched", succeeds=False)
    finally:
        journal.write_text(whole)
    assert (
        "tpe, split00: its test clips were read at 2020-01-01T00:00:00Z, before trial 0 and 4 more had ended"
        in told
    )


def test_the_report_counts_them_beside_the_result(searched):
    folder = searched[0].folder / "results/searched"
    page = (folder / "report.html").read_text()
    assert "tpe: the best of 5 trials a split; grid: the best of 2 trials for all splits" in page
    table = pd.read_csv(folder / "tables/search.csv")
    assert table.groupby(["system", "split"]).size().to_dict() == {
        ("grid", "all"): 2,
        ("tpe", "split00"): 5,
        ("tpe", "split01"): 5,
    }
    assert table.groupby(["system", "split"]).chosen.sum().eq(1).all()


def test_status_counts_trials(searched):
    path = searched[0].folder / "whole.yaml"
    path.write_text(yaml.safe_dump(config_of(), sort_keys=False))
    rows = json.loads(searched[0].avemo("status", "--config", str(path), "--json"))["searched"]
    counts = {row["of"]: (row["done"], row["total"]) for row in rows if row["stage"] == "search"}
    assert counts == {"tpe": (10, 10), "grid": (2, 2)}


def test_plan_counts_trials_and_says_why_they_are_made_again(searched):
    """Another range makes all of that search again, and nothing of the other."""
    other = {"training.lr": FIELDS["training.lr"] | {"high": 1.0e-2}, "config.width": [4, 8]}
    path = searched[0].folder / "other.yaml"
    path.write_text(yaml.safe_dump(config_of(fields=other), sort_keys=False))
    stages = json.loads(searched[0].avemo("plan", "--config", str(path), "--json"))["stages"]
    (trials,) = [stage for stage in stages if stage["rule"] == "trial"]
    assert (trials["of"], trials["jobs"]) == ("searched/tpe", 10)
    assert any(why.startswith("search.fields.training.lr.high: 0.1 → 0.01") for why in trials["why"])
    assert {stage["of"] for stage in stages if stage["rule"] == "train"} == {"searched/tpe"}


def test_another_measure_chooses_again_among_the_trials_of_a_grid(searched):
    config = config_of()
    config["systems"]["grid"] = MULT | {"search": GRID | {"by": "score"}}
    planned = searched[0].planned(config)
    assert planned["train"] == 2
    assert "trial" not in planned


def test_the_configs_searches_resolve_as_they_are_told():
    run = resolve_study(config_of()).run()
    assert len(run.trials("tpe")) == 10
    assert run.trials("grid") == [("all", 0), ("all", 1)]
    assert run.trials("plain") == []
