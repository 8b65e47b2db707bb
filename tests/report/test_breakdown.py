"""Scores by speaker and intensity, of predictions small enough to count by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from avemo.dataset.tasks import Classes
from avemo.report.breakdown import intensity_table, scores_by, speakers_chart, speakers_table

TASK = Classes(("calm", "glad"))
ORDER = ["ours", "theirs"]


@pytest.fixture
def predictions() -> pd.DataFrame:
    """``ours`` gets all of anna's clips and half of ben's on both splits; ``theirs`` none of anna's on one."""
    right = {("ours", "anna"): "11", ("ours", "ben"): "10", ("theirs", "anna"): "00", ("theirs", "ben"): "10"}
    rows = [
        (system, split, "av", speaker, level, 1, int(hit) if (split, system) != ("b", "theirs") else 1)
        for (system, speaker), hits in right.items()
        for split in ("a", "b")
        for hit, level in zip(hits, ("low", "high"), strict=True)
    ]
    rows.append(("ours", "a", "audio", "anna", "low", 1, 0))
    names = ["system", "split", "modality", "speaker", "intensity", "target", "prediction"]
    return pd.DataFrame(rows, columns=names)


def test_a_speakers_score_is_the_mean_over_the_splits_that_test_them(predictions):
    found = scores_by(predictions, "speaker", ORDER, TASK).set_index(["system", "speaker"])
    assert found.score.to_dict() == {
        ("ours", "anna"): 1.0,
        ("ours", "ben"): 0.5,
        ("theirs", "anna"): 0.5,
        ("theirs", "ben"): 0.75,
    }
    assert set(found.clips) == {2}


def test_the_table_names_the_hardest_and_the_easiest_speaker(predictions):
    table = speakers_table(scores_by(predictions, "speaker", ORDER, TASK), ORDER, TASK)
    rows = table.frame.set_index("system")
    assert rows.loc["ours", ["lowest", "median", "highest"]].tolist() == [
        *("50.0 % (ben)", "75.0 %", "100.0 % (anna)")
    ]
    assert rows.loc["theirs", "lowest"] == "50.0 % (anna)"
    assert len(table.raw) == 4


def test_levels_of_intensity_have_a_spread_over_splits(predictions):
    levels = scores_by(predictions, "intensity", ORDER, TASK, mean=False)
    table = intensity_table(levels, ORDER, TASK).frame.set_index("intensity")
    assert table.loc["low", "ours"] == "100.0 ± 0.0"
    assert table.loc["high", "ours"] == "50.0 ± 0.0"
    assert table.loc["low", "theirs"] == "75.0 ± 35.4"
    assert table.loc["high", "theirs"] == "50.0 ± 70.7"


def test_clips_whose_corpus_names_no_level_are_in_no_row(predictions):
    assert scores_by(predictions.assign(intensity=""), "intensity", ORDER, TASK).empty


def test_the_chart_has_a_dot_a_speaker_and_a_line_at_the_median(predictions):
    chart = speakers_chart(
        scores_by(predictions, "speaker", ORDER, TASK), ORDER, TASK, [{"kind": "synthetic"}]
    )
    median, dots = chart.figure.axes[0].lines[:2]
    assert sorted(dots.get_xdata()) == [50, 100]
    assert median.get_xdata().tolist() == [75, 75]
    assert "ours 75.0 %" in chart.alt
    assert chart.note == "synthetic corpus"
