"""Matched-pair t-tests over splits, and what a reviewer asks for beside them.

Both systems are scored on the same splits, so that the i-th scores form a pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from avemo.base.contracts import AvemoError

Pairing = Literal["paired", "welch"]
"""``paired``: the splits pair the scores; ``welch``: two independent samples of unequal variances."""

Tail = Literal["greater", "two-sided"]
"""``greater``: the alternative is that ours scores higher."""

CONFIDENCE = 0.95

ROUNDING = 1e-12
"""Differences that vary by less than this share of the scores are equal, their variation rounding."""


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test of ``d = ours − other`` over n splits.

    ``sd`` is d's sample standard deviation, ``effect_size`` is d_z = mean/sd,
    ``ci_low, ci_high`` bound the 95 % interval of the mean difference,
    ``t_corrected, p_corrected`` are Nadeau and Bengio's.
    """

    mean_difference: float
    sd: float
    t: float
    df: int
    p: float
    effect_size: float
    ci_low: float
    ci_high: float
    p_corrected: float
    t_corrected: float


def paired_test(
    ours: ArrayLike, other: ArrayLike, tail: Tail = "greater", test_train_ratio: float = 0.15 / 0.70
) -> PairedTest:
    """Test whether ``ours (splits,)`` beats ``other (splits,)``.

    ``t = mean(d) / (sd(d) √(1/n))``. The splits overlap, so d's are not
    independent; the corrected resampled t (Nadeau and Bengio 2003, sec. 5)
    replaces 1/n by ``1/n + test_train_ratio``, the quotient of test and train size.

    Degenerate cases: one split gives NaN for everything but the mean. Equal
    differences on all splits (sd 0) give the limit: t = ±∞ with p = 0 or 1 by
    the sign; where all are zero, t = 0, so p = 1, or 0.5 for one tail.
    Raises `AvemoError` for unpaired or non-finite scores, or an unknown tail.

    >>> result = paired_test([3.0, 4.0, 5.0], [2.0, 2.0, 2.0], "two-sided")
    >>> round(result.t, 4), result.df, round(result.p, 4)
    (3.4641, 2, 0.0742)
    """
    if tail not in ("greater", "two-sided"):
        raise AvemoError(f"tail: expected 'greater' or 'two-sided', found {tail!r}; correct the config")
    if not (math.isfinite(test_train_ratio) and test_train_ratio >= 0):
        raise AvemoError(
            f"test_train_ratio: expected 0 or more, found {test_train_ratio}; give test/train size"
        )
    a, b = _paired(ours, other)
    n, (mean, sd) = len(a), _mean_and_sd(a, b)
    t, corrected = _statistic(mean, sd, 1 / n), _statistic(mean, sd, 1 / n + test_train_ratio)
    margin = _t_quantile(0.5 + CONFIDENCE / 2, n - 1) * sd * math.sqrt(1 / n)
    return PairedTest(
        mean_difference=mean,
        sd=sd,
        t=t,
        df=n - 1,
        p=_p_value(t, n - 1, tail),
        effect_size=_statistic(mean, sd, 1.0),
        ci_low=mean - margin,
        ci_high=mean + margin,
        p_corrected=_p_value(corrected, n - 1, tail),
        t_corrected=corrected,
    )


def equivalence_test(
    ours: ArrayLike, other: ArrayLike, margin: float, test_train_ratio: float = 0.15 / 0.70
) -> dict[str, float]:
    """Two one-sided paired t-tests (Schuirmann 1987) that ``ours`` and ``other (splits,)`` differ by less than ``margin``.

    ``p_equivalent`` is the larger p of "the mean difference is above -margin" and "it is below margin";
    ``p_equivalent_corrected`` that of Nadeau and Bengio's statistic. Raises `AvemoError` as `paired_test` does.

    >>> found = equivalence_test([1.0, 1.1, 0.9, 1.0], [1.0, 1.0, 1.0, 1.1], margin=1.0)
    >>> found["p_equivalent"] < 0.001
    True
    """
    a, b = _paired(ours, other)
    n, (mean, sd) = len(a), _mean_and_sd(a, b)

    def larger(share: float) -> float:
        inwards = (_statistic(side * mean + margin, sd, share) for side in (1, -1))
        return max(_p_value(t, n - 1, "greater") for t in inwards)

    return {"p_equivalent": larger(1 / n), "p_equivalent_corrected": larger(1 / n + test_train_ratio)}


def welch_test(ours: ArrayLike, other: ArrayLike, tail: Tail = "greater") -> dict[str, float]:
    """``t, df, p`` of Welch's t-test of two samples of splits, which takes no pairs into account (Welch 1947).

    Raises `AvemoError` as `paired_test` does. Samples without variation give NaN.

    >>> found = welch_test([1, 2, 3], [2, 4, 9])  # variances 1 and 13: t = -3 / sqrt(14/3)
    >>> round(found["t"], 4), round(found["df"], 4)
    (-1.3887, 2.3059)
    """
    from scipy.stats import ttest_ind

    a, b = _paired(ours, other)
    found = ttest_ind(a, b, equal_var=False, alternative=tail)
    return {"t": float(found.statistic), "df": float(found.df), "p": float(found.pvalue)}


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's step-down adjustment of ``p_values (tests,)``, in the order given.

    With ``p_(1) ≤ … ≤ p_(m)``: ``adjusted_(i) = max_{j≤i} min(1, (m−j+1) p_(j))``
    (Holm 1979). NaN, a test that could not be made, stays NaN and is not
    counted in m.

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(6).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise AvemoError(f"p_values: expected (tests,) within 0 to 1, found {p}; give p-values of one family")
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * p[order]))
    return adjusted


def _paired(ours: ArrayLike, other: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise AvemoError(
            f"paired test: expected two equally long lists of scores, found shapes {a.shape} and {b.shape}; "
            "score both systems on the same splits"
        )
    bad = np.flatnonzero(~(np.isfinite(a) & np.isfinite(b))).tolist()
    if bad:
        raise AvemoError(
            f"paired test: expected finite scores, found others at positions {bad}; run those splits again"
        )
    return a, b


def _mean_and_sd(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation of ``a − b``; mere rounding of equal differences is no variation."""
    d = a - b
    rounding = ROUNDING * max(np.abs(a).max(), np.abs(b).max())
    if len(d) == 1:
        return float(d[0]), math.nan
    if np.ptp(d) > rounding:
        return float(d.mean()), float(d.std(ddof=1))
    return (float(d[0]) if abs(d[0]) > rounding else 0.0), 0.0


def _statistic(mean: float, sd: float, share: float) -> float:
    if mean == 0 and sd == 0:
        return 0.0
    return math.copysign(math.inf, mean) if sd == 0 else mean / (sd * math.sqrt(share))


def _p_value(t: float, df: int, tail: Tail) -> float:
    if math.isinf(t):
        return 0.0 if t > 0 or tail == "two-sided" else 1.0
    return float(stdtr(df, -t) if tail == "greater" else 2 * stdtr(df, -abs(t)))


def _t_quantile(q: float, df: int) -> float:
    return float(stdtrit(df, q)) if df > 0 else math.nan
