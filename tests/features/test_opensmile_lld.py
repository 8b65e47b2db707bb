"""ComParE descriptors against unmodified openSMILE, NumPy and tones of known pitch."""

import os
import re

import numpy as np
import opensmile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo.base import component
from avemo.base.contracts import AvemoError
from avemo.base.frames import FrameBuffer
from avemo.features import opensmile_lld
from avemo.features.opensmile_lld import CompareLLD, Framing, column_names, edit, open_smile, run, to_int16

RATE_HZ = 16_000


def tone(f0_hz: float, samples: int) -> np.ndarray:
    """20 harmonics with amplitudes 1/k, as float32 below full scale."""
    t = np.arange(samples) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 21))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, samples).astype(np.float32)


@pytest.fixture(scope="module")
def default() -> CompareLLD:
    return CompareLLD(CompareLLD.Config())


@pytest.fixture(scope="module")
def all32() -> CompareLLD:
    return CompareLLD(CompareLLD.Config(pitch_window="all32"))


def column(extractor: CompareLLD, x: np.ndarray, name: str) -> np.ndarray:
    return x[:, extractor.columns.index(name)]


def test_with_the_original_framing_every_column_is_unmodified_opensmile():
    signal = np.concatenate([tone(140, 12_000), noise(9_000), np.zeros(4_000, np.float32), tone(250, 8_000)])
    levels = opensmile.FeatureLevel.LowLevelDescriptors, opensmile.FeatureLevel.LowLevelDescriptors_Deltas
    lld, deltas = (opensmile.Smile("ComParE_2016", level).process_signal(signal, RATE_HZ) for level in levels)
    smile = open_smile(Framing(0.010, 0.060, 0.020), RATE_HZ)
    rows, starts_s = run(smile, signal)
    assert column_names(smile) == (*lld.columns, *deltas.columns)
    assert len(rows) == len(lld)
    np.testing.assert_array_equal(rows[:, :65], lld)
    np.testing.assert_array_equal(rows[:, 65:], deltas[: len(rows)])
    np.testing.assert_allclose(starts_s, lld.index.get_level_values("start").total_seconds(), atol=1e-6)


def test_columns_are_65_descriptors_then_their_deltas(default):
    assert len(default.columns) == len(set(default.columns)) == default.dim == 130
    assert default.columns[65:] == tuple(
        re.sub(r"(\[\d+\])?$", r"_de\1", name, count=1) for name in default.columns[:65]
    )


def test_frames_and_times_of_80080_samples(default, all32):
    signal = noise(80_080)
    for extractor, frames in ((default, 310), (all32, 311)):
        features = extractor.extract(signal)
        assert features.x.shape == (frames, 130)
        assert features.x.dtype == np.float32
        assert np.isfinite(features.x).all()
        np.testing.assert_allclose(features.times_s, 0.016 * np.arange(frames) + 0.016, atol=1e-9)


@settings(max_examples=15)
@given(samples=st.integers(960, 6_000), pitch_window=st.sampled_from(["60ms", "all32"]))
def test_every_row_has_a_full_window(default, all32, samples, pitch_window):
    extractor, window = (default, 960) if pitch_window == "60ms" else (all32, 512)
    full_windows = len(range(0, samples - window + 1, 256))
    assert len(extractor.extract(noise(samples)).x) == full_windows


@pytest.mark.parametrize("pitch_window", ["60ms", "all32"])
def test_rms_energy_is_that_of_the_32_ms_windows_smoothed_over_three(default, all32, pitch_window):
    extractor = default if pitch_window == "60ms" else all32
    envelope = np.repeat([1.0, 0.1, 2.0, 0.0, 1.0], 2_000)
    samples = to_int16(noise(10_000) * envelope) / 32768
    features = extractor.extract(samples.astype(np.float32))
    rms = np.sqrt([np.mean(samples[i : i + 512] ** 2) for i in range(0, 10_000 - 511, 256)])
    smooth = np.convolve(np.pad(rms, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    np.testing.assert_allclose(
        column(extractor, features.x, "pcm_RMSenergy_sma"), smooth[: len(features.x)], rtol=2e-3, atol=1e-6
    )


@pytest.mark.parametrize("f0_hz", [120, 220])
def test_f0_of_a_tone(default, f0_hz):
    f0 = column(default, default.extract(tone(f0_hz, RATE_HZ)).x, "F0final_sma")
    assert np.median(f0) == pytest.approx(f0_hz, rel=0.01)
    assert (f0 > 0).mean() > 0.95


def test_a_32_ms_window_finds_no_low_f0(all32):
    x = all32.extract(tone(120, RATE_HZ)).x
    assert not column(all32, x, "F0final_sma").any()
    high = column(all32, all32.extract(tone(240, RATE_HZ)).x, "F0final_sma")
    assert np.median(high) == pytest.approx(240, rel=0.02)


def test_silence_is_finite_and_constant(default):
    x = default.extract(np.zeros(RATE_HZ, np.float32)).x
    assert np.isfinite(x).all()
    assert not column(default, x, "pcm_RMSenergy_sma").any()
    assert not column(default, x, "F0final_sma").any()
    assert (x == x[0]).all(axis=0)[:65].all()


def test_a_clip_after_others_equals_the_clip_alone(default):
    clips = [
        tone(120, 20_000),
        noise(9_000),
        np.zeros(3_000, np.float32),
        tone(300, 40_000),
        noise(30_000, seed=1),
    ]
    for index in (3, 1, 0, 4, 2, 0, 3):
        alone = CompareLLD(CompareLLD.Config()).extract(clips[index])
        after = default.extract(clips[index])
        np.testing.assert_array_equal(after.x, alone.x)
        np.testing.assert_array_equal(after.times_s, alone.times_s)


@given(st.floats(-4, 4, width=32))
def test_samples_saturate_and_keep_their_sign(value):
    expected = min(max(np.trunc(np.float64(value) * 32768), -32768), 32767)
    assert to_int16(np.array([value], np.float32))[0] == expected


def test_full_scale_does_not_wrap_round(default):
    square = np.where(np.arange(RATE_HZ) % 100 < 50, 1.0, -1.0).astype(np.float32)
    rms = column(default, default.extract(square).x, "pcm_RMSenergy_sma")
    np.testing.assert_allclose(rms, 1.0, rtol=1e-3)
    constant = column(default, default.extract(np.ones(RATE_HZ, np.float32)).x, "pcm_zcr_sma")
    assert not constant.any()


@pytest.mark.parametrize(("pitch_window", "shortest"), [("60ms", 960), ("all32", 512)])
def test_too_short_signals_are_refused(default, all32, pitch_window, shortest):
    extractor = default if pitch_window == "60ms" else all32
    assert len(extractor.extract(noise(shortest)).x) == 1
    with pytest.raises(AvemoError, match=rf"at least {shortest} samples .*found shape \({shortest - 1},\)"):
        extractor.extract(noise(shortest - 1))


def test_two_channels_are_refused(default):
    with pytest.raises(AvemoError, match=r"found shape \(2, 16000\)"):
        default.extract(np.zeros((2, RATE_HZ), np.float32))


def test_not_finite_samples_are_refused_and_the_next_clip_is_fine(default):
    signal = noise(RATE_HZ)
    before = default.extract(signal).x
    with pytest.raises(AvemoError, match="found nan at sample 7"):
        default.extract(np.where(np.arange(RATE_HZ) == 7, np.nan, signal))
    np.testing.assert_array_equal(default.extract(signal).x, before)


@pytest.mark.parametrize(
    "text", ["", "\n[f:cFramer]\nframeStep = 0.02\n", "\n[f:cFramer]\nstep = 1\nstep = 1\n"]
)
def test_an_edit_that_does_not_match_once_names_the_version(text):
    with pytest.raises(AvemoError, match=rf"openSMILE {opensmile.__version__}: expected 'step = 1' once"):
        edit(text, "f:cFramer", "step = 1", "step = 2")


def test_an_edit_stays_in_its_section():
    text = "\n[e:cFramer]\nstep = 1\n[f:cFramer]\nstep = 1\n[g:cFramer]\nstep = 1\n"
    assert edit(text, "f:cFramer", "step = 1", "step = 2") == text.replace(
        "[f:cFramer]\nstep = 1", "[f:cFramer]\nstep = 2"
    )


def test_key_follows_the_reading_and_the_version(default, all32, monkeypatch):
    assert default.key_part() != all32.key_part()
    assert default.versions()["opensmile"] == opensmile.__version__
    before = default.key_part()
    monkeypatch.setattr(component, "version_of", lambda name: "9.9")
    assert default.key_part() != before


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_strikes_while_opensmile_hands_over_a_row_is_raised(default, monkeypatch, error):
    class Struck(FrameBuffer):
        def append(self, rows):
            raise error

    whole = default.extract(noise(8_000)).x
    monkeypatch.setattr(opensmile_lld, "ROWS_HELD", 1)
    monkeypatch.setattr(opensmile_lld, "FrameBuffer", Struck)
    with pytest.raises(error):
        default.extract(noise(8_000))
    monkeypatch.undo()
    np.testing.assert_array_equal(default.extract(noise(8_000)).x, whole)


def test_a_forked_process_feeds_for_itself(default):
    whole = default.extract(noise(8_000)).x
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(default.extract(noise(8_000)).x, whole) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
