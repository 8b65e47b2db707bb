"""Our cells beside the printed ones: means, differences, marks, tests, and what open cells wait for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from avemo.papers.definitions import TableDefinition, papers, read_paper
from avemo.report.paper_tables import Findings, Method, paper_table
from avemo.report.writers import to_csv, to_html, to_latex

OURS = [0.80, 0.82, 0.81, 0.85]
OTHER = [0.70, 0.76, 0.72, 0.74]
THIRD = [0.79, 0.83, 0.80, 0.86]


def definition(**fields) -> TableDefinition:
    table = {
        **{"name": "table1", "title": "Two and a third", "source": "Table 1", "unit": "percent"},
        "defaults": {"run": "r", "modality": "av"},
        "columns": [{"group": "G", "name": "F1", "metric": "macro_f1"}],
        "rows": [
            {"name": "Ours", "system": "ours", "published": ["80.2 ★"]},
            {"name": "Other", "system": "other", "published": [75.5]},
            {"name": "Third", "system": "third"},
        ],
    }
    return TableDefinition(**(table | fields))


def scored(**systems: list[float]) -> pd.DataFrame:
    rows = [
        {
            "run": "r",
            "system": s,
            "split": f"split{i:02d}",
            "modality": "av",
            "metric": "macro_f1",
            "value": v,
        }
        for s, values in systems.items()
        for i, v in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["run", "system", "split", "modality", "metric", "value"])


NO_COUNTS = pd.DataFrame(columns=["run", "split", "side", "label", "clips"])


def findings(scores: pd.DataFrame, waiting: dict | None = None, **testing) -> Findings:
    notes = [{"kind": "synthetic corpus", "text": "generated"}]
    return Findings(scores, NO_COUNTS, waiting or {}, {"r": Method(**testing)}, notes)


def lines(table, name: str) -> list[str]:
    at = table.frame.index[table.frame.iloc[:, 0] == name][0]
    return table.frame.iloc[at : at + 3, 2].tolist()


def test_a_cell_has_ours_the_printed_value_and_the_difference():
    table, _ = paper_table(definition(), findings(scored(ours=OURS, other=OTHER, third=THIRD)))
    sd = 100 * np.std(OURS, ddof=1)
    assert lines(table, "Ours") == [f"82.0 ± {sd:.1f}", "80.2★", "+1.8"]
    assert lines(table, "Third")[1:] == ["–", "–"]
    row = table.raw.iloc[0]
    assert (row.ours, row.sd, row.splits) == pytest.approx((82.0, sd, 4))
    assert row.difference == pytest.approx(1.8)


def test_every_form_says_that_the_corpus_is_synthetic():
    table, _ = paper_table(definition(), findings(scored(ours=OURS, other=OTHER, third=THIRD)))
    for write in (to_csv, to_html, to_latex):
        assert "synthetic corpus" in write(table)


def test_a_mark_wants_significance_over_all_it_names():
    both = [{"symbol": "★", "rows": ["ours"], "against": ["other", "third"]}]
    one = [{"symbol": "♦", "rows": ["ours"], "against": ["other"]}]
    scores = scored(ours=OURS, other=OTHER, third=THIRD)
    assert stats.ttest_rel(OURS, OTHER, alternative="greater").pvalue < 0.05
    assert stats.ttest_rel(OURS, THIRD, alternative="greater").pvalue > 0.05
    table, tests = paper_table(definition(comparisons=both), findings(scores))
    assert "★" not in lines(table, "Ours")[0]
    table, _ = paper_table(definition(comparisons=one), findings(scores))
    assert lines(table, "Ours")[0].endswith("♦")
    assert tests.raw.p.tolist() == pytest.approx(
        [
            stats.ttest_rel(np.multiply(100, OURS), np.multiply(100, o), alternative="greater").pvalue
            for o in (OTHER, THIRD)
        ]
    )


@pytest.mark.parametrize("tail", ["greater", "two-sided"])
def test_welch_takes_the_place_of_the_paired_test(tail):
    asked = [{"symbol": "*", "rows": ["ours"], "against": ["other"]}]
    scores = scored(ours=OURS, other=OTHER, third=THIRD)
    table, tests = paper_table(definition(comparisons=asked), findings(scores, tail=tail, pairing="welch"))
    expected = stats.ttest_ind(OURS, OTHER, equal_var=False, alternative=tail)
    found = tests.raw.iloc[0]
    assert (found.t, found.p, found.df) == pytest.approx((expected.statistic, expected.pvalue, expected.df))
    assert "Welch's t-test" in table.caption


def test_the_tests_say_whether_systems_share_random_numbers():
    asked = [{"symbol": "*", "rows": ["ours"], "against": ["other"]}]
    found = findings(scored(ours=OURS, other=OTHER), randomness="Each its own.")
    _, tests = paper_table(definition(comparisons=asked), found)
    assert "Each its own." in tests.caption


def test_a_difference_of_rows_is_taken_split_by_split():
    rows = [
        {"name": "Ours", "system": "ours"},
        {"name": "Other", "system": "other"},
        {"name": "Drop", "key": "drop", "system": "other", "minus": "ours", "published": [-6.1]},
    ]
    table, _ = paper_table(definition(rows=rows), findings(scored(ours=OURS, other=OTHER)))
    d = 100 * (np.array(OTHER) - np.array(OURS))
    assert lines(table, "Drop")[:2] == [f"−{abs(d.mean()):.1f} ± {d.std(ddof=1):.1f}", "−6.1"]


def test_a_cell_says_that_a_class_had_no_test_clip():
    lessened = {"r": {"split02": {"macro_f1"}}}
    found = replace(findings(scored(ours=OURS, other=OTHER, third=THIRD)), lessened=lessened)
    table, _ = paper_table(definition(), found)
    assert lines(table, "Ours")[0].endswith("‡")
    assert lines(table, "Ours")[1] == "80.2★"
    assert "r: ‡: in 1 split no test clip shows some class, which counts as 0." in table.caption
    assert table.raw.lacking.tolist() == ["‡"] * 3


def test_a_relative_difference_is_in_percent_of_the_other_rows_mean():
    rows = [
        {"name": "Ours", "system": "ours"},
        {"name": "Other", "system": "other"},
        {"name": "Gain", "key": "gain", "system": "ours", "minus": "other", "relative": True},
    ]
    table, _ = paper_table(definition(rows=rows), findings(scored(ours=OURS, other=OTHER)))
    d = 100 * (np.array(OURS) - np.array(OTHER)) / np.mean(OTHER)
    assert lines(table, "Gain")[0] == f"+{d.mean():.1f} ± {d.std(ddof=1):.1f}"
    assert d.mean() == pytest.approx(100 * (np.mean(OURS) / np.mean(OTHER) - 1))


def test_a_claim_of_equal_scores_gets_two_one_sided_tests():
    """In the columns that it names; the margin is in the table's unit."""
    columns = [{"name": "A", "metric": "macro_f1"}, {"name": "A+V", "metric": "macro_f1"}]
    asked = [
        {"rows": ["ours"], "against": ["third"], "columns": ["A"]},
        {"rows": ["ours"], "against": ["third"], "columns": ["A+V"], "margin": 2.0},
    ]
    rows = [{"name": "Ours", "system": "ours"}, {"name": "Third", "system": "third"}]
    wanted = definition(columns=columns, rows=rows, comparisons=asked)
    _, tests = paper_table(wanted, findings(scored(ours=OURS, third=THIRD)))
    d = 100 * (np.array(OURS) - np.array(THIRD))
    each = [stats.ttest_1samp(d, m, alternative=tail).pvalue for m, tail in ((-2, "greater"), (2, "less"))]
    assert tests.frame["column"].tolist() == ["A", "A+V"]
    assert tests.raw.p_equivalent.tolist() == pytest.approx([np.nan, max(each)], nan_ok=True)
    assert tests.frame["p equivalent"].tolist() == ["–", f"{max(each):.3f}"]
    assert "above −2.0 and below +2.0" in tests.caption


def test_one_split_is_tested_on_its_clips():
    asked = [{"symbol": "★", "rows": ["ours"], "against": ["other"], "over": "clips"}]
    drawn = {"mean_difference": 0.12, "sd": 0.02, "ci_low": 0.08, "ci_high": 0.16, "p": 0.001}
    found = replace(findings(scored(ours=[0.82], other=[0.70])), resampled=lambda ours, other: drawn)
    table, tests = paper_table(definition(comparisons=asked), found)
    assert lines(table, "Ours")[0] == "82.0★"
    assert tests.frame.iloc[0, 3:8].tolist() == ["+12.0", "+8.0 to +16.0", "–", "0.001", "0.001"]
    assert "one-tailed bootstrap over the groups of the one test side" in tests.caption
    _, none = paper_table(definition(comparisons=asked), findings(scored(ours=[0.82], other=[0.70])))
    assert none.frame.empty


def test_an_open_cell_says_what_it_waits_for_and_is_not_tested():
    asked = [{"symbol": "★", "rows": ["ours"], "against": ["other"]}]
    waiting = {("r", "other"): "waits for training (1 of 4 splits done)"}
    table, tests = paper_table(
        definition(comparisons=asked), findings(scored(ours=OURS, third=THIRD), waiting)
    )
    assert lines(table, "Other") == ["waits for training (1 of 4 splits done)", "75.5", "–"]
    assert tests.frame.empty
    assert "No test could be made yet." in table.caption
    assert table.raw.waits_for.tolist() == ["", "waits for training (1 of 4 splits done)", ""]
    for write in (to_csv, to_html, to_latex):
        assert write(tests)


def test_what_a_paper_does_not_report_stays_empty():
    rows = [{"name": "Ours", "system": "ours", "only": ["audio"], "published": [None]}]
    table, _ = paper_table(definition(rows=rows), findings(scored(ours=OURS)))
    assert lines(table, "Ours") == ["–", "–", "–"]


def test_counts_come_from_labels_and_splits():
    counts = pd.DataFrame([{"run": "r", "split": "split00", "side": "train", "label": "happy", "clips": 12}])
    table = definition(
        unit="count",
        defaults={"run": "r"},
        columns=[{"name": "Train", "side": "train"}],
        rows=[{"name": "Happy", "key": "happy", "label": "happy", "published": [8735]}],
    )
    made, _ = paper_table(table, Findings(scored(), counts, {}, {"r": Method()}))
    assert lines(made, "Happy") == ["12", "8735", "−8723"]


def test_a_label_that_no_clip_has_is_counted_as_none():
    """In each split in which something was counted on that side; it lowers the mean, it is not left out of it."""
    rows = [("split00", "train", 12), ("split01", "train", 4), ("split01", "test", 2)]
    counts = pd.DataFrame(
        [{"run": "r", "split": s, "side": side, "label": "happy", "clips": n} for s, side, n in rows]
    )
    table = definition(
        unit="count",
        defaults={"run": "r", "label": "sad"},
        columns=[{"name": "Train", "side": "train"}, {"name": "All", "side": "all"}],
        rows=[{"name": "Sad", "key": "sad", "published": [5, None]}],
    )
    made, _ = paper_table(table, Findings(scored(), counts, {}, {"r": Method()}))
    assert made.frame.iloc[0, 2:].tolist() == ["0 ± 0", "not scored on sad"]


def latex_rows(made) -> list[str]:
    """The body's rows, each cell of which is set by itself."""
    return [
        line for line in to_latex(made).splitlines() if line.endswith(r" \\") and "multicolumn" not in line
    ]


def test_a_table_without_groups_has_one_header_row():
    table, _ = paper_table(
        definition(columns=[{"name": "F1", "metric": "macro_f1"}]), findings(scored(ours=OURS))
    )
    assert to_html(table).count('<th scope="col"') == 3
    assert "colgroup" not in to_html(table)


@pytest.mark.parametrize("paper", papers())
def test_every_published_table_can_be_made_from_nothing(paper):
    for table in read_paper(paper).tables:
        made, _ = paper_table(table, Findings(scored(), NO_COUNTS, {}, {}))
        assert made.frame.shape == (3 * len(table.rows), 2 + len(table.columns))
        assert {line.count(" & ") for line in latex_rows(made)} == {1 + len(table.columns)}
        assert to_latex(made).count("\\midrule") == len(table.rows)
        assert "no run" in made.raw.waits_for[0]
