"""Log-mel energies against NumPy and SciPy alone."""

import numpy as np
import pytest
from scipy.fft import rfft
from scipy.ndimage import correlate1d

from avemo.base import component
from avemo.base.contracts import AvemoError
from avemo.features.logmel import LogMel

RATE_HZ = 16_000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, samples).astype(np.float32)


def mel_filters() -> np.ndarray:
    """Triangles (80, 257) over the bins of a 512-point spectrum, as HTK's book defines them."""

    def mel(f_hz):
        return 1127 * np.log1p(np.asarray(f_hz) / 700)

    corners = np.linspace(mel(20), mel(8000), 82)
    bins = mel(np.arange(257) * RATE_HZ / 512)
    rise = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    fall = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    return np.maximum(0, np.minimum(rise, fall))


def by_numpy(signal: np.ndarray) -> np.ndarray:
    """(frames, 240) in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(signal.astype(float), 400)[::160]
    windows = windows - windows.mean(axis=1, keepdims=True)
    before = np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(rfft((windows - 0.97 * before) * povey, 512)) ** 2
    static = np.log(np.maximum(power @ mel_filters().T, 2.0**-23))
    return np.hstack([static, slopes(static), slopes(slopes(static))])


def slopes(x: np.ndarray) -> np.ndarray:
    """Regression slopes over five frames of ``x (frames, channels)``."""
    return correlate1d(x, np.arange(-2, 3) / 10, axis=0, mode="nearest")


@pytest.fixture(scope="module")
def extractor() -> LogMel:
    return LogMel(LogMel.Config())


def test_every_column_is_that_of_numpy(extractor):
    swept = np.sin(2 * np.pi * np.cumsum(np.linspace(50, 7500, 40_000)) / RATE_HZ).astype(np.float32)
    signal = np.concatenate([noise(20_000), 0.5 * swept, 0.01 * noise(8_000, seed=1)])
    found, expected = extractor.extract(signal).x, by_numpy(signal)
    assert found.shape == expected.shape == (len(signal) // 160 - 2, 240)
    # A float32 spectrum has its digits from the loudest channel down; slopes have them of the energies found.
    energy, wanted = np.exp(found[:, :80].astype(float)), np.exp(expected[:, :80])
    assert (np.abs(energy - wanted) / wanted.max(axis=1, keepdims=True)).max() < 1e-4
    np.testing.assert_allclose(found[:, 80:160], slopes(found[:, :80]), atol=1e-5)
    np.testing.assert_allclose(found[:, 160:], slopes(found[:, 80:160]), atol=1e-5)


def test_times_are_the_windows_centres(extractor):
    click = np.zeros(RATE_HZ, np.float32)
    click[8_000] = 1.0
    features = extractor.extract(click)
    loudest = features.x[:, :80].sum(axis=1).argmax()
    assert features.times_s[loudest] == pytest.approx(0.5, abs=0.005)
    np.testing.assert_allclose(np.diff(features.times_s), 0.010)


def test_a_tone_is_in_its_channel(extractor):
    x = extractor.extract(
        (0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    ).x
    centre = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)[1:-1]
    assert abs(x[50, :80].argmax() - np.abs(centre - 1127 * np.log1p(1000 / 700)).argmin()) <= 1


def test_silence_is_the_floor_and_does_not_move(extractor):
    x = extractor.extract(np.zeros(RATE_HZ, np.float32)).x
    np.testing.assert_allclose(x[:, :80], np.log(2.0**-23), rtol=1e-6)
    np.testing.assert_allclose(x[:, 80:], 0, atol=1e-6)


def test_blocks_change_nothing(extractor):
    signal = noise(50_000)
    blocks = LogMel(LogMel.Config(block_frames=7))
    np.testing.assert_allclose(blocks.extract(signal).x, extractor.extract(signal).x, atol=1e-5)
    assert blocks.key_part() == extractor.key_part()


def test_storage_as_float16(extractor):
    narrow = LogMel(LogMel.Config(dtype="float16"))
    half = narrow.extract(noise(4_000)).x
    assert half.dtype == np.dtype(narrow.dtype) == np.float16
    np.testing.assert_array_equal(half, extractor.extract(noise(4_000)).x.astype(np.float16))


def test_the_shortest_signal_gives_one_frame(extractor):
    assert extractor.extract(noise(400)).x.shape == (1, 240)
    with pytest.raises(AvemoError, match=r"at least 400 samples .*found shape \(399,\)"):
        extractor.extract(noise(399))


@pytest.mark.parametrize("library", ["av", "torch", "torchaudio"])
def test_the_key_follows_what_decodes_resamples_and_filters(extractor, monkeypatch, library):
    before, installed = extractor.key_part(), component.version_of
    monkeypatch.setattr(component, "version_of", lambda name: "9.9" if name == library else installed(name))
    assert extractor.key_part() != before
