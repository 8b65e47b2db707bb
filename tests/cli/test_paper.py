"""A paper's tables from the files of its runs, finished or not."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from avemo.cli.app import app
from avemo.dataset.labels import make_labels, save_labels
from avemo.dataset.splits import Split, save_splits
from avemo.study.config import read_config
from avemo.study.study import Study, resolve_study, waits_for

SPLITS = [Split(f"split{i:02d}", ("a", "b"), ("c",), ("d",)) for i in range(5)]


@pytest.fixture
def study(repository, tmp_path, monkeypatch) -> Study:
    """AV-Ladder's paper on the demo corpus, nothing done yet but its record."""
    monkeypatch.chdir(tmp_path)
    demo = read_config(repository / "config" / "config.yaml")
    del demo["run"]
    ladder = demo["systems"]["av_ladder"]
    for number in (1, 2):
        demo["systems"][f"ablation_{number}"] = ladder | {"title": f"Ablation {number}"}
    search = {f"lambda_2_{weight}": ladder | {"title": weight} for weight in ("100", "500", "020")}
    runs = {"crema_d": {}, "lambda_search": {"systems": dict.fromkeys(demo["systems"]) | search}}
    study = resolve_study(demo | {"paper": "ladder", "tables": "av_ladder", "runs": runs})
    study.folder.mkdir(parents=True)
    (study.folder / "paper.json").write_text(json.dumps(study.record()))
    return study


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def label_and_split(study: Study, run: str = "crema_d", classes: tuple[str, ...] = ("anger",)) -> None:
    from avemo.base.contracts import Clip
    from avemo.corpora.base import Label

    layout = study.layouts[run]
    touch(layout.index)
    layout.labels.parent.mkdir(parents=True)
    clips = [Clip(name, name, name) for name in "abcd"]
    save_labels(
        make_labels(clips, [Label(name, "anger") for name in "abcd"], "classes", classes), layout.labels
    )
    save_splits(layout.splits, SPLITS, pd.DataFrame())


def score(study: Study, system: str, mean: float, run: str = "crema_d") -> None:
    rows = [
        {"system": system, "split": split.name, "modality": "av", "metric": metric, "value": mean + 0.01 * i}
        for i, split in enumerate(SPLITS)
        for metric in (
            "macro_precision",
            "macro_recall",
            "macro_f1",
            "micro_precision",
            "micro_recall",
            "micro_f1",
        )
    ]
    path = study.layouts[run].scores(system)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def search(study: Study, system: str, splits: int = len(SPLITS)) -> None:
    """Two epochs of a system of the search on the first splits; the first epoch has the lowest loss."""
    for number, split in enumerate(SPLITS[:splits]):
        path = study.layouts["lambda_search"].history(system, split.name)
        touch(path)
        losses = {"epoch": [1, 2], "dev_loss": [0.5, 0.9], "dev_macro_f1": [0.6 + 0.01 * number, 0.9]}
        pd.DataFrame(losses).to_csv(path, index=False)


def tables(study: Study) -> dict[str, pd.DataFrame]:
    done = CliRunner().invoke(app, ["tables", "--run", str(study.folder)])
    assert done.exit_code == 0, done.output
    assert all(path.is_file() for path in study.table_files)
    return {path.stem: pd.read_csv(path) for path in study.folder.glob("tables/*.csv")}


def test_a_paper_of_which_nothing_is_done_says_so_in_each_cell(study):
    found = tables(study)
    assert set(found["table1"].waits_for) == {"waits for the clip table of demo"}
    page = (study.folder / "paper.html").read_text()
    assert "Still to be done" in page
    assert "crema_d · av_ladder: waits for the clip table of demo" in page


def test_each_cell_waits_for_the_next_stage_of_its_system(study):
    run, layout = study.runs["crema_d"], study.layouts["crema_d"]
    told = []
    for path in (
        layout.index,
        *(layout.labels, layout.splits),
        *(layout.manifest(component) for component in (run.faces.id, run.features["audio"].id)),
        layout.shard(run.features["visual"].id, 1),
        layout.manifest(run.features["visual"].id),
        layout.trained("mult", "split03") / "model.safetensors",
        *(layout.trained("mult", split.name) / "model.safetensors" for split in SPLITS),
        layout.scores("mult"),
    ):
        told.append(waits_for(run, "mult"))
        touch(path)
    assert list(dict.fromkeys(told)) == [
        "waits for the clip table of demo",
        "waits for labels and splits",
        "waits for faces (0 of 2 shards done)",
        "waits for audio (0 of 2 shards done)",
        "waits for visual (0 of 2 shards done)",
        "waits for visual (1 of 2 shards done)",
        "waits for training (0 of 5 splits done)",
        "waits for training (1 of 5 splits done)",
        "waits for training (2 of 5 splits done)",
        "waits for training (3 of 5 splits done)",
        "waits for training (4 of 5 splits done)",
        "waits for its evaluation",
    ]
    assert waits_for(run, "mult") == ""


def test_what_is_scored_is_shown_beside_what_is_open(study):
    label_and_split(study)
    score(study, "av_ladder", 0.80)
    score(study, "mult", 0.70)
    found = tables(study)["table1"].set_index(["row", "group", "column"])
    assert found.ours["Our method", "CREMA-D macro", "F1"] == pytest.approx(82)
    assert found.difference["Baseline 2 (MulT)", "CREMA-D macro", "F1"] == pytest.approx(72 - 70.6)
    counts = tables(study)["counts"].set_index("row").ours
    assert (counts["Anger"], counts["Fear"]) == (4, 0)
    assert "waits for faces" in found.waits_for["Baseline 1 (AuxFormer)", "CREMA-D micro", "F1"]
    tests = pd.read_csv(study.folder / "tables" / "table1_tests.csv")
    assert set(tests.against) == {"Baseline 2 (MulT)"}
    assert (study.folder / "figures" / "figure3.svg").stat().st_size > 1000


def test_macro_scores_of_splits_that_lack_a_class_are_marked(study):
    """No clip shows fear, which the task has."""
    label_and_split(study, classes=("anger", "fear"))
    score(study, "av_ladder", 0.80)
    found = tables(study)["table1"].set_index(["row", "group", "column"]).lacking
    assert found["Our method", "CREMA-D macro", "F1"] == "‡"
    assert pd.isna(found["Our method", "CREMA-D micro", "F1"])


def test_a_search_shows_scores_of_the_development_set_alone(study):
    """Of the epoch that each split kept, once all splits are trained; test scores would not show in it."""
    label_and_split(study)
    search(study, "lambda_2_500", splits=4)
    search(study, "lambda_2_100")
    found = tables(study)["lambda_search"].set_index(["row", "column"])
    assert found.ours["λ₂ = 0.1", "Macro-F1"] == pytest.approx(0.62)
    assert found.splits["λ₂ = 0.1", "Loss"] == 5
    assert pd.isna(found.ours["λ₂ = 0.5", "Loss"])


def test_a_finished_paper_has_no_open_cell_and_says_that_its_corpus_is_synthetic(study):
    label_and_split(study)
    for place, system in enumerate(study.runs["crema_d"].systems):
        score(study, system, 0.9 - 0.1 * place)
    label_and_split(study, "lambda_search")
    for system in study.runs["lambda_search"].systems:
        score(study, system, 0.5, "lambda_search")
        search(study, system)
    for name, table in tables(study).items():
        if not name.endswith("_tests"):
            assert table.ours.notna().all()
        assert set(table.note) == {"synthetic corpus"}
    page = (study.folder / "paper.html").read_text()
    assert "Still to be done" not in page
    assert "generated faces and voices" in page
