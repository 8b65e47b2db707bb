"""Paired tests against SciPy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from avemo.base.contracts import AvemoError
from avemo.report.ttest import equivalence_test, holm, paired_test

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(2, 30), st.sampled_from(["greater", "two-sided"]))
def test_is_scipys_related_t_test(seed, n, tail):
    a, b = np.random.default_rng(seed).normal(0.7, 0.05, (2, n))
    ours = paired_test(a, b, tail)
    expected = stats.ttest_rel(a, b, alternative=tail)
    assert (ours.t, ours.p, ours.df) == pytest.approx((expected.statistic, expected.pvalue, n - 1), rel=1e-9)
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (ours.ci_low, ours.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-12)


@given(seeds, st.floats(0, 2))
def test_corrected_t_shrinks_by_the_closed_form(seed, ratio):
    a, b = np.random.default_rng(seed).normal(0.7, 0.05, (2, 20))
    ours = paired_test(a, b, "greater", ratio)
    assert ours.t_corrected == pytest.approx(ours.t / math.sqrt(1 + 20 * ratio), rel=1e-9)
    assert ours.p_corrected == pytest.approx(stats.t.sf(ours.t_corrected, 19), rel=1e-9)
    assert ours.effect_size == pytest.approx(ours.t / math.sqrt(20), rel=1e-9)


def test_critical_values_of_the_papers():
    """20 splits, one tail: 1.729; 5 splits, two tails: 2.776 (both at 5 %)."""
    for n, tail, critical in ((20, "greater", 1.729), (5, "two-sided", 2.776)):
        noise = np.random.default_rng(n).normal(size=n)
        noise = (noise - noise.mean()) / noise.std(ddof=1)
        shifts = ((critical + step) / math.sqrt(n) for step in (-0.001, 0.001))
        below, above = (paired_test(noise + shift, np.zeros(n), tail) for shift in shifts)
        assert above.p < 0.05 < below.p


def test_one_tail_is_half_of_two_when_ours_is_better():
    a, b = np.array([0.71, 0.74, 0.69, 0.73]), np.array([0.70, 0.70, 0.70, 0.70])
    assert paired_test(a, b, "greater").p == pytest.approx(paired_test(a, b, "two-sided").p / 2, rel=1e-12)
    assert paired_test(b, a, "greater").p == pytest.approx(1 - paired_test(a, b, "greater").p, rel=1e-12)


def test_same_scores_are_no_evidence():
    scores = np.random.default_rng(0).random(20)
    result = paired_test(scores, scores, "two-sided")
    assert (result.t, result.p, result.p_corrected, result.effect_size) == (0, 1, 1, 0)
    assert (result.ci_low, result.ci_high) == (0, 0)
    assert paired_test(scores, scores, "greater").p == 0.5


@pytest.mark.parametrize(("sign", "one_tailed"), [(1, 0.0), (-1, 1.0)])
def test_equal_differences_are_the_limit_even_when_rounded(sign, one_tailed):
    scores = np.random.default_rng(0).random(20)
    shifted = scores + sign * 0.1
    assert np.ptp(shifted - scores) > 0  # rounding only
    result = paired_test(shifted, scores, "greater")
    assert (result.sd, result.t, result.p) == (0, sign * math.inf, one_tailed)
    assert result.p_corrected == one_tailed
    assert result.ci_low == result.ci_high == pytest.approx(sign * 0.1)
    assert paired_test(shifted, scores, "two-sided").p == 0


def test_rounding_of_equal_scores_is_no_difference():
    result = paired_test([0.1 + 0.2, 0.3, 0.3], [0.3, 0.1 + 0.2, 0.3], "two-sided")
    assert (result.t, result.p) == (0, 1)


@pytest.mark.parametrize("margin", [0.005, 0.02, 0.5])
def test_equivalence_is_two_one_sided_tests(margin):
    rng = np.random.default_rng(5)
    ours, other = rng.normal(0.7, 0.02, 20), rng.normal(0.69, 0.02, 20)
    d = ours - other
    expected = max(
        stats.ttest_1samp(d, -margin, alternative="greater").pvalue,
        stats.ttest_1samp(d, margin, alternative="less").pvalue,
    )
    found = equivalence_test(ours, other, margin, test_train_ratio=0.0)
    assert found["p_equivalent"] == pytest.approx(expected)
    assert found["p_equivalent_corrected"] == pytest.approx(expected)
    wider = equivalence_test(ours, other, margin)["p_equivalent_corrected"]
    assert (wider > expected) == (expected < 0.5)


def test_equal_differences_are_equivalent_within_the_margin_alone():
    assert equivalence_test([0.5, 0.6], [0.4, 0.5], 0.2)["p_equivalent"] == 0
    assert equivalence_test([0.5, 0.6], [0.4, 0.5], 0.05)["p_equivalent"] == 1


def test_one_split_has_a_mean_and_nothing_else():
    result = paired_test([0.8], [0.5])
    assert result.mean_difference == pytest.approx(0.3)
    rest = (result.sd, result.t, result.p, result.effect_size, result.ci_low, result.ci_high)
    assert all(math.isnan(x) for x in (*rest, result.p_corrected, result.t_corrected))


@pytest.mark.parametrize(
    ("ours", "other", "found"),
    [
        ([0.1, 0.2], [0.1], "same splits"),
        ([], [], "same splits"),
        ([0.1, math.nan], [0.1, 0.2], r"positions \[1\]"),
    ],
)
def test_unpaired_scores_are_refused(ours, other, found):
    with pytest.raises(AvemoError, match=found):
        paired_test(ours, other)


def test_unknown_tail_and_negative_ratio_are_refused():
    with pytest.raises(AvemoError, match="'less'"):
        paired_test([1, 2], [1, 3], "less")
    with pytest.raises(AvemoError, match="test_train_ratio"):
        paired_test([1, 2], [1, 3], "greater", -0.1)


def test_holm_by_hand():
    """Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; running maximum .02 .03 .06 .06."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], rtol=1e-12)
    np.testing.assert_array_equal(holm([0.6, 0.5]), [1, 1])
    np.testing.assert_allclose(holm([0.02, math.nan, 0.03]), [0.04, math.nan, 0.04], rtol=1e-12)
    assert len(holm([])) == 0
    with pytest.raises(AvemoError, match="within 0 to 1"):
        holm([1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.2))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    for step, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - step) > level:
            break
        rejected.add(i)
    assert set(np.flatnonzero(holm(p_values) <= level)) == rejected
