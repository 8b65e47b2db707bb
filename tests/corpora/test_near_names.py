"""Names that may be meant to be one."""

import pytest

from avemo.corpora.near_names import near_names


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("ben", "Ben", "alike"),
        ("André", "andre", "alike"),
        ("straße", "strasse", "alike"),
        ("anna_b", "anna b", "alike"),
        ("happy", "hapy", "alike but for one letter"),
        ("Happy", "hapyy", "alike but for one letter"),
        ("anna", "anne", "alike but for one letter"),
    ],
)
def test_near_equal_names_are_told_with_their_clips(one, other, how):
    first, second = sorted((one, other))
    (said,) = near_names({one: 3, other: 1, "somebody else": 2})
    counts = {one: 3, other: 1}
    assert said == f"{first!r} ({counts[first]}) and {second!r} ({counts[second]}) are {how}" or how in said


@pytest.mark.parametrize(
    "names", [("sp1", "sp2"), ("1001", "1002"), ("F", "M"), ("sad", "mad"), ("anna", "annette")]
)
def test_names_that_differ_by_design_are_left_alone(names):
    assert near_names(dict.fromkeys(names, 1)) == []
