"""A package from outside (`examples/plugin`): its corpus, extractor and model, from raw clips to the report."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from media_factory import write_wav
from workflow_runner import Workflow

PATHS = {
    "corpus": "mylab.corpus:NamedSounds",
    "extractor": "mylab.loudness:Loudness",
    "model": "mylab.net:MeanNet",
}
NAMES = {"corpus": "named_sounds", "extractor": "loudness", "model": "mean_net"}
GROUPS = {"corpus": "avemo.corpora", "extractor": "avemo.extractors", "model": "avemo.models"}
DISTRIBUTION, VERSION = "mylab-avemo", "0.3"


def config_of(run: str, named: dict[str, str]) -> dict:
    return {
        "run": run,
        "corpus": {"name": named["corpus"], "shards": 1, "config": {"root": "clips"}},
        "features": {"audio": {"extractor": named["extractor"]}},
        "splits": {"n": 1, "dev": 0.25, "test": 0.25},
        "training": {"epochs": 1, "device": "cpu"},
        "systems": {name: {"model": named["model"], "config": {"width": 4}} for name in ("one", "two")},
    }


def write_clips(folder: Path) -> None:
    """Half a second of each of four speakers, angry (high) and sad (low)."""
    folder.mkdir()
    t = np.arange(8000) / 16_000
    for number, speaker in enumerate(("anna", "ben", "cleo", "dan")):
        for emotion, pitch_hz in (("angry", 1500), ("sad", 300)):
            tone = 0.3 * np.sin(2 * np.pi * (pitch_hz + 20 * number) * t)
            write_wav(folder / f"{speaker}_{emotion}_1.wav", tone)


def install(folder: Path) -> None:
    """What pip leaves of a distribution that offers the three under names."""
    info = folder / f"mylab_avemo-{VERSION}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {VERSION}\n")
    lines = [f"[{GROUPS[part]}]\n{NAMES[part]} = {PATHS[part]}\n" for part in PATHS]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def workflow(repository, tmp_path_factory) -> Workflow:
    """A run by the classes' paths has finished; then their package was installed."""
    workflow = Workflow(repository, tmp_path_factory.mktemp("plugin"))
    site = workflow.folder / "site"
    shutil.copytree(repository / "examples" / "plugin" / "mylab", site / "mylab")
    kept = [value for value in (str(site), os.environ.get("PYTHONPATH")) if value]
    workflow.environment = {**workflow.environment, "PYTHONPATH": os.pathsep.join(kept)}
    write_clips(workflow.folder / "clips")
    path = workflow.folder / "mine.yaml"
    path.write_text(yaml.safe_dump(config_of("by_path", PATHS), sort_keys=False))
    workflow.avemo("run", "--configfile", "mine.yaml", "--", "--cores", "2")
    install(site)
    return workflow


def test_three_files_go_from_raw_clips_to_the_report(workflow):
    results = workflow.folder / "results" / "by_path"
    assert "one" in (results / "report.html").read_text()
    assert set(pd.read_csv(results / "scores" / "one.csv").split) == {"split00"}
    record = json.loads((results / "train" / "one" / "split00" / "run.json").read_text())
    assert record["config"]["model"] == PATHS["model"]
    assert record["config"]["version"] == "1 of mylab"


def test_the_files_are_those_of_the_class_names(workflow):
    components = {path.name.split("-")[0] for path in (workflow.folder / "cache" / "named_sounds").iterdir()}
    assert "loudness" in components
    assert not [path for path in workflow.folder.rglob("*") if ":" in path.name]


def test_installed_they_have_names_and_the_package_enters_their_keys(workflow):
    planned = workflow.planned(config_of("by_name", NAMES))
    assert planned.keys() >= {"index", "report"}
    shown = json.loads(workflow.avemo("config", "show", "--config", "config.yaml"))
    found = shown["features"]["audio"]
    assert found["version"] == f"1 of {DISTRIBUTION} {VERSION}"
    (before,) = (workflow.folder / "cache" / "named_sounds").glob("loudness-*")
    assert found["id"] != before.name


def test_a_folder_of_its_clips_is_checked_by_one_command(workflow):
    told = workflow.avemo("corpus", "check", PATHS["corpus"], "--root", "clips")
    assert "right: all that is listed can be read" in told
