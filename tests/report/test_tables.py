"""The tables' numbers against hand-made counts, SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score

from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Attributes, Bits, Classes, Task
from avemo.report import figures, page, tables
from avemo.report.opening import Basis, which

ORDER = ["auxformer", "av_ladder", "mult", "early_fusion"]
CLASSES = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
TASK = Classes(CLASSES)
NOTES = [{"kind": "synthetic", "text": "generated"}, {"kind": "random weights", "text": "seed 0"}]


def _long(values: dict[str, list[float]], modality: str = "av") -> pd.DataFrame:
    rows = [(s, i, modality, "macro_f1", v) for s, of in values.items() for i, v in enumerate(of)]
    return pd.DataFrame(rows, columns=["system", "split", "modality", "metric", "value"])


def _test(system: str, p: float, difference: float = 0.1, tail: str = "greater") -> dict[str, object]:
    return {
        **{"reference": "a", "system": system, "modality": "av", "metric": "macro_f1", "tail": tail},
        **{"mean_difference": difference, "t": 2.0, "df": 1, "p": p, "p_holm": p, "p_corrected": 2 * p},
        **{"effect_size": 1.0, "ci_low": -0.02, "ci_high": 0.22},
    }


def _cell(table: tables.Table, system: str, column: tuple[str, str]) -> str:
    return table.frame.set_index(("", "system")).at[system, column]


def test_main_table_by_hand() -> None:
    values = {"a": [0.5, 0.7], "b": [0.4, 0.4], "c": [0.3, 0.5], "chance": [0.2, 0.2], "majority": [0.1, 0.1]}
    tests = pd.DataFrame([_test("b", 0.01), _test("c", 0.03)])
    table = tables.main_table(
        pd.concat([_long(values).assign(metric=m) for m in TASK.metrics]), tests, "abc", TASK
    )
    column = ("audio-visual", "macro-F1")
    assert list(table.frame[("", "system")]) == ["a", "b", "c", "majority class", "chance"]
    assert _cell(table, "a", column) == "60.0 ± 14.1"  # sd of 50, 70 is 14.142
    assert _cell(table, "b", column) == "40.0 ± 0.0*†"
    assert _cell(table, "c", column) == "40.0 ± 14.1*"  # 2 × 0.03 is not below 0.05
    assert _cell(table, "chance", column) == "20.0 ± 0.0"
    assert table.rule_before == 3
    assert "one-tailed" in table.caption
    assert "2 splits" in table.caption


@pytest.mark.parametrize("lacking", ["", "‡"])
def test_macro_scores_say_that_a_class_had_no_test_clip(lacking: str) -> None:
    """Beside the number, wherever it stands; micro-F1 has no class to miss."""
    values = {"a": [0.5, 0.7], "chance": [0.2, 0.2], "majority": [0.1, 0.1]}
    names = [*TASK.metrics, *(f"f1_{name}" for name in CLASSES)]
    scores = pd.concat([_long(values).assign(metric=m) for m in names])
    lessened = {1: TASK.lessened(("fear",))} if lacking else {}
    main = tables.main_table(scores, pd.DataFrame(), ["a"], TASK, lessened=lessened)
    for system in ("a", "majority class", "chance"):
        assert _cell(main, system, ("audio-visual", "macro-F1")).endswith(lacking or tuple("0123456789"))
        assert "‡" not in _cell(main, system, ("audio-visual", "micro-F1"))
    alone = tables.missing_modality_table(scores, ["a"], TASK, lessened=lessened)
    assert alone.frame.iloc[0, 1] == f"60.0 ± 14.1{lacking}"
    target = {"split": [0, 0, 1, 1], "target": [0, 2, 0, 1], "prediction": [0, 2, 0, 1]}
    made = pd.DataFrame({"system": "a", "modality": "av", **target})
    each = tables.per_class_table(made, scores, ["a"], TASK, lessened=lessened).frame.set_index("class")
    assert each.at["fear", "a"].endswith(lacking)
    assert "‡" not in each.at["anger", "a"]
    for table in (main, alone):
        assert ("in 1 split no test clip shows some class" in table.caption) == bool(lacking)
        assert (r"$^{\ddagger}$" in tables.to_latex(table)) == bool(lacking)


def test_the_tests_say_whether_systems_share_random_numbers(tests: pd.DataFrame) -> None:
    assert "Each its own. The CSV" in tables.tests_table(tests, ORDER, TASK, NOTES, "Each its own.").caption


def test_main_table_leaves_unscored_modality_blank(scores: pd.DataFrame, tests: pd.DataFrame) -> None:
    table = tables.main_table(scores, tests, ORDER, TASK)
    assert _cell(table, "early_fusion", ("audio only", "macro-F1")) == "–"
    assert _cell(table, "chance", ("video only", "micro-F1")) == "–"
    mean = scores.query("system=='mult' and modality=='visual' and metric=='macro_f1'")["value"].mean()
    assert _cell(table, "mult", ("video only", "macro-F1")).startswith(f"{100 * mean:.1f} ±")


def test_marks_need_a_higher_reference() -> None:
    values = {"a": [0.5, 0.5], "b": [0.7, 0.7], "chance": [0.2, 0.2], "majority": [0.1, 0.1]}
    scores = pd.concat([_long(values).assign(metric=m) for m in TASK.metrics])
    lower = pd.DataFrame([_test("b", 0.001, difference=-0.2, tail="two-sided")])
    table = tables.main_table(scores, lower, ["a", "b"], TASK)
    assert _cell(table, "b", ("audio-visual", "macro-F1")) == "70.0 ± 0.0"
    assert tables.tests_table(lower, ["a", "b"], TASK).frame["verdict"].tolist() == ["lower"]


def test_incomplete_scores_are_named(scores: pd.DataFrame, tests: pd.DataFrame) -> None:
    hole = scores.drop(scores.query("system=='mult' and split==3 and modality=='av'").index)
    with pytest.raises(AvemoError, match=r"mult av \w+: expected scores on 5 splits, found 4"):
        tables.main_table(hole, tests, ORDER, TASK)
    with pytest.raises(AvemoError, match="twice|two for"):
        tables.main_table(pd.concat([scores, scores.head(1)]), tests, ORDER, TASK)
    with pytest.raises(AvemoError, match="majority"):
        tables.honesty_check(scores[scores["system"] != "majority"], TASK)
    with pytest.raises(AvemoError, match="vavl"):
        tables.missing_modality_table(scores, [*ORDER, "vavl"], TASK)


def test_missing_modality_is_paired() -> None:
    both = {"a": [0.6, 0.8], "chance": [0.2, 0.2], "majority": [0.1, 0.1]}
    alone = _long({"a": [0.5, 0.5]}, "audio")
    table = tables.missing_modality_table(pd.concat([_long(both), alone]), ["a"], TASK)
    row = table.frame.iloc[0].tolist()
    assert row == ["a", "70.0 ± 14.1", "50.0 ± 0.0", "−20.0 ± 14.1", "–", "–"]
    assert table.raw.loc[0, "change_mean"] == pytest.approx(-0.2)


def test_tests_table_shows_scipys_numbers(tests: pd.DataFrame) -> None:
    table = tables.tests_table(tests, ORDER, TASK)
    row = tests.query("system=='av_ladder' and modality=='av' and metric=='macro_f1'").iloc[0]
    shown = table.frame.query("`compared with`=='av_ladder' and input=='audio-visual' and score=='macro-F1'")
    assert float(shown["p"].iloc[0]) == pytest.approx(row["p"], abs=5e-4)
    assert shown["difference"].iloc[0] == f"{100 * row['mean_difference']:+.1f}"
    assert shown["t (df)"].iloc[0] == f"{row['t']:+.2f} (4)"
    assert len(table.raw) == len(tests) > len(table.frame)


def test_untestable_pair_is_blank() -> None:
    nan = float("nan")
    row = _test("b", nan) | {"t": nan, "p_holm": nan, "effect_size": nan, "ci_low": nan, "ci_high": nan}
    shown = tables.tests_table(pd.DataFrame([row]), ["a", "b"], TASK).frame.iloc[0]
    assert shown[["p", "p Holm", "p corrected", "d_z", "verdict"]].tolist() == ["–"] * 4 + ["undecided"]


def test_per_class_equals_sklearn(predictions: pd.DataFrame, scores: pd.DataFrame) -> None:
    table = tables.per_class_table(predictions, scores, ORDER, TASK)
    part = predictions.query("system=='mult' and modality=='av'")
    of = [
        f1_score(g["target"], g["prediction"], labels=[2], average=None)[0] for _, g in part.groupby("split")
    ]
    fear = table.frame.set_index("class").at["fear", "mult"]
    assert fear == f"{100 * pd.Series(of).mean():.1f} ± {100 * pd.Series(of).std():.1f}"
    first = part[part["split"] == 0]
    raw = table.raw.query("system=='mult' and split==0 and `class`=='fear'").iloc[0]
    expected = precision_score(first["target"], first["prediction"], labels=[2], average=None)[0]
    assert raw["precision"] == pytest.approx(expected)
    with pytest.raises(AvemoError, match="vavl"):
        tables.per_class_table(predictions, scores, ["vavl"], TASK)


def test_clip_status_counts_and_remedy(clips: pd.DataFrame) -> None:
    table = tables.clip_status_table(clips).frame.set_index(["stage", "status"])
    assert table.loc[("faces", "no_face"), ["clips", "percent", "frames"]].tolist() == ["2", "10.0", "0"]
    assert table.loc[("faces", "ok"), "frames"] == "19,800"
    assert "look at the clip" in table.loc[("faces", "no_face"), "remedy"]
    assert tables.failed_clips_table(clips).frame["clip"].tolist() == ["c000", "c001"]


def test_failed_clips_say_what_is_left_out(clips: pd.DataFrame) -> None:
    many = pd.concat([clips.assign(status="no_face")] * 3)
    table = tables.failed_clips_table(many)
    assert len(table.frame) == 100
    assert len(table.raw) == 180
    assert "100 of 180" in table.caption
    none = tables.failed_clips_table(clips.assign(status="ok"))
    assert none.caption == "No clip failed."
    assert "<tbody>\n</tbody>" in tables.to_html(none)


def test_costs_and_plain_format(costs: pd.DataFrame) -> None:
    frame = tables.costs_table(costs, ORDER).frame
    assert frame.iloc[0].tolist() == ["auxformer", "8,093,453", "312.2", "1,420"]
    assert frame.iloc[3].tolist() == ["early_fusion", "120,000", "12.0", "–"]
    plain = tables.plain_table("x", "X", "C.", pd.DataFrame({"class": ["a"], "n": [12345], "share": [0.25]}))
    assert plain.frame.iloc[0].tolist() == ["a", "12,345", "0.250"]


def test_every_caption_carries_the_notes(
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    predictions: pd.DataFrame,
    clips: pd.DataFrame,
    costs: pd.DataFrame,
) -> None:
    made = [
        tables.main_table(scores, tests, ORDER, TASK, NOTES),
        tables.missing_modality_table(scores, ORDER, TASK, NOTES),
        tables.tests_table(tests, ORDER, TASK, NOTES),
        tables.per_class_table(predictions, scores, ORDER, TASK, NOTES),
        tables.costs_table(costs, ORDER, NOTES),
        tables.clip_status_table(clips, NOTES),
        tables.failed_clips_table(clips, NOTES),
        tables.plain_table("x", "X", "C.", costs, NOTES),
    ]
    for table in made:
        for written in (table.caption, tables.to_html(table), tables.to_csv(table)):
            assert "synthetic corpus · random weights" in written, table.name
        assert r"synthetic corpus $\cdot$ random weights" in tables.to_latex(table), table.name


def test_honesty_check_by_hand() -> None:
    values = {"a": [0.3, 0.5], "b": [0.31, 0.31], "chance": [0.2, 0.2], "majority": [0.1, 0.4]}
    found = {row["system"]: row for row in tables.honesty_check(_long(values), TASK)}
    assert found["a"]["margin"] == pytest.approx(0.15)
    assert (found["a"]["passed"], found["a"]["splits_won"]) == (True, 2)
    assert found["b"]["margin"] == pytest.approx(0.06)
    assert (found["b"]["passed"], found["b"]["splits_won"], found["b"]["splits"]) == (False, 1, 2)


def test_chance_and_majority_stand_in_every_table_of_scores(
    scores: pd.DataFrame, tests: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    by_class = [
        {
            "system": name,
            "split": split,
            "modality": "av",
            "metric": f"f1_{CLASSES[number]}",
            "value": 0.01 * number,
        }
        for name in ("majority", "chance")
        for split in scores["split"].unique()
        for number in range(len(CLASSES))
    ]
    known = pd.concat([scores, pd.DataFrame(by_class)], ignore_index=True)
    for table in (
        tables.main_table(known, tests, ORDER, TASK),
        tables.missing_modality_table(known, ORDER, TASK),
    ):
        assert table.frame.iloc[-2:, 0].tolist() == ["majority class", "chance"]
        assert "f1_anger" not in set(table.raw.get("metric", []))
    classes = tables.per_class_table(predictions, known, ORDER, TASK).frame
    assert classes["chance"].tolist() == [f"{number:.1f} ± 0.0" for number in range(len(CLASSES))]


ATTRIBUTES = Attributes(("arousal", "valence"))
BITS = Bits(("happy", "sad"))


def _run_of(task: Task, systems: list[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predictions, scores and no tests of two splits, random but seeded."""
    rng, frames, rows = np.random.default_rng(0), [], []
    targets = rng.integers(0, 2, size=(40, 2)).astype(float)
    for split in ("split00", "split01"):
        values = {name: task.blind_scores(targets, targets, seed=0)[name] for name in task.blind}
        for system in systems:
            table = pd.DataFrame(task.table(targets, np.clip(targets + rng.normal(size=targets.shape), 0, 1)))
            values[system] = task.score(table)
            frames.append(table.assign(system=system, split=split, modality="av"))
        rows += [(s, split, "av", metric, v) for s, of in values.items() for metric, v in of.items()]
    columns = ["system", "split", "modality", "metric", "value"]
    return pd.concat(frames), pd.DataFrame(rows, columns=columns), pd.DataFrame()


def test_attributes_are_read_as_plain_concordances() -> None:
    predictions, scores, none = _run_of(ATTRIBUTES, ["a", "b"])
    table = tables.main_table(scores, none, ["a", "b"], ATTRIBUTES)
    assert [name for _, name in table.frame.columns] == ["system", "mean CCC", "CCC arousal", "CCC valence"]
    values = scores.query("system=='a' and metric=='ccc_valence'")["value"]
    expected = f"{values.mean():.3f} ± {values.std():.3f}"
    assert _cell(table, "a", ("audio-visual", "CCC valence")) == expected
    assert _cell(table, "mean of train", ("audio-visual", "CCC valence")) == "0.000 ± 0.000"
    each = tables.per_class_table(predictions, scores, ["a", "b"], ATTRIBUTES).frame
    assert each.set_index("attribute").at["valence", "a"] == expected
    assert "%" not in table.caption
    assert {row["system"]: row["passed"] for row in tables.honesty_check(scores, ATTRIBUTES)} == {
        "a": True,
        "b": True,
    }


def test_bits_show_both_f1_of_each_emotion() -> None:
    predictions, scores, none = _run_of(BITS, ["a"])
    table = tables.main_table(scores, none, ["a"], BITS)
    assert [name for _, name in table.frame.columns][1:] == [
        *("mF1", "wF1", "AUC", "AP", "wF1 happy", "mF1 happy", "wF1 sad", "mF1 sad")
    ]
    each = tables.per_class_table(predictions, scores, ["a"], BITS).frame
    assert each[["emotion", "score"]].to_numpy().tolist() == [
        [name, metric] for name in ("happy", "sad") for metric in ("wF1", "mF1", "AUC", "AP")
    ]
    part = predictions[predictions["split"] == "split00"]
    expected = [
        f1_score(part["target_sad"], part["prediction_sad"], average="macro"),
        *[scores.query("system=='a' and metric=='mf1_sad' and split=='split01'")["value"].item()],
    ]
    assert each.iloc[5]["a"] == f"{100 * np.mean(expected):.1f} ± {100 * np.std(expected, ddof=1):.1f}"


@pytest.mark.parametrize("task", [ATTRIBUTES, BITS])
def test_figures_and_page_of_other_tasks(task: Task) -> None:
    predictions, scores, none = _run_of(task, ["a", "b"])
    history = pd.DataFrame(
        {"system": "a", "split": "s", "epoch": [1, 2], "dev_loss": 1.0, f"dev_{task.headline[0]}": 0.1}
    )
    charts = [
        figures.systems_comparison(scores, ["a", "b"], task),
        figures.paired_differences(scores, none, ["a", "b"], task),
        figures.missing_modality(scores, ["a", "b"], task),
        figures.training_curves(history, ["a"], task),
    ]
    heading = task.metrics[task.headline[0]]
    assert charts[0].figure.axes[0].get_xlabel().startswith(heading)
    context = page.Context(
        **{
            "run": "r",
            "folder": "results/r",
            "basis": Basis("c", 4, 2, 0, {}),
            "order": ["a", "b"],
            "task": task,
            "tests": none,
            "charts": charts,
        },
        **{"honesty": tables.honesty_check(scores, task)},
        tables=[tables.per_class_table(predictions, scores, ["a", "b"], task)],
    )
    assert heading in str(which(context.honesty, context.order, task))
    assert heading in page.render(context)
