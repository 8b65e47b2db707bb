"""Intervals over speakers and gaps between columns, against clips that are really repeated, scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from avemo.base.metrics import ccc
from avemo.dataset.tasks import Attributes, Bits, Classes
from avemo.report.clustered import Speakers, interval
from avemo.report.people import column_table, divisions, intervals_table

CLASSES = Classes(["a", "b", "c"])


def predictions(task, seed: int = 0, speakers: int = 8, clips: int = 12, splits: int = 2) -> pd.DataFrame:
    """Two systems; each split tests half of the speakers. The second speaker of each four is hard."""
    generator, frames = np.random.default_rng(seed), []
    for system in ("good", "bad"):
        for split in range(splits):
            tested = [s for s in range(speakers) if s % splits == split]
            rows = [(f"s{s}", f"s{s}_{c}") for s in tested for c in range(clips)]
            size = (len(rows), len(task.names))
            if task.kind == "classes":
                targets = generator.integers(0, 3, len(rows))
                readout = generator.random(size) + (1.0 if system == "good" else 0.3) * np.eye(3)[targets]
                readout /= readout.sum(1, keepdims=True)
            else:
                targets = generator.random(size)
                if task.kind == "bits":
                    targets = (targets > 0.5).astype(float)
                readout = 0.5 * targets + 0.5 * generator.random(size)
            table = pd.DataFrame(task.table(targets, readout))
            names = pd.DataFrame(rows, columns=["speaker", "clip_id"])
            place = {"system": system, "split": f"split{split:02d}", "modality": "av"}
            frames.append(pd.concat([names, table], axis=1).assign(**place))
    return pd.concat(frames, ignore_index=True)


def repeated(table: pd.DataFrame, speakers: Speakers, draw: int) -> pd.DataFrame:
    """The clips of each speaker as often as a draw says, as rows."""
    times = dict(zip(speakers.names, speakers.times_RG[draw].astype(int), strict=True))
    return table.loc[table.index.repeat(table["speaker"].map(times))]


def test_a_draw_scores_as_its_clips_do_by_scikit_learn():
    found = predictions(CLASSES)
    speakers = Speakers(found, CLASSES, draws=20)
    scores = {m: speakers.scores("bad", m) for m in ("macro_f1", "uar", "micro_f1")}
    own = found[found.system == "bad"]
    for draw in (0, 3, 11):
        parts = [p for _, p in repeated(own, speakers, draw).groupby("split") if len(p)]
        theirs = {
            "macro_f1": [f1_score(p.target, p.prediction, labels=[0, 1, 2], average="macro", zero_division=0) for p in parts],
            "uar": [balanced_accuracy_score(p.target, p.prediction) for p in parts],
            "micro_f1": [float((p.target == p.prediction).mean()) for p in parts],
        }  # fmt: skip
        for metric, values in theirs.items():
            assert scores[metric][draw] == pytest.approx(np.mean(values))


@pytest.mark.parametrize("task", [Bits(["x", "y"]), Attributes(["x", "y"])])
def test_a_draw_of_numbers_scores_as_the_task_does(task):
    found = predictions(task)
    speakers, metric = Speakers(found, task, draws=5), "mf1" if task.kind == "bits" else "ccc"
    own = found[found.system == "good"]
    parts = [p for _, p in repeated(own, speakers, 4).groupby("split")]
    assert speakers.scores("good", metric)[4] == pytest.approx(
        np.mean([task.score(p)[metric] for p in parts])
    )
    if task.kind == "attributes":
        first = next(p for _, p in own.groupby("split"))
        assert task.score(first)["ccc_x"] == pytest.approx(ccc(first.target_x, first.prediction_x))


def test_alike_clips_of_a_speaker_widen_the_interval():
    """Sixteen speakers of ten clips, all right or all wrong: the spread of a mean of 16, not of 160."""
    rows = [(f"s{s:02d}", f"s{s:02d}_{c}", c % 3, (c + s % 2) % 3) for s in range(16) for c in range(10)]
    table = pd.DataFrame(rows, columns=["speaker", "clip_id", "target", "prediction"])
    table = table.assign(system="net", split="split00", modality="av")
    values = Speakers(table, CLASSES).scores("net", "micro_f1")
    found = interval(values)
    assert found.found == 0.5
    assert values[1:].std() == pytest.approx(np.sqrt(0.25 / 16), rel=0.05)
    assert (found.low, found.high) == pytest.approx((0.25, 0.75), abs=0.04)


def test_tables_hold_the_scores_and_the_sign_of_the_difference():
    found = predictions(CLASSES)
    speakers = Speakers(found, CLASSES, draws=200)
    table = intervals_table(speakers, ["good", "bad"], CLASSES)
    raw = table.raw.set_index(["system", "metric"])
    score = np.mean([CLASSES.score(p)["macro_f1"] for _, p in found[found.system == "bad"].groupby("split")])
    assert raw.loc[("bad", "macro_f1"), "score"] == pytest.approx(score)
    assert raw.loc[("bad", "uar"), "less_low"] > 0
    assert raw.loc[("good", "uar"), "less"] == 0


def test_a_gap_is_found_where_one_was_made():
    found = predictions(CLASSES, speakers=24)
    sex = {clip: "f" if int(clip[1:].split("_")[0]) % 4 < 2 else "m" for clip in found.clip_id}
    wrong = (found.clip_id.map(sex) == "m") & (np.arange(len(found)) % 2 == 0)
    found.loc[wrong, "prediction"] = (found.loc[wrong, "target"] + 1) % 3
    table = column_table(Speakers(found, CLASSES), "sex", sex, ["good"], CLASSES)
    raw = table.raw.set_index("sex")
    parts = found[found.system == "good"].assign(sex=found.clip_id.map(sex)).groupby(["sex", "split"])
    uar = parts.apply(lambda p: balanced_accuracy_score(p.target, p.prediction)).groupby("sex").mean()
    assert raw.loc["f", "gap"] == pytest.approx(uar["f"] - uar["m"])
    assert raw.loc["f", "low"] > 0
    assert raw.loc["m", "high"] < 0
    assert table.name == "by_sex"
    assert column_table(Speakers(found, CLASSES), "a/b", sex, ["good"], CLASSES).name.startswith("by_a_b_")


def test_only_columns_of_few_values_divide_the_clips():
    columns = {
        "sex": pd.Series(["f", "m", ""]),
        "one": pd.Series(["x", "", "x"]),
        "file": pd.Series([str(i) for i in range(99)]),
    }
    assert divisions(columns) == ["sex"]
