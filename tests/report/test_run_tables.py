"""What the tables of a run are given beside its numbers: marks of what lessens scores, and whose random numbers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels, save_labels
from avemo.dataset.splits import Split, save_splits
from avemo.report.run_files import RunFiles
from avemo.report.run_tables import run_tables
from avemo.study.layout import Layout
from avemo.training.recipe import TrainingConfig
from runs import run_of

CLASSES = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
CLIPS = [f"c{i:03}" for i in range(60)]
SPLIT = Split("split01", tuple(CLIPS[:30]), tuple(CLIPS[30:42]), tuple(CLIPS[42:]))
WITHOUT_FEAR = tuple(clip for clip in SPLIT.test if CLASSES[int(clip[1:]) % 6] != "fear")


@pytest.fixture
def run(tmp_path, scores, tests, predictions, clips, costs) -> RunFiles:
    """The made-up run on splits of which the first tests no clip of fear; one system shares its random numbers."""
    systems = tuple(dict.fromkeys(predictions["system"]))
    config = run_of(systems, results=str(tmp_path))
    common = config.systems["mult"].model_copy(
        update={"training": TrainingConfig(common_random_numbers=True), "title": "MulT"}
    )
    config = config.model_copy(update={"systems": config.systems | {"mult": common}})
    layout = Layout(config)
    layout.labels.parent.mkdir(parents=True)
    labels = make_labels(
        [Clip(clip, speaker=clip, group=clip) for clip in CLIPS],
        [Label(clip, CLASSES[i % 6]) for i, clip in enumerate(CLIPS)],
        "classes",
        CLASSES,
    )
    save_labels(labels, layout.labels)
    rest = [replace(SPLIT, name=f"split{number:02}") for number in range(1, 5)]
    save_splits(layout.splits, [replace(SPLIT, name="split00", test=WITHOUT_FEAR), *rest])

    def named(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(split=[f"split{number:02}" for number in frame["split"]])

    found = RunFiles(tmp_path)
    quality = pd.DataFrame({"clip_id": CLIPS, "missing": 0.0, "concern": None})
    # Its cached frames, in place of files.
    vars(found).update(config=config, layout=layout, titles={name: name for name in systems})
    vars(found).update(
        scores=named(scores), each_seed=named(scores), predictions=named(predictions), tests=tests
    )
    vars(found).update(clips=clips, costs=costs, quality=quality, curve=pd.DataFrame())
    return found


def test_scores_that_count_a_class_as_0_are_marked_in_each_table(run):
    made = {table.name: table for table in run_tables(run)}
    for name in ("main", "missing_modality", "per_class"):
        assert made[name].frame.map(lambda cell: "‡" in cell).to_numpy().any(), name
        assert "‡: in 1 split no test clip shows some class" in made[name].caption
    assert "class absent from a side" in made["speakers"].note


def test_the_tests_say_whose_random_numbers_they_are(run):
    made = {table.name: table for table in run_tables(run)}
    assert "MulT draw the same random numbers on a split" in made["tests"].caption


def test_raters_have_a_table_and_a_chart_where_the_corpus_tells_their_votes(run):
    assert "raters" not in {table.name for table in run_tables(run)}
    named = {name: int(name == "sad") + 2 for name in CLASSES}
    labels = [Label(clip, CLASSES[i % 6], votes=named if i % 2 else {}) for i, clip in enumerate(CLIPS)]
    clips = [Clip(clip, speaker=clip, group=clip) for clip in CLIPS]
    even = {f"p_{number}": 1 / 6 for number in range(6)}
    vars(run).update(labels=make_labels(clips, labels, "classes", CLASSES))
    vars(run).update(predictions=run.predictions.assign(**even))
    vars(run).pop("votes")
    tested = set(run.predictions["clip_id"])
    assert set(run.votes.index) == {clip for clip in CLIPS[1::2] if clip in tested}
    made = {table.name: table for table in run_tables(run)}
    assert f"Of the {len(run.votes)} tested clips that were judged, 13.0 votes each" in made["raters"].caption
