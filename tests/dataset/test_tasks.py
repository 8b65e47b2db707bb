"""Losses and scores of each kind of task against scikit-learn, SciPy, closed forms and printed numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, log_softmax
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from avemo.base.contracts import AvemoError
from avemo.base.metrics import ccc
from avemo.dataset import TASKS
from avemo.dataset.tasks import Attributes, Bits, Classes, concordance

NAMES = ("arousal", "valence", "dominance")
EMOTIONS = ("happy", "sad", "angry", "surprise", "disgust", "fear")
RNG = np.random.default_rng(0)


def scored(task, targets, logits):
    return pd.DataFrame(task.table(np.asarray(targets), task.readout(torch.as_tensor(logits))))


def test_every_kind_loads_and_leads_with_a_metric_it_has():
    for kind in TASKS:
        task = TASKS.load(kind)(NAMES)
        assert task.kind == kind
        assert set(task.headline) <= set(task.metrics)


def test_class_scores_agree_with_scikit_learn():
    task, targets, logits = Classes("abcd"), RNG.integers(4, size=50), RNG.normal(size=(50, 4))
    table = scored(task, targets, logits)
    scores, predicted = task.score(table), logits.argmax(1)
    for average in ("macro", "micro"):
        expected = precision_recall_fscore_support(
            targets, predicted, average=average, labels=range(4), zero_division=0
        )
        found = [scores[f"{average}_{name}"] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(expected[:3], abs=1e-12)
    assert set(scores) == set(task.metrics)
    each = f1_score(targets, predicted, average=None, labels=range(4), zero_division=0)
    assert task.by_output(table)["f1"].tolist() == pytest.approx(each)


def test_shares_of_classes_train_and_their_largest_counts():
    task, shares = Classes("abc"), np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])
    logits = RNG.normal(size=(2, 3))
    expected = -(shares * log_softmax(logits, axis=1)).sum(1).mean()
    assert task.loss(torch.tensor(logits), torch.tensor(shares)).item() == pytest.approx(expected)
    assert scored(task, shares, logits)["target"].tolist() == [1, 0]
    hard = task.loss(torch.tensor(logits), torch.tensor([1, 0]))
    sure = task.loss(torch.tensor(logits), torch.eye(3, dtype=torch.float64)[[1, 0]])
    assert hard.item() == pytest.approx(sure.item())


def test_majority_of_train_on_crema_d_class_counts():
    """All-neutral on 7,442 plurality labels: micro 0.278, macro F1 0.073."""
    targets = np.repeat(np.arange(6), [1222, 1067, 1180, 2071, 1230, 672])
    scores = Classes("dafnhs").blind_scores(np.array([3, 3, 0]), targets, seed=0)["majority"]
    assert round(scores["micro_f1"], 3) == 0.278
    assert round(scores["macro_f1"], 3) == 0.073
    assert (scores["f1_n"] > 0, scores["f1_d"]) == (True, 0)


def test_chance_is_one_in_the_number_of_classes():
    """Micro-F1 is accuracy: its mean over 1000 draws of 300 clips has sd 0.0008."""
    task, targets = Classes("abcd"), np.repeat(np.arange(4), [150, 75, 50, 25])
    scores = task.blind_scores(targets, targets, seed=0)["chance"]
    assert scores["micro_f1"] == pytest.approx(0.25, abs=0.004)
    assert scores["macro_recall"] == pytest.approx(0.25, abs=0.006)
    assert scores == task.blind_scores(targets, targets, seed=0)["chance"]
    assert scores != task.blind_scores(targets, targets, seed=1)["chance"]


def test_concordance_equals_the_metric_and_the_closed_forms():
    x, y = RNG.normal(size=(2, 40, 3))
    found = concordance(torch.tensor(x), torch.tensor(y)).numpy()
    assert found == pytest.approx([ccc(y[:, i], x[:, i]) for i in range(3)], abs=1e-6)
    centred = torch.tensor(y - y.mean(0))
    assert concordance(centred, centred).numpy() == pytest.approx([1, 1, 1], abs=1e-6)
    assert concordance(-centred, centred).numpy() == pytest.approx([-1, -1, -1], abs=1e-6)
    spread = y.var(0)
    shifted = concordance(torch.tensor(y + 0.5), torch.tensor(y)).numpy()
    assert shifted == pytest.approx(2 * spread / (2 * spread + 0.25), abs=1e-6)


def test_attributes_lose_one_less_concordance_each():
    task, x, y = Attributes(NAMES), *RNG.normal(size=(2, 20, 3))
    expected = 3 - sum(ccc(y[:, i], x[:, i]) for i in range(3))
    assert task.loss(torch.tensor(x), torch.tensor(y)).item() == pytest.approx(expected, abs=1e-5)


def test_one_clip_or_constant_columns_train_nothing_and_are_no_nan():
    task = Attributes(NAMES)
    for logits, targets in ((torch.randn(1, 3), torch.randn(1, 3)), (torch.randn(4, 3), torch.ones(4, 3))):
        logits.requires_grad_()
        loss = task.loss(logits, targets)
        loss.backward()
        assert loss.item() == pytest.approx(3)
        assert logits.grad.abs().max() == 0


def test_loss_of_a_set_pools_attributes_and_averages_classes():
    x, y = torch.randn(7, 3), torch.randn(7, 3)
    parts = [x[:5], x[5:]], [y[:5], y[5:]]
    pooled = Attributes(NAMES).set_loss(*parts)
    assert pooled == pytest.approx(3 - sum(ccc(y[:, i], x[:, i]) for i in range(3)), abs=1e-4)
    classes, targets = Classes("abc"), y.argmax(1)
    whole = classes.loss(x, targets).item()
    assert classes.set_loss(parts[0], [targets[:5], targets[5:]]) == pytest.approx(whole, rel=1e-6)


def test_attribute_scores_and_their_mean():
    task, x, y = Attributes(NAMES), *RNG.normal(size=(2, 30, 3))
    scores = task.score(scored(task, y, x))
    each = [ccc(y[:, i], x[:, i]) for i in range(3)]
    assert [scores[f"ccc_{name}"] for name in NAMES] == pytest.approx(each)
    assert scores["ccc"] == pytest.approx(np.mean(each))
    assert set(scores) == set(task.metrics)
    assert set(task.blind_scores(x, y, seed=0)["mean"].values()) == {0.0}


def test_attributes_keep_their_declared_order():
    """The released MSP-IMPROV code lists arousal, dominance, valence."""
    given = {"arousal": 0.1, "dominance": 0.2, "valence": 0.3}
    assert Attributes(NAMES).target(given, "c") == (0.1, 0.3, 0.2)
    with pytest.raises(AvemoError, match="c: expected a number for each of arousal, valence, dominance"):
        Attributes(NAMES).target({"arousal": 0.1, "valence": 0.3}, "c")
    with pytest.raises(AvemoError, match="finite"):
        Attributes(NAMES).target({**given, "valence": float("nan")}, "c")


def test_bits_lose_the_sum_of_binary_cross_entropies():
    task, logits, targets = (
        Bits(EMOTIONS),
        RNG.normal(size=(9, 6)),
        RNG.integers(2, size=(9, 6)).astype(float),
    )
    expected = sum(log_loss(targets[:, i], expit(logits[:, i]), labels=[0, 1]) for i in range(6))
    assert task.loss(torch.tensor(logits), torch.tensor(targets)).item() == pytest.approx(expected)


def test_bit_scores_agree_with_scikit_learn():
    task, logits, targets = (
        Bits(EMOTIONS),
        RNG.normal(size=(60, 6)),
        RNG.integers(2, size=(60, 6)).astype(float),
    )
    scores, predicted = task.score(scored(task, targets, logits)), logits > 0
    for metric, average in (("wf1", "weighted"), ("mf1", "macro")):
        each = [f1_score(targets[:, i], predicted[:, i], average=average) for i in range(6)]
        assert [scores[f"{metric}_{name}"] for name in EMOTIONS] == pytest.approx(each)
        assert scores[metric] == pytest.approx(np.mean(each))
    assert set(scores) == set(task.metrics)


def test_bits_that_are_never_set_earn_the_printed_surprise_and_fear():
    """CMU-MOSEI's test fold: 441 of 4,662 clips show surprise, 385 fear; 86.0/47.5 and 87.8/47.8 are printed."""
    targets = np.zeros((4662, 2))
    targets[:441, 0] = targets[:385, 1] = 1
    scores = Bits(("surprise", "fear")).blind_scores(targets, targets, seed=0)["majority"]
    assert [round(100 * scores[f"{m}_surprise"], 1) for m in ("wf1", "mf1")] == [86.0, 47.5]
    assert [round(100 * scores[f"{m}_fear"], 1) for m in ("wf1", "mf1")] == [87.8, 47.8]


def test_labels_that_are_none_of_the_task_are_refused():
    for task, label in (
        (Classes("ab"), "c"),
        (Classes("ab"), {"a": 0.5, "b": 0.6}),
        (Bits("ab"), {"a": 0.5, "b": 1}),
        (Attributes("ab"), "a"),
    ):
        with pytest.raises(AvemoError, match="clip7: expected"):
            task.target(label, "clip7")


def test_bits_are_ranked_as_scikit_learn_does_and_where_both_values_are():
    from sklearn.metrics import average_precision_score, roc_auc_score

    generator = np.random.default_rng(1)
    targets, p = (generator.random((40, 3)) > 0.6).astype(float), generator.random((40, 3))
    targets[:, 2] = 0
    task = Bits(["x", "y", "never"])
    found = task.score(pd.DataFrame(task.table(targets, p)))
    auc = [roc_auc_score(targets[:, i], p[:, i]) for i in (0, 1)]
    ap = [average_precision_score(targets[:, i], p[:, i]) for i in (0, 1)]
    assert (found["auc"], found["ap"]) == pytest.approx((np.mean(auc), np.mean(ap)))
    assert np.isnan(found["auc_never"])
    blind = task.blind_scores(targets, targets, seed=0)
    shares = targets[:, :2].mean(0)
    assert (blind["chance"]["auc_x"], blind["majority"]["auc"]) == (0.5, 0.5)
    assert blind["chance"]["ap"] == pytest.approx(shares.mean())


def test_uar_is_scikit_learns_balanced_accuracy():
    from sklearn.metrics import balanced_accuracy_score

    task = Classes(["a", "b", "c"])
    targets, p = np.array([0, 0, 1, 1, 1]), np.eye(3)[[0, 1, 1, 1, 2]]
    found = task.score(pd.DataFrame(task.table(targets, p)))
    assert found["uar"] == pytest.approx(balanced_accuracy_score(targets, p.argmax(1)))
    assert found["uar"] > found["macro_recall"]
    assert "uar" in task.headline
