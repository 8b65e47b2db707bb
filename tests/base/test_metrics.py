"""Scores against scikit-learn, SciPy-free closed forms and the papers' printed numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import distance
from sklearn import metrics as oracle

from avemo.base import metrics
from avemo.base.contracts import AvemoError

EXACT = 1e-12

N_CLASSES = 6

# Few clips over six classes: classes without true or predicted clips are common.
paired_classes = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[hnp.arrays(np.int64, n, elements=st.integers(0, N_CLASSES - 1))] * 2)
)


@given(paired_classes)
def test_class_scores_are_scikit_learns(pair):
    targets, predictions = pair
    expected = {}
    for average in ("macro", "micro"):
        p, r, f, _ = oracle.precision_recall_fscore_support(
            targets, predictions, labels=range(N_CLASSES), average=average, zero_division=0
        )
        expected |= {f"{average}_precision": p, f"{average}_recall": r, f"{average}_f1": f}
    assert metrics.classification_scores(targets, predictions, N_CLASSES) == pytest.approx(
        expected, abs=EXACT
    )


@given(paired_classes)
def test_per_class_confusion_accuracy_and_uar_are_scikit_learns(pair):
    targets, predictions = pair
    p, r, f, support = oracle.precision_recall_fscore_support(
        targets, predictions, labels=range(N_CLASSES), average=None, zero_division=0
    )
    ours = metrics.per_class(targets, predictions, N_CLASSES)
    mine = ours.precision, ours.recall, ours.f1, ours.support
    for score, expected in zip(mine, (p, r, f, support), strict=True):
        np.testing.assert_allclose(score, expected, atol=EXACT, rtol=0)
    counts = oracle.confusion_matrix(targets, predictions, labels=range(N_CLASSES))
    np.testing.assert_array_equal(metrics.confusion_matrix(targets, predictions, N_CLASSES), counts)
    right = oracle.accuracy_score(targets, predictions)
    assert metrics.METRICS["accuracy"](targets, predictions, N_CLASSES) == pytest.approx(right, abs=EXACT)
    recalls = oracle.recall_score(
        targets, predictions, labels=np.unique(targets), average="macro", zero_division=0
    )
    assert metrics.METRICS["uar"](targets, predictions, N_CLASSES) == pytest.approx(recalls, abs=EXACT)


def test_all_neutral_predictor_on_plurality_labels_scores_as_printed():
    clips = [2071, 1222, 1067, 1180, 1230, 672]  # neutral first; totals of the AuxFormer paper
    targets = np.repeat(np.arange(6), clips)
    scores = metrics.classification_scores(targets, np.zeros(7442, dtype=int), 6)
    assert round(scores["micro_f1"], 3) == 0.278
    assert round(scores["macro_f1"], 3) == 0.073


@given(
    hnp.arrays(np.float64, (2, 30), elements=st.floats(-100, 100)).filter(
        lambda a: min(np.ptp(a[0]), np.ptp(a[1])) > 1e-3
    )
)
def test_ccc_is_correlation_times_bias_correction(values):
    """Lin 1989: CCC = Pearson's r times C_b; r by NumPy, moments by NumPy's population variance."""
    x, y = values
    scale, shift = np.std(x) / np.std(y), (x.mean() - y.mean()) / np.sqrt(np.std(x) * np.std(y))
    expected = np.corrcoef(x, y)[0, 1] * 2 / (scale + 1 / scale + shift**2)
    assert metrics.ccc(x, y) == pytest.approx(expected, abs=EXACT)


def test_ccc_facts():
    x = np.random.default_rng(0).normal(2.0, 3.0, 500)
    centred = x - x.mean()
    variance = np.var(x)
    assert metrics.ccc(x, x) == pytest.approx(1, abs=EXACT)
    assert metrics.ccc(centred, -centred) == pytest.approx(-1, abs=EXACT)
    assert metrics.ccc(x, np.full(500, 0.1)) == 0
    assert metrics.ccc(np.full(500, 0.1), np.full(500, 0.1)) == 0
    assert metrics.ccc(x, x + 1.5) == pytest.approx(2 * variance / (2 * variance + 1.5**2), abs=EXACT)
    y = x + np.random.default_rng(1).normal(size=500)
    assert metrics.ccc(1 - x, 1 - y) == pytest.approx(metrics.ccc(x, y), abs=EXACT)


@pytest.mark.parametrize(("positive", "weighted", "macro"), [(441, 86.0, 47.5), (385, 87.8, 47.8)])
def test_never_predicting_an_emotion_earns_the_printed_mosei_scores(positive, weighted, macro):
    targets = np.arange(4662) < positive
    scores = metrics.binary_f1(targets, np.zeros(4662, dtype=bool))
    assert (round(100 * scores.weighted, 1), round(100 * scores.macro, 1)) == (weighted, macro)


@given(hnp.arrays(np.int64, (2, 12), elements=st.integers(0, 1)))
def test_binary_f1_is_scikit_learns(bits):
    targets, predictions = bits
    ours = metrics.binary_f1(targets, predictions)
    for average, value in (("weighted", ours.weighted), ("macro", ours.macro)):
        theirs = oracle.f1_score(targets, predictions, labels=[0, 1], average=average, zero_division=0)
        assert value == pytest.approx(theirs, abs=EXACT)


def test_printed_surprise_cell_is_that_of_never_predicting_it(shared_data):
    table = pd.read_csv(shared_data / "published.csv")
    table = table[(table.corpus == "CMU-MOSEI") & (table.target.isin(["surprise", "all"]))]
    test = table[table.training == "test"].set_index("metric").value.astype(int)
    targets = np.arange(test["clips"]) < test["positive clips"]
    ours = metrics.binary_f1(targets, np.zeros_like(targets))
    proposed = table[(table.system == "Proposed") & (table.modality == "AV")].set_index("metric").value
    assert (round(100 * ours.weighted, 1), round(100 * ours.macro, 1)) == (proposed["wF1"], proposed["mF1"])


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_calibration_error_by_definition(seed, clips):
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.ones(4), clips)
    targets = generator.integers(0, 4, clips)
    expected = 0.0
    for b in range(15):
        inside = [i for i in range(clips) if b / 15 < max(p[i]) <= (b + 1) / 15]
        if inside:
            right = np.mean([targets[i] == list(p[i]).index(max(p[i])) for i in inside])
            expected += len(inside) / clips * abs(right - np.mean([max(p[i]) for i in inside]))
    assert metrics.expected_calibration_error(targets, p) == pytest.approx(expected, abs=EXACT)


def test_a_bin_owns_its_upper_edge():
    """0.6 = 9/15 shares the bin of 0.57: |(1 − 0.57) + (0 − 0.6)| / 2."""
    found = metrics.expected_calibration_error([0, 1], [[0.57, 0.43], [0.6, 0.4]])
    assert found == pytest.approx(0.085, abs=EXACT)


def test_certain_predictions_have_the_error_of_their_mistakes():
    assert metrics.expected_calibration_error([0, 1, 1, 1], np.eye(2)[[0, 1, 1, 0]]) == 0.25


@pytest.mark.parametrize(
    ("targets", "predictions", "found"),
    [
        ([], [], r"shape \(0,\)"),
        ([0, 1], [0], r"found \(1,\)"),
        ([0, 6], [0, 1], "0 to 6"),
        ([0, -1], [0, 1], "-1 to 0"),
        ([0, 0.5], [0, 1], "integer classes"),
        ([[0], [1]], [0, 1], r"shape \(2, 1\)"),
    ],
)
def test_impossible_classes_are_refused(targets, predictions, found):
    with pytest.raises(AvemoError, match=found):
        metrics.classification_scores(targets, predictions, 6)


def test_impossible_values_are_refused():
    with pytest.raises(AvemoError, match="1 not finite"):
        metrics.ccc([0.0, 1.0], [0.0, np.nan])
    with pytest.raises(AvemoError, match="softmax"):
        metrics.expected_calibration_error([0], [[2.0, -1.0]])
    with pytest.raises(AvemoError, match="pair them by clip id"):
        metrics.ccc([0.0, 1.0], [0.0, 1.0, 2.0])


def test_cosine_distance_equals_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 7, 5))
    expected = [distance.cosine(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.cosine_distance(a, b), expected, atol=1e-12)
    assert np.isnan(metrics.cosine_distance([[0.0, 0.0]], [[1.0, 0.0]])).all()
    with pytest.raises(AvemoError):
        metrics.cosine_distance(a, b[:, :4])
