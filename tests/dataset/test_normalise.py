"""Train statistics against NumPy on the frames themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo.base.contracts import AvemoError
from avemo.dataset.normalise import EPSILON, Normaliser


def from_frames(x: np.ndarray) -> Normaliser:
    x = x.astype(np.float64)
    return Normaliser.from_moments(len(x), x.sum(axis=0), (x**2).sum(axis=0))


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_mean_and_population_std_are_numpys(seed, centre, spread):
    x = np.random.default_rng(seed).normal(centre, spread, (40, 5)).astype(np.float32)
    ours = from_frames(x)
    np.testing.assert_allclose(ours.mean, x.astype(np.float64).mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.std, x.astype(np.float64).std(axis=0) + EPSILON, rtol=1e-6)


def test_normalised_frames_have_mean_0_and_std_1():
    x = np.random.default_rng(0).normal(300, 5, (2000, 4)).astype(np.float32)
    z = from_frames(x).apply(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0, dtype=np.float64), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0, dtype=np.float64), 1, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4, -3.3e-5])
def test_constant_dimension_becomes_zero(value):
    x = np.full((777, 2), value, dtype=np.float32)
    ours = from_frames(x)
    assert (ours.std >= EPSILON * 0.999).all()
    np.testing.assert_array_equal(ours.apply(x), 0)


def test_variance_rounded_below_zero_is_zero():
    ours = Normaliser.from_moments(3, [0.3], [0.03 - 1e-18 * 20])
    assert ours.std == pytest.approx(EPSILON, rel=1e-3)


def test_float16_is_normalised_in_float32():
    x = np.random.default_rng(0).normal(1000, 1, (50, 3)).astype(np.float16)
    ours = from_frames(x)
    np.testing.assert_allclose(ours.apply(x), ours.apply(x.astype(np.float32)), rtol=0, atol=0)
    assert ours.apply(x).dtype == np.float32


def test_json_keeps_every_bit():
    ours = from_frames(np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32))
    again = Normaliser.from_dict(json.loads(json.dumps(ours.to_dict())))
    assert again.mean.tobytes() == ours.mean.tobytes()
    assert again.std.tobytes() == ours.std.tobytes()
    assert again.std.dtype == np.float32


def test_useless_moments_are_refused():
    with pytest.raises(AvemoError, match="found none"):
        Normaliser.from_moments(0, [0.0], [0.0])
    with pytest.raises(AvemoError, match=r"dimensions \[1\]"):
        Normaliser.from_moments(2, [0.0, np.nan], [0.0, 0.0])
    with pytest.raises(AvemoError, match=r"\(frames, 2\), found \(4, 3\)"):
        from_frames(np.ones((3, 2))).apply(np.ones((4, 3)))
