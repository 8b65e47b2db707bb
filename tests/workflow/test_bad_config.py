"""Configs that must not be read as Snakemake would: refused by every front door, before any job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from avemo.base.result_tables import read_results
from media_factory import write_wav
from workflow_runner import Workflow

SYSTEM = {"model": "auxformer_unimodal", "config": {"width": 8, "heads": 2, "layers": 1}}


def config() -> dict:
    return {
        "run": "bad",
        "corpus": {"name": "table", "shards": 1, "config": {"csv": "clips.csv"}},
        "features": {"audio": {"extractor": "logmel"}},
        "splits": {"n": 2},
        "systems": {"a": SYSTEM},
    }


@pytest.fixture
def workflow(repository: Path, tmp_path: Path) -> Workflow:
    rows = [f"c{n},tone.wav,s{n % 3},{'xy'[n % 2]}" for n in range(6)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]))
    write_wav(tmp_path / "tone.wav", [0.0] * 8000)
    return Workflow(repository, tmp_path)


def test_a_key_that_comes_twice_is_refused_before_snakemake_takes_the_last(workflow):
    path = workflow.folder / "twice.yaml"
    path.write_text(yaml.safe_dump(config()) + "splits: {n: 20}\n")
    last = len(path.read_text().splitlines())
    message = f"twice.yaml, line {last}: expected the key 'splits' once in its mapping, found it in line "
    for told in (
        workflow.avemo("plan", "--configfile", "twice.yaml", succeeds=False),
        workflow.avemo("run", "--configfile", "twice.yaml", succeeds=False),
        workflow.snakemake([path], "-n", succeeds=False),
    ):
        assert message in told
        assert "Traceback" not in told


def test_a_config_that_is_not_utf_8_is_read_and_runs(workflow):
    text = yaml.safe_dump(config() | {"systems": {"a": SYSTEM | {"title": "été"}}}, allow_unicode=True)
    (workflow.folder / "wide.yaml").write_text(text, encoding="utf-16")
    stages = json.loads(workflow.avemo("plan", "--configfile", "wide.yaml", "--json"))["stages"]
    assert any(stage["rule"] == "index" for stage in stages)


def test_a_config_runs_no_python(workflow):
    text = yaml.safe_dump(config()) + "__use_yte__: true\ntraining: {epochs: \"?open('ran', 'w').close()\"}\n"
    (workflow.folder / "sly.yaml").write_text(text)
    for command in ("plan", "run", "status"):
        told = workflow.avemo(command, "--configfile", "sly.yaml", succeeds=False)
        assert "expected data, found __use_yte__, which runs Python" in told
    assert not (workflow.folder / "ran").exists()


@pytest.mark.slow
def test_names_that_read_like_nothing_or_like_numbers_run_to_the_report(workflow):
    names = ["NA", "null", "1", "=1+1", "-a[0]", "nan"]
    rows = [f"{name},tone.wav,{name} {n // 2},{'xy'[n % 2]}" for n, name in enumerate(names * 2)]
    rows = [row.replace(",", f"_{n},", 1) if n >= len(names) else row for n, row in enumerate(rows)]
    rows = [row.replace("tone.wav", f"{n}.wav") for n, row in enumerate(rows)]
    (workflow.folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]))
    for n in range(len(rows)):
        write_wav(workflow.folder / f"{n}.wav", [0.1 * ((i * (n + 1)) % 50) / 50 for i in range(8000)])
    systems = {"null": SYSTEM, "1": SYSTEM | {"title": "NA"}}
    given = config() | {"systems": systems, "training": {"epochs": 1, "batch_size": 4}}
    workflow.snakemake(given)
    tables = workflow.folder / "results/bad/tables"
    assert {"null", "NA"} <= set(read_results(tables / "main.csv").system)
    assert "\n'=1+1," in (tables.parent / "data/quality.csv").read_text()
    assert "nothing leaked" in workflow.avemo("audit", "--run", "results/bad")
