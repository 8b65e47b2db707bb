"""Agreement with raters, and decision curves, as tables and figures of a made-up run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import load_labels, make_labels, save_labels
from avemo.dataset.tasks import Bits, Classes
from avemo.evaluation.agreement import agreement_scores, one_rater
from avemo.report.decisions import ALL, SHOWN, decisions_chart, decisions_table
from avemo.report.raters import RATER, VOTES, raters_chart, raters_table

CLASSES = Classes(["anger", "joy", "sad"])
BITS = Bits(["happy", "sad", "fear", "anger"])
ORDER = ["good", "poor"]


def made(task: Classes | Bits, truth: np.ndarray) -> pd.DataFrame:
    """Predictions of two systems on two splits: a good one, near the truth, and a poor one."""
    generator, frames = np.random.default_rng(0), []
    for system, noise in (("good", 0.7), ("poor", 3.0)):
        for split in ("split00", "split01"):
            logits = 3 * truth + noise * generator.standard_normal(truth.shape)
            if task.kind == "classes":
                p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
                columns = task.table(truth.argmax(axis=1), p)
            else:
                columns = task.table((truth > 0).astype(float), 1 / (1 + np.exp(-logits)))
            ids = [f"{split}_{number}" for number in range(len(truth))]
            frames.append(
                pd.DataFrame(columns).assign(clip_id=ids, system=system, split=split, modality="av")
            )
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def judged() -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(1)
    leaning = generator.dirichlet(np.full(3, 0.7), 80)
    predictions = made(CLASSES, leaning)
    counts = np.concatenate([[generator.multinomial(6, row) for row in leaning] for _ in range(2)])
    votes = pd.DataFrame(counts, columns=list(CLASSES.names), dtype=float)
    return predictions, votes.set_axis(predictions["clip_id"].unique(), axis=0)


def test_the_table_has_each_system_a_rater_and_the_limit(judged):
    predictions, votes = judged
    # Clips that nobody judged count nowhere.
    table = raters_table(predictions, votes.iloc[10:], ORDER, CLASSES)
    assert table.frame["system"].tolist() == [*ORDER, RATER, VOTES]
    raw = table.raw.set_index("system")
    own = predictions[(predictions.system == "good") & predictions.clip_id.isin(votes.index[10:])]
    each = [
        agreement_scores(votes.loc[part.clip_id].to_numpy(), part[["p_0", "p_1", "p_2"]].to_numpy())
        for _, part in own.groupby("split")
    ]
    for name in ("share", "cross_entropy", "divergence", "cosine"):
        assert raw.loc["good", name] == pytest.approx(np.mean([one[name] for one in each]))
    assert raw.loc["poor", "share"] < raw.loc["good", "share"] < raw.loc[VOTES, "share"]
    halves = [votes.iloc[10:80].to_numpy(), votes.iloc[80:].to_numpy()]
    assert raw.loc[RATER, "share"] == pytest.approx(np.mean([one_rater(half) for half in halves]))
    assert "150 tested clips that were judged, 6.0 votes each" in table.caption


def test_the_chart_tells_each_system(judged):
    chart = raters_chart(*judged, ORDER, CLASSES)
    assert "good" in chart.alt
    assert b"share of the class that most raters named" in chart.svg
    assert chart.svg.count(RATER.encode()) == 1


def test_decision_curves_of_bits():
    truth = np.where(np.random.default_rng(2).random((120, 4)) < [0.5, 0.3, 0.1, 0.2], 1.0, -1.0)
    predictions = made(BITS, truth)
    table = decisions_table(predictions, ORDER, BITS)
    assert table.frame["system"].tolist() == [*ORDER, ALL]
    raw = table.raw
    prevalence = (truth > 0).mean(axis=0)
    for threshold in SHOWN:
        at = raw[np.isclose(raw["threshold"], threshold)]
        expected = np.mean(prevalence - (1 - prevalence) * threshold / (1 - threshold))
        assert at.loc[at["system"] == ALL, "benefit"].mean() == pytest.approx(expected)
        means = at.groupby("system")["benefit"].mean()
        assert means["good"] > max(means["poor"], 0.0)
    assert "every clip" in decisions_chart(predictions, ORDER, BITS).alt


def test_votes_come_back_with_the_labels_of_judged_clips(tmp_path):
    clips = [Clip(name, name, name) for name in "abc"]
    given = [
        Label("a", "sad", votes={"sad": 4, "joy": 1}),
        Label("b", "joy"),
        Label("c", None, "tie", votes={"joy": 2}),
    ]
    save_labels(make_labels(clips, given, "classes", ("joy", "sad")), tmp_path / "labels.parquet")
    votes = load_labels(tmp_path / "labels.parquet").votes
    assert votes.to_dict("index") == {"a": {"joy": 1.0, "sad": 4.0}}
    without = make_labels(clips[1:2], given[1:2], "classes", ("joy", "sad"))
    assert (len(without.votes), list(without.table)) == (
        0,
        ["clip_id", "speaker", "group", "label", "reason"],
    )
