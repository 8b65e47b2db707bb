"""Each corpus' own protocol, from its files to labels and splits, in one study of three runs."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pandas as pd
import pytest

from avemo.corpora.base import MARKER
from workflow_runner import Workflow


def protocols() -> dict:
    votes = "data/crema_d/partitions/label_consensus_{}.csv"
    attributes = "data/msp_improv/partitions/labels_consensus_{}.csv"
    return {
        "paper": "protocols",
        "features": {"audio": {"extractor": "compare_lld"}},
        "systems": {"mult": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
        "runs": {
            "majority": {
                "corpus": {
                    "name": "crema_d",
                    "config": {"root": "data/crema_d"},
                    "labels": {"rule": "published", "table": votes.format(1)},
                },
                "splits": {"protocol": "published", "files": [votes.format(1), votes.format(2)]},
            },
            "attributes": {
                "corpus": {
                    "name": "msp_improv",
                    "config": {"root": "data/msp_improv"},
                    "labels": {"rule": "attributes", "table": attributes.format(1), "read_speech": True},
                },
                "splits": {"protocol": "dyads", "n": 6},
            },
            "bits": {
                "corpus": {"name": "cmu_mosei", "config": {"root": "data/cmu_mosei"}},
                "splits": {"protocol": "published", "files": ["data/cmu_mosei/cmu_mosei_std_folds.py"]},
            },
        },
    }


@pytest.fixture(scope="module")
def made(repository, miniatures, tmp_path_factory) -> Workflow:
    workflow = Workflow(repository, tmp_path_factory.mktemp("protocols"))
    for name in ("crema_d", "msp_improv", "cmu_mosei"):
        shutil.copytree(miniatures[name], workflow.folder / "data" / name)
    workflow.snakemake(
        protocols(), *(f"results/protocols/{run}/data/splits.json" for run in protocols()["runs"])
    )
    return workflow


def splits_of(made: Workflow, run: str) -> list[dict]:
    return json.loads((made.folder / f"results/protocols/{run}/data/splits.json").read_text())["splits"]


def labels_of(made: Workflow, run: str) -> pd.DataFrame:
    (path,) = (made.folder / f"results/protocols/{run}").rglob("labels.parquet")
    return pd.read_parquet(path)


def test_published_majorities_with_published_partitions(made):
    table = labels_of(made, "majority")
    splits = splits_of(made, "majority")
    assert len(splits) == 2
    assert splits[0]["dev"] != splits[1]["dev"]
    placed = [clip for side in ("train", "dev", "test") for clip in splits[0][side]]
    assert sorted(placed) == sorted(table.clip_id[table.label.notna()])


def test_attributes_with_every_choice_of_dyads(made):
    table = labels_of(made, "attributes").set_index("clip_id")
    splits = splits_of(made, "attributes")
    chosen = {(table.group[split["dev"][0]], table.group[split["test"][0]]) for split in splits}
    assert len(chosen) == 6
    assert table[["value_arousal", "value_valence", "value_dominance"]].notna().all(axis=None)


def test_bits_with_official_folds(made):
    (split,) = splits_of(made, "bits")
    assert [len(split[side]) for side in ("train", "dev", "test")] == [6, 6, 6]
    bits = labels_of(made, "bits").filter(like="value_")
    assert Counter(bits.columns) == Counter(
        f"value_{name}" for name in ("happy", "sad", "anger", "surprise", "disgust", "fear")
    )
    assert set(bits.to_numpy().ravel()) == {0.0, 1.0}


def test_an_edited_partition_makes_the_splits_again_and_nothing_else(made):
    wanted = [f"results/protocols/{run}/data/splits.json" for run in protocols()["runs"]]
    assert "Nothing to be done" in made.snakemake(protocols(), *wanted, "-n")
    path = made.folder / "data/crema_d/partitions/label_consensus_2.csv"
    path.write_text(path.read_text().replace("Development", "Test", 1))
    output = made.snakemake(protocols(), *wanted, "-n")
    assert "splits of majority" in output
    assert "splits of bits" not in output
    assert "labels of" not in output


def test_a_marker_taken_away_is_believed(made):
    resolved = json.loads(made.avemo("config", "show", "--config", "config.yaml", "--run", "bits"))
    assert resolved["corpus"]["synthetic"] is True
    marker = made.folder / "data/cmu_mosei" / MARKER
    marker.rename(made.folder / "moved")
    resolved = json.loads(made.avemo("config", "show", "--config", "config.yaml", "--run", "bits"))
    assert resolved["corpus"]["synthetic"] is False
    (made.folder / "moved").rename(marker)
