"""openSMILE's own feature sets against opensmile.Smile, column by column."""

import numpy as np
import opensmile
import pytest

from avemo.base.contracts import AvemoError
from avemo.features.opensmile_lld import to_int16
from avemo.features.opensmile_sets import Compare2016, EGeMAPS

RATE_HZ = 16_000
LLD, DELTAS = opensmile.FeatureLevel.LowLevelDescriptors, opensmile.FeatureLevel.LowLevelDescriptors_Deltas
SETS = {Compare2016: ("ComParE_2016", (LLD, DELTAS)), EGeMAPS: ("eGeMAPSv02", (LLD,))}


def voice(f0_hz: float, samples: int) -> np.ndarray:
    """20 harmonics with amplitudes 1/k, below full scale."""
    t = np.arange(samples) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 21))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, samples).astype(np.float32)


@pytest.fixture(scope="module", params=SETS, ids=lambda c: c.name)
def extractor(request):
    return request.param(request.param.Config())


@pytest.mark.parametrize("samples", [960, 1_119, 1_120, 33_333])
def test_every_column_is_that_of_opensmile(extractor, samples):
    signal = np.concatenate(
        [voice(140, 12_000), noise(9_000), np.zeros(4_000, np.float32), voice(250, 9_000)]
    )
    signal = signal[:samples]
    name, levels = SETS[type(extractor)]
    # The package turns float samples to 16 bits in its own way; the same integers go to both here.
    whole = to_int16(signal) / np.float32(32768)
    tables = [opensmile.Smile(name, level).process_signal(whole, RATE_HZ) for level in levels]
    found = extractor.extract(whole)
    rows = (len(signal) - 960) // 160 + 1
    assert found.x.shape == (rows, extractor.dim)
    assert extractor.columns == tuple(column for table in tables for column in table.columns)
    for number, (column, values) in enumerate(
        (column, table[column].to_numpy()[:rows]) for table in tables for column in table.columns
    ):
        np.testing.assert_array_equal(found.x[:, number], values, err_msg=column)
    starts_s = tables[0].index.get_level_values("start").total_seconds()[:rows]
    np.testing.assert_allclose(found.times_s, starts_s + 0.010, atol=1e-6)


def test_a_clip_after_others_equals_the_clip_alone(extractor):
    clips = [voice(120, 20_000), noise(9_000), np.zeros(3_000, np.float32), voice(300, 30_000)]
    for index in (3, 1, 0, 2, 3):
        alone = type(extractor)(type(extractor).Config()).extract(clips[index])
        np.testing.assert_array_equal(extractor.extract(clips[index]).x, alone.x)


def test_f0_of_a_tone_in_semitones():
    extractor = EGeMAPS(EGeMAPS.Config())
    x = extractor.extract(voice(220, RATE_HZ)).x
    semitones = x[:, extractor.columns.index("F0semitoneFrom27.5Hz_sma3nz")]
    assert np.median(semitones) == pytest.approx(36, abs=0.1), "220 Hz are three octaves above 27.5 Hz"


def test_silence_is_finite(extractor):
    x = extractor.extract(np.zeros(RATE_HZ, np.float32)).x
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(x[10:-10], np.broadcast_to(x[10], x[10:-10].shape))


def test_too_short_signals_are_refused(extractor):
    with pytest.raises(AvemoError, match=rf"{extractor.name}: expected .*at least 960 samples"):
        extractor.extract(noise(959))
