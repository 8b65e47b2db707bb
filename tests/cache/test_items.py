"""What may be stored, and moments against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from avemo.base.contracts import AvemoError, Status
from avemo.cache.items import Item, checksum, moments_of, storable
from cache_factory import item_of


def ok(x: object, times_s: object) -> Item:
    return Item("clip", "k", Status.ok, "", np.array(x, np.float64), np.array(times_s, np.float64))


REFUSED = [
    (
        ok([[1.0, np.nan]], [0.0]),
        "float32",
        "clip: expected finite numbers, found 1 NaN .* in x, the first in frame 0",
    ),
    (ok([[1.0], [np.inf]], [0.0, 1.0]), "float32", "in x, the first in frame 1"),
    (ok([[1.0]], [np.nan]), "float32", "in times_s"),
    (ok([[7e4]], [0.0]), "float16", "clip: expected values that float16 can hold, found 70000"),
    (ok([[1e39]], [0.0]), "float32", "that float32 can hold"),
    (ok(np.zeros((0, 4)), []), "float32", "at least one frame"),
    (ok(np.zeros((3, 0)), [0, 1, 2]), "float32", "at least one frame"),
    (ok([1.0], [0.0]), "float32", r"found \(1,\) and \(1,\)"),
    (ok([[1.0]], [0.0, 1.0]), "float32", r"found \(1, 1\) and \(2,\)"),
    (Item("clip", "k", Status.ok), "float32", "with at least one frame"),
    (
        Item("clip", "k", Status.no_face, "", np.zeros((1, 1)), np.zeros(1)),
        "float32",
        "no frames with status",
    ),
    (Item("a/b", "k", Status.no_face), "float32", "found a path"),
]


@pytest.mark.parametrize(("item", "dtype", "message"), REFUSED)
def test_unfit_items_are_refused(item: Item, dtype: str, message: str) -> None:
    with pytest.raises(AvemoError, match=message):
        storable(item, dtype)


@given(
    arrays(
        np.float16,
        array_shapes(min_dims=2, max_dims=2),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_moments_are_those_of_numpy(x: np.ndarray) -> None:
    moments = moments_of(x)
    wide = x.astype(np.float64)
    assert moments.count == len(x)
    np.testing.assert_allclose(moments.sum / len(x), wide.mean(axis=0), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(moments.squares, np.einsum("td,td->d", wide, wide), rtol=1e-12)


@given(st.text(st.characters(), max_size=40) | st.just("/media/\udcff.mp4") | st.just("é" * 2000))
def test_a_detail_is_stored_the_same_twice(detail: str) -> None:
    once = storable(Item("clip", "k", Status.unreadable, detail), "float32")
    assert storable(once, "float32") == once
    assert (
        once.detail.encode().decode() == once.detail
    )  # lone surrogates, as in odd file names, are spelled out
    assert len(once.detail) <= 1000


@pytest.mark.parametrize("field", ["clip_id", "key", "detail", "x", "times_s", "sum"])
def test_checksum_covers_every_field(field: str) -> None:
    item = storable(item_of("clip00"), "float32")
    moments = moments_of(item.x)
    before = checksum(item, moments)
    if field == "sum":
        moments.sum[0] = np.nextafter(moments.sum[0], np.inf)
    elif field in ("x", "times_s"):
        values = getattr(item, field)
        values[-1] = np.nextafter(values[-1], np.inf)
    else:
        object.__setattr__(item, field, getattr(item, field) + "!")
    assert checksum(item, moments) != before
