"""How many trials stand behind a result is told beside it, with those that failed and the values that won."""

from __future__ import annotations

import statistics

import pytest

from avemo.report.page import SECTIONS
from avemo.report.searches import search_table, searched_legend
from avemo.training.search import Outcome, Search, Trial

SCORES = {"split00": (0.5, 0.75, 0.25), "split01": (0.625, None, 0.375)}
"""By study; None: a trial that failed."""
SEARCH = Search.model_validate({"fields": {"training.lr": [1.0e-3, 1.0e-2, 1.0e-1]}})


def trial(study: str, number: int, score: float | None) -> Trial:
    outcome = {} if score is None else {study: Outcome(loss=1 - score, score=score, model="")}
    return Trial(
        study=study,
        trial=number,
        values=SEARCH.points[number],
        splits=outcome,
        metric="macro_f1",
        failed="loss inf" if score is None else "",
        ended="2026-01-01T00:00:00Z",
        wall_s=600.0,
    )


@pytest.fixture
def trials() -> list[Trial]:
    return [trial(study, n, score) for study, scores in SCORES.items() for n, score in enumerate(scores)]


def test_a_row_a_study(trials):
    table = search_table({"Net": (SEARCH, trials)}, {"macro_f1": "Macro-F1"})
    rows = table.frame.to_numpy().tolist()
    assert rows == [
        ["Net", "split00", "3", "0", "Macro-F1", "0.750", "0.500", "1", "lr 0.01"],
        ["Net", "split01", "3", "1", "Macro-F1", "0.625", "0.500", "0", "lr 0.001"],
    ]
    assert float(rows[0][6]) == statistics.median(SCORES["split00"])
    assert "1.00 hours" in table.caption
    (section,) = [one.title for one in SECTIONS if table.name in one.tables]
    assert section == "Training and costs"


def test_a_study_of_all_splits_is_told_to_have_seen_all_dev_sides(trials):
    together = [one.model_copy(update={"study": "all"}) for one in trials[:3]]
    table = search_table({"Net": (SEARCH, together)}, {})
    assert table.frame.to_numpy()[0][1] == "all splits"
    assert "chose by the dev sides of all" in table.caption
    assert "chose by the dev sides of all" not in search_table({"Net": (SEARCH, trials)}, {}).caption


def test_every_trial_is_in_the_tidy_table(trials):
    raw = search_table({"Net": (SEARCH, trials)}, {}).raw
    assert len(raw) == 6
    assert raw[raw.chosen].trial.tolist() == [1, 0]
    assert raw[raw.failed != ""].trial.tolist() == [1]


def test_the_loss_decides_where_it_is_asked_to(trials):
    by_loss = SEARCH.model_copy(update={"by": "loss"})
    (row, _) = search_table({"Net": (by_loss, trials)}, {}).frame.to_numpy().tolist()
    assert row[4:7] == ["loss", "0.250", "0.500"]


def test_what_stands_below_the_scores(trials):
    together = SEARCH.model_copy(update={"studies": "all"})
    assert searched_legend({}) == ""
    assert searched_legend({"Net": (SEARCH, trials), "Other": (together, trials)}) == (
        " Settings searched for on dev, Net: the best of 3 trials a split; Other: the best of 3 trials for all splits."
    )
