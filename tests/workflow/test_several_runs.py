"""A paper's runs in one invocation: what they share is made once, what differs is planned for each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workflow_runner import Workflow

TINY = {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}


def two_runs() -> dict:
    corpus = {"root": "corpus", "actors": 4, "plain": [], "neutral": [], "size_px": 128, "fps": 5}
    return {
        "paper": "both",
        "corpus": {"name": "demo", "shards": 2, "config": corpus},
        "features": {
            "audio": {"extractor": "compare_lld"},
            "visual": {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}},
        },
        "splits": {"n": 2, "dev": 0.25, "test": 0.25},
        "systems": {"mult": TINY},
        "runs": {
            "voted": {},
            "intended": {"corpus": {"labels": {"rule": "intended"}}, "systems": {"wide": TINY}},
        },
    }


@pytest.fixture(scope="module")
def workflow(repository, tmp_path_factory) -> Workflow:
    return Workflow(repository, tmp_path_factory.mktemp("both"))


def test_runs_on_one_corpus_extract_once(workflow):
    planned = workflow.planned(two_runs())
    assert (planned["index"], planned["faces"], planned["audio_features"]) == (1, 2, 2)
    assert (planned["labels"], planned["splits"], planned["report"]) == (2, 2, 2)
    assert planned["train"] == 2 * (1 + 2)


def test_a_corpus_of_its_own_is_indexed_and_extracted_apart(workflow):
    config = two_runs()
    config["runs"]["intended"]["corpus"] |= {"id": "other", "shards": 3}
    planned = workflow.planned(config)
    assert (planned["index"], planned["faces"], planned["audio_features"]) == (2, 5, 5)


def test_a_run_of_sound_alone_tracks_no_faces(workflow):
    config = two_runs()
    del config["features"]["visual"]
    planned = workflow.planned(config)
    assert not {"faces", "visual_features", "contact_sheet"} & set(planned)
    assert planned["manifest"] == 1


def test_one_run_can_be_asked_for(workflow):
    output = workflow.snakemake(two_runs(), "-n", "results/both/voted/report.html")
    assert "train intended" not in output
    assert "train voted/mult --split split01" in output


def test_a_path_of_no_run_is_refused(workflow):
    for path in ("results/both/other/report.html", "cache/elsewhere/index.parquet"):
        assert "MissingRuleException" in workflow.snakemake(two_runs(), "-n", path, succeeds=False)
    path = "results/both/voted/train/wide/split00/model.safetensors"
    output = workflow.snakemake(two_runs(), "-n", path, succeeds=False)
    assert "run voted has no system wide" in output


def test_runs_that_disagree_on_their_corpus_stop_the_parse(workflow):
    config = two_runs()
    config["runs"]["intended"]["corpus"]["shards"] = 5
    output = workflow.snakemake(config, "-n", succeeds=False)
    assert (
        "runs voted and intended: expected one corpus under the id 'demo', found different shards" in output
    )


def test_a_known_config_parses_without_torch(workflow):
    workflow.planned(two_runs())
    code = (
        "import sys, yaml; from avemo.study.specs import settings; from avemo.study.kept import resolve_cached;"
        "study = resolve_cached(yaml.safe_load(open('config.yaml')));"
        "assert study.layouts and settings(study.runs); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
