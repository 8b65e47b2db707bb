"""Numbers as people read them."""

from __future__ import annotations

import math

from avemo.report.writers import ABSENT


def fixed(value: float, digits: int = 1, sign: str = "") -> str:
    """A true minus; what rounds to zero has none. ``sign`` is that of numbers from 0 on.

    >>> fixed(-0.25, 2), fixed(-0.01), fixed(float("-inf"))
    ('−0.25', '0.0', '−∞')
    """
    if math.isnan(value):
        return ABSENT
    rounded = round(value, digits) + 0.0
    text = f"{abs(rounded):.{digits}f}" if math.isfinite(rounded) else "∞"
    return ("−" if rounded < 0 else sign) + text


def signed(value: float, digits: int = 1) -> str:
    """`fixed` with a plus.

    >>> signed(0.25, 2), signed(-0.01)
    ('+0.25', '+0.0')
    """
    return fixed(value, digits, "+")


def plus_minus(mean: float, sd: float, digits: int = 1, sign: bool = False) -> str:
    """``mean ± sd``; one split has no standard deviation.

    >>> plus_minus(71.24, 1.26)
    '71.2 ± 1.3'
    """
    text = fixed(mean, digits, "+" if sign else "")
    return text if math.isnan(sd) else f"{text} ± {sd:.{digits}f}"


def p_value(p: float) -> str:
    """Three digits.

    >>> p_value(0.0004)
    '<0.001'
    """
    if math.isnan(p):
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"
