"""The bootstrap of a single test side: its spread against theory, its groups, its tails."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Attributes, Bits, Classes
from avemo.report.resampling import _confusions, resampled, scores_of

TASK = Classes(["sad", "calm"])
CLIPS = [f"c{i:04}" for i in range(400)]


def predictions(right: np.ndarray) -> pd.DataFrame:
    """Of `CLIPS` of two classes in turn, right where ``right`` is."""
    target = np.arange(len(right)) % 2
    return pd.DataFrame(
        {"clip_id": CLIPS, "target": target, "prediction": np.where(right, target, 1 - target)}
    )


def coins(p: float, seed: int, size: int = len(CLIPS)) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < p


@pytest.mark.parametrize("task", [TASK, Classes(["a", "b", "c"]), Bits(("happy", "sad"))])
def test_scores_are_the_tasks_own(task):
    """On clips of which each group counts once, and on others of which it counts twice, or not at all."""
    rng = np.random.default_rng(3)
    if task.kind == "classes":
        targets, readout = rng.integers(len(task.names), size=60), rng.random((60, len(task.names)))
    else:
        targets, readout = rng.integers(2, size=(60, 2)).astype(float), rng.random((60, 2))
    table = pd.DataFrame(task.table(targets, readout))
    owner = np.repeat(np.arange(6), 10)
    times = np.array([[1] * 6, [2, 0, 1, 3, 0, 0]])
    found = scores_of(_confusions(table, owner, task), times, task)
    for draw, row in enumerate(times):
        expected = task.score(table.iloc[np.repeat(np.arange(60), row[owner])])
        ranked = {metric for metric in expected if metric.split("_")[0] in ("auc", "ap")}
        assert expected.keys() - ranked == found.keys()
        assert {metric: values[draw] for metric, values in found.items()} == pytest.approx(
            {metric: expected[metric] for metric in found}
        )


def test_spread_of_independent_clips_is_that_of_a_mean():
    ours, other = coins(0.7, 1), coins(0.6, 2)
    d = ours.astype(float) - other
    alone = dict(zip(CLIPS, CLIPS, strict=True))
    found = resampled(predictions(ours), predictions(other).sample(frac=1, random_state=0), alone, TASK)[
        "micro_f1"
    ]
    assert found["mean_difference"] == pytest.approx(d.mean())
    assert found["sd"] == pytest.approx(d.std() / np.sqrt(len(d)), rel=0.1)
    assert found["ci_low"] == pytest.approx(d.mean() - 1.96 * found["sd"], abs=0.012)
    assert found["p"] < 0.05


def test_clips_of_a_group_go_together():
    """20 videos of 20 clips on which a system is right or wrong as a whole: as much as 20 clips say."""
    video = {clip: f"v{i // 20}" for i, clip in enumerate(CLIPS)}
    ours, other = np.repeat(coins(0.7, 1, 20), 20), np.repeat(coins(0.4, 2, 20), 20)
    d = (ours.astype(float) - other)[::20]
    found = resampled(predictions(ours), predictions(other), video, TASK)["micro_f1"]
    assert found["sd"] == pytest.approx(d.std() / np.sqrt(20), rel=0.1)


def test_tails():
    alone = dict(zip(CLIPS, CLIPS, strict=True))
    worse, better = predictions(coins(0.5, 1)), predictions(coins(0.8, 2))
    assert resampled(worse, better, alone, TASK, "greater", draws=200)["macro_f1"]["p"] == 1.0
    assert resampled(worse, better, alone, TASK, "two-sided", draws=200)["macro_f1"]["p"] < 0.02
    same = resampled(worse, worse, alone, TASK, draws=50)["macro_f1"]
    assert (same["mean_difference"], same["sd"], same["p"]) == (0.0, 0.0, 1.0)


def test_bits_have_a_test_of_each_emotion():
    task = Bits(("happy", "sad"))
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, size=(400, 2)).astype(float)

    def guess(noise: float) -> pd.DataFrame:
        return pd.DataFrame(task.table(targets, targets + noise * rng.normal(size=targets.shape))).assign(
            clip_id=CLIPS
        )

    alone = dict(zip(CLIPS, CLIPS, strict=True))
    found = resampled(guess(0.5), guess(1.5), alone, task, draws=200)
    assert {"mf1", "wf1", "mf1_happy", "wf1_sad"} <= found.keys()
    assert all(one["p"] < 0.02 and one["ci_low"] > 0 for one in found.values())


def test_attributes_are_refused():
    frame = predictions(coins(0.5, 1))
    with pytest.raises(AvemoError, match="expected classes or bits, found attributes"):
        resampled(frame, frame, dict(zip(CLIPS, CLIPS, strict=True)), Attributes(("arousal",)))


def test_other_clips_are_refused():
    frame = predictions(coins(0.5, 1))
    with pytest.raises(AvemoError, match="expected predictions of the same clips"):
        resampled(frame, frame.head(10), {}, TASK)
