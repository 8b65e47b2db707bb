"""Features side by side, against plain NumPy on every frame; each normalised as it would be alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo.base.contracts import AvemoError, FeatureSequence
from avemo.dataset.joined import JoinedFeatures, join, join_rows
from avemo.dataset.loading import ClipData
from avemo.dataset.normalise import Normalise
from feature_source import Source

RATES_HZ = st.sampled_from([1.0, 12.5, 25.0, 29.97, 50.0, 100.0])


class Timed(Source):
    """Features at a rate of their own."""

    def __init__(self, lengths: dict[str, int], dim: int, rate_hz: float, seed: int = 0):
        super().__init__(lengths, dim, seed)
        self.rate_hz = rate_hz

    def read(self, clip_id: str) -> FeatureSequence:
        x = self.x[clip_id]
        return FeatureSequence(x, (0.5 + np.arange(len(x))) / self.rate_hz)


def frames(seed: int, rate_hz: float, length: int, jitter: float = 0.0) -> FeatureSequence:
    """Random frames; ``jitter`` of a step moves each, which may change their order."""
    generator = np.random.default_rng(seed)
    times_s = (0.5 + np.arange(length) + jitter * generator.uniform(-1, 1, length)) / rate_hz
    return FeatureSequence(generator.normal(size=(length, 3)).astype(np.float32), times_s)


def oracle(times_s: np.ndarray, other: FeatureSequence, how: str) -> np.ndarray:
    """Frame by frame: every distance looked at, in rational steps of the definition."""
    step_s = np.median(np.diff(np.sort(times_s))) if len(times_s) > 1 else np.inf
    rows = []
    for now in times_s:
        apart = np.abs(other.times_s - now)
        nearest = min(range(len(apart)), key=lambda i: (round(apart[i], 12), other.times_s[i]))
        before, after = times_s[times_s < now], times_s[times_s > now]
        low = max((before.max() + now) / 2, now - step_s) if len(before) else now - step_s / 2
        high = min((after.min() + now) / 2, now + step_s) if len(after) else now + step_s / 2
        within = [x for x, t in zip(other.x, other.times_s, strict=True) if low <= t < high]
        mean = how == "mean" and len(within) > 1
        rows.append(np.mean(within, axis=0, dtype=np.float64) if mean else other.x[nearest])
    return np.array(rows, np.float32)


@given(
    st.integers(0, 10_000), RATES_HZ, RATES_HZ, st.integers(1, 40), st.integers(1, 90), st.floats(0.01, 0.9)
)
@pytest.mark.parametrize("how", ["mean", "nearest"])
def test_frames_are_joined_as_numpy_finds_them_one_by_one(how, seed, first_hz, other_hz, few, many, jitter):
    first, other = frames(seed, first_hz, few, jitter), frames(seed + 1, other_hz, many, jitter)
    found = join([first, other], ["mean", how])
    np.testing.assert_array_equal(found.x[:, :3], first.x)
    np.testing.assert_allclose(found.x[:, 3:], oracle(first.times_s, other, how), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found.times_s, first.times_s)


def test_a_faster_feature_is_averaged_and_a_slower_one_repeated():
    fast = FeatureSequence(np.arange(8, dtype=np.float32)[:, None], (0.5 + np.arange(8)) / 100)
    slow = FeatureSequence(np.array([[10.0], [20.0]], np.float32), np.array([0.02, 0.06]))
    assert join_rows(slow.times_s, fast, "mean").ravel().tolist() == [1.5, 5.5]
    assert join_rows(slow.times_s, fast, "nearest").ravel().tolist() == [1, 5]
    for how in ("mean", "nearest"):
        assert join_rows(fast.times_s, slow, how).ravel().tolist() == [10] * 4 + [20] * 4


@pytest.mark.parametrize("how", ["mean", "nearest"])
def test_a_row_a_clip_stands_beside_every_frame(how):
    row = FeatureSequence(np.array([[1.0, 2.0]], np.float32), np.array([0.4]))
    np.testing.assert_array_equal(join_rows(np.arange(5) / 25, row, how), [[1, 2]] * 5)


def test_beside_a_row_a_clip_stands_the_mean_of_all_frames():
    other = frames(0, 50, 20)
    found = join_rows(np.array([0.1]), other, "mean")
    np.testing.assert_allclose(found, other.x.mean(axis=0, keepdims=True), rtol=1e-5)


def test_parts_of_one_feature_stay_frame_by_frame_even_where_times_are_equal():
    times_s = np.array([0.0, 0.0, 0.04])
    part = FeatureSequence(np.arange(3, dtype=np.float32)[:, None], times_s)
    assert join_rows(times_s, part, "nearest").ravel().tolist() == [0, 1, 2]


LENGTHS = {"a": 30, "b": 50, "c": 20}


@pytest.fixture
def features() -> dict[str, Timed]:
    """Frames of all clips, faster ones without ``c``, and a row a clip."""
    return {
        "audio": Timed(LENGTHS, 2, 50.0),
        "audio-2": Timed({"a": 60, "b": 100}, 3, 100.0, seed=1),
        "audio-3": Timed(dict.fromkeys(LENGTHS, 1), 4, 1.0, seed=2),
    }


@pytest.fixture
def joined(features) -> JoinedFeatures:
    return JoinedFeatures(features, ["mean"] * 3)


def test_systems_see_the_sum_of_dimensions_at_the_times_of_the_first(joined):
    assert (joined.dim, joined.length("a")) == (9, 30)
    x = np.empty((30, 9), np.float32)
    joined.read_into("a", x)
    np.testing.assert_array_equal(x, joined.read("a").x)


def test_each_feature_is_normalised_as_it_would_be_alone(joined, features):
    targets = dict.fromkeys(LENGTHS, 0)
    together = ClipData(joined, None, targets).fit(["a", "b"])["audio"]
    apart = [ClipData(one, None, targets).fit(["a", "b"])["audio"] for one in features.values()]
    np.testing.assert_array_equal(together.mean, np.concatenate([one.mean for one in apart]))
    np.testing.assert_array_equal(together.std, np.concatenate([one.std for one in apart]))


def test_a_clip_that_lacks_one_feature_lacks_the_modality_and_is_told_of_which(joined):
    assert [joined.has(clip) for clip in "abc"] == [True, True, False]
    assert joined.length("c") == 0
    kept, left_out = ClipData(joined, None, dict.fromkeys(LENGTHS, 0)).usable("abc")
    assert kept == ["a", "b"]
    assert left_out == {"c": "no features of audio-2"}


def test_train_clips_that_lack_a_feature_are_counted_by_feature(joined):
    with pytest.raises(
        AvemoError, match=r"audio: .* found none of 1 \(1 of audio, 0 of audio-2, 1 of audio-3\)"
    ):
        ClipData(joined, None, dict.fromkeys(LENGTHS, 0)).fit(["c"])


def test_a_row_a_clip_is_not_normalised_by_the_clip(joined):
    data = ClipData(joined, None, dict.fromkeys(LENGTHS, 0))
    with pytest.raises(AvemoError, match="audio-3: expected several frames a clip, to be normalised by the"):
        data.fit(["a", "b"], Normalise(audio="clip"))


def test_pixels_are_not_joined(features):
    features["audio-2"].dtype = "uint8"
    with pytest.raises(AvemoError, match="audio-2: expected features to be joined with others, found pixels"):
        JoinedFeatures(features, ["mean"] * 3)
