"""Numbers as people read them."""

from __future__ import annotations

import math

from pipeline.report.writers import ABSENT


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a true minus; what rounds to zero is +0.

    >>> signed(-0.25, 2), signed(-0.01)
    ('−0.25', '+0.0')
    """
    rounded = round(value, digits) + 0.0
    return ABSENT if math.isnan(value) else f"{rounded:+.{digits}f}".replace("-", "−")


def plus_minus(mean: float, sd: float, digits: int = 1, sign: bool = False) -> str:
    """``mean ± sd``; one split has no standard deviation.

    >>> plus_minus(71.24, 1.26)
    '71.2 ± 1.3'
    """
    text = signed(mean, digits) if sign else f"{mean:.{digits}f}".replace("-", "−")
    return text if math.isnan(sd) else f"{text} ± {sd:.{digits}f}"


def p_value(p: float) -> str:
    """Three digits.

    >>> p_value(0.0004)
    '<0.001'
    """
    if math.isnan(p):
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"
