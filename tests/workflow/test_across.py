"""Two corpora, from their tables to the page of what was trained on and tested on; and what a change in one runs again."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile
from sklearn.metrics import recall_score

from workflow_runner import Workflow

LABELS = {"one": ("happy", "sad"), "two": ("happiness", "sad", "boredom")}
PITCH = {"happy": 440, "happiness": 440, "sad": 150, "boredom": 90}
MAP = {"happiness": "happy", "boredom": None}


def config() -> dict:
    runs: dict = {
        name: {
            "corpus": {"name": "table", "id": name, "shards": number + 1, "config": {"csv": f"{name}.csv"}}
        }
        for number, name in enumerate(LABELS)
    }
    for run in runs.values():
        run["splits"] = {"protocol": "folds", "k": 2}
    runs["over"] = {"across": {"train_on": ["one"], "test_on": ["two"], "labels": MAP}, "splits": {"n": 2}}
    return {
        "paper": "p",
        "features": {"audio": {"extractor": "logmel"}},
        "training": {"epochs": 1},
        "splits_per_job": 2,
        "systems": {"mult": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
        "runs": runs,
    }


@pytest.fixture(scope="module")
def done(repository, tmp_path_factory) -> Workflow:
    """Speakers of equal names in both, tones that are theirs and their label's; run to the end."""
    folder = tmp_path_factory.mktemp("across")
    for seed, (corpus, labels) in enumerate(LABELS.items()):
        rows = []
        for number in range(4 * len(labels)):
            speaker, label = number // len(labels), labels[number % len(labels)]
            times_s, generator = np.arange(8000) / 16_000, np.random.default_rng([seed, number])
            tone = 3000 * np.sin(2 * np.pi * PITCH[label] * (1 + 0.05 * speaker) * times_s)
            noisy = (tone + generator.normal(0, 300, 8000)).astype(np.int16)
            wavfile.write(folder / f"{corpus}{number}.wav", 16_000, noisy)
            rows.append(f"c{number},{corpus}{number}.wav,s{speaker},{label}")
        (folder / f"{corpus}.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]) + "\n")
    workflow = Workflow(repository, folder)
    workflow.snakemake(config())
    return workflow


def test_the_page_has_the_recall_that_scikit_learn_counts(done):
    results = done.folder / "results/p"
    matrix = pd.read_csv(results / "tables/across.csv")
    predictions = pd.read_parquet(results / "over/predictions/mult.parquet")
    assert set(predictions["clip_id"].str.partition(":")[0]) == {"two"}
    assert predictions["clip_id"].nunique() == 8
    by_split = [
        recall_score(part["target"], part["prediction"], average="macro")
        for _, part in predictions[predictions["modality"] == "av"].groupby("split")
    ]
    cell = matrix[(matrix.system == "mult") & (matrix.trained_on == "one") & (matrix.tested_on == "two")]
    (mean,) = cell[cell.metric == "uar"]["mean"]
    assert mean == pytest.approx(np.mean(by_split))
    assert set(zip(matrix.trained_on, matrix.tested_on, strict=True)) == {
        ("one", "one"),
        ("one", "two"),
        ("two", "two"),
    }
    page = (results / "across.html").read_text()
    assert "left out by its labels: 4 clips of boredom in two" in page
    assert "NOT CLEAN" not in done.avemo("audit", "--run", "results/p")


def test_no_feature_is_copied(done):
    (united,) = done.folder.glob("cache/united-*")
    assert {path.suffix for path in united.rglob("*") if path.is_file()} <= {
        ".parquet",
        ".json",
        ".log",
        ".tsv",
    }
    frames = [path for path in done.folder.rglob("*.h5") if ".store" not in path.parts]
    assert {path.relative_to(done.folder / "cache").parts[0] for path in frames} == {"one", "two"}


def test_nothing_is_left_to_do_and_each_command_knows_such_a_run(done):
    assert done.planned(config()) == {}
    told = done.avemo("status", "--config", "config.yaml", "--run", "over")
    assert "united-" in told
    assert "nothing to do" in done.avemo("plan", "--config", "config.yaml")
    told = done.avemo("corpus", "check", "--config", "config.yaml", "--run", "over", succeeds=False)
    assert "found one across one, two; name the run of each" in told
    told = done.avemo("predict", "two0.wav", "--run", "results/p/over")
    assert "happy" in told


@pytest.mark.parametrize(
    ("corpus", "line", "labelled"),
    [("two", "c0,two0.wav,s0,sad", {"two", "over"}), ("one", "c0,one0.wav,s0,sad", {"one", "over"})],
)
def test_a_corrected_label_runs_again_what_rests_on_its_corpus(done, tmp_path, corpus, line, labelled):
    shutil.copytree(done.folder, tmp_path / "copy")
    copy = Workflow(done.repository, tmp_path / "copy")
    table = copy.folder / f"{corpus}.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join([rows[0], line, *rows[2:]]) + "\n")
    told = copy.snakemake(config(), "-n")
    for run in ("one", "two", "over"):
        assert (f"labels of {run}" in told) == (run in labelled)
        assert (f"train {run}/mult" in told) == (run in labelled)
    assert "extract in" not in told


def test_another_word_of_the_map_leaves_the_others_alone(done):
    other = config()
    other["runs"]["over"]["across"]["labels"] = MAP | {"boredom": "sad"}
    planned = done.planned(other)
    assert (planned["labels"], planned["report"], planned["across"]) == (1, 1, 1)
    assert not {"index", "manifest", "audio_features"} & set(planned)
