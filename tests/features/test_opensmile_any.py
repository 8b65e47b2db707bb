"""Every set of openSMILE at every level against opensmile.Smile, column by column, and files of one's own."""

import warnings
from pathlib import Path

import numpy as np
import opensmile
import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError, ConfigError
from avemo.features.opensmile_any import LEVELS, OpenSmile
from avemo.features.opensmile_lld import to_int16
from avemo.study.study import resolve_study

RATE_HZ = 16_000
PAIRS = [
    (name, level)
    for name in OpenSmile.Config.model_json_schema()["properties"]["set"]["enum"]
    for level in LEVELS
    if not (level == "lld_de" and "GeMAPS" in name)
]
CONF = r"""
[componentInstances:cComponentManager]
instance[dataMemory].type=cDataMemory
\{\cm[source{?}:input]}
[componentInstances:cComponentManager]
instance[frame].type=cFramer
instance[energy].type=cEnergy
instance[means].type=cFunctionals
[frame:cFramer]
reader.dmLevel=wave
writer.dmLevel=frames
frameSize = 0.025
frameStep = 0.010
[energy:cEnergy]
reader.dmLevel=frames
writer.dmLevel=energy
rms = 1
log = 0
[means:cFunctionals]
reader.dmLevel=energy
writer.dmLevel=func
\{\cm[bufferModeRbConf{?}:buffer]}
frameMode = full
frameSize = 0
frameStep = 0
functionalsEnabled = Means
Means.amean = 1
\{\cm[sink{?}:output]}
"""


def voice(seconds: float, f0_hz: float = 140) -> np.ndarray:
    """20 harmonics with amplitudes 1/k in a little noise, as 16-bit samples have it."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 21))
    wave = 0.4 * wave / np.abs(wave).max() + np.random.default_rng(0).uniform(-0.02, 0.02, len(t))
    return to_int16(wave.astype(np.float32)) / np.float32(32768)


def table(name: str, level: str, signal: np.ndarray):
    """What a user would write."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smile = opensmile.Smile(opensmile.FeatureSet[name], opensmile.FeatureLevel[LEVELS[level]])
        return smile.process_signal(signal, RATE_HZ)


def extractor(**fields) -> OpenSmile:
    return OpenSmile(OpenSmile.Config(**fields))


def test_every_set_of_the_package_is_known():
    known = OpenSmile.Config.model_json_schema()["properties"]["set"]["enum"]
    assert sorted(known) == sorted(opensmile.FeatureSet.__members__)


@pytest.mark.parametrize(("name", "level"), PAIRS)
def test_every_column_is_that_of_opensmile(name, level):
    signal = voice(1.3)
    expected, ours = table(name, level, signal), extractor(set=name, level=level)
    found = ours.extract(signal)
    assert ours.columns == tuple(expected.columns)
    assert found.x.shape == expected.shape == (len(expected), ours.dim)
    np.testing.assert_array_equal(found.x, expected.to_numpy(np.float32))
    assert (len(found.x) == 1) == (level == "functionals")
    assert (np.diff(found.times_s) >= 0).all()
    if level == "functionals":
        assert found.times_s == pytest.approx([0.65], abs=0.06)


def test_functionals_over_windows_are_those_of_each_window():
    signal = voice(2.3)
    found = extractor(window_s=1.0, hop_s=0.5).extract(signal)
    for row, begin in enumerate((0, 8_000, 16_000)):
        expected = table("eGeMAPSv02", "functionals", signal[begin : begin + 16_000])
        np.testing.assert_array_equal(found.x[row], expected.to_numpy(np.float32)[0])
    assert len(found.x) == 3
    assert found.times_s == pytest.approx([0.5, 1.0, 1.5], abs=0.06)
    short = extractor(window_s=3.0).extract(signal)
    np.testing.assert_array_equal(short.x, extractor().extract(signal).x)


@pytest.fixture
def conf(tmp_path) -> Path:
    path = tmp_path / "mine.conf"
    path.write_text(CONF)
    return path


def test_a_file_of_ones_own_gives_its_rows_and_its_bytes_are_the_key(conf):
    signal = voice(1.0)
    found = extractor(conf=str(conf))
    value = found.extract(signal).x[0, found.columns.index("pcm_RMSenergy_amean")]
    frames = [signal[i : i + 400] for i in range(0, len(signal) - 400 + 1, 160)]
    assert value == pytest.approx(
        np.mean([np.sqrt(np.mean(f.astype(np.float64) ** 2)) for f in frames]), rel=1e-3
    )
    before = found.key_part()
    conf.write_text(CONF.replace("0.025", "0.050"))
    assert extractor(conf=str(conf)).key_part() != before
    elsewhere = conf.with_name("moved.conf")
    elsewhere.write_text(CONF)
    assert extractor(conf=str(elsewhere)).key_part() == before


def test_the_folder_of_features_follows_the_files_bytes(conf, monkeypatch):
    monkeypatch.chdir(conf.parent)

    def folder() -> str:
        config = {"extractor": "opensmile", "config": {"conf": str(conf)}}
        raw = {
            "run": "mine",
            "corpus": {"name": "table", "config": {"csv": "clips.csv"}},
            "features": {"audio": config},
            "systems": {"mult": {"model": "mult"}},
        }
        return resolve_study(raw).run().features["audio"].id

    first = folder()
    conf.write_text(CONF + "\n")
    assert folder() != first


def test_files_that_are_not_whole_are_refused(conf, tmp_path):
    with pytest.raises(
        ConfigError, match=r"nowhere\.conf: expected a configuration file of openSMILE, found nothing"
    ):
        extractor(conf=str(tmp_path / "nowhere.conf"))
    conf.write_text(CONF + "\\{other.conf.inc}\n")
    with pytest.raises(ConfigError, match=r"whole in itself, found that it includes other\.conf\.inc"):
        extractor(conf=str(conf))
    for line in ("\\{\\cm[mine{other.conf.inc}:a file of ours]}", "model.file = ./other.conf.inc"):
        (tmp_path / "other.conf.inc").write_text("")
        conf.write_text(CONF + f"{line}\n")
        with pytest.raises(
            ConfigError, match=r"whole in itself, found that it (includes mine|names \./other)"
        ):
            extractor(conf=str(conf))
    conf.write_text("[nothing]\n")
    with pytest.raises(ConfigError, match="expected a configuration that openSMILE takes"):
        extractor(conf=str(conf))


def test_a_signal_too_short_for_a_row_is_refused():
    with pytest.raises(
        AvemoError, match=r"opensmile: expected sound enough for a row of eGeMAPSv02, found 0\.005 s"
    ):
        extractor().extract(voice(0.005))


@pytest.mark.parametrize(
    "fields", [{"hop_s": 1}, {"level": "lld", "window_s": 1}, {"level": "lld_de"}, {"set": "IS14"}]
)
def test_contradictions_in_the_config_are_refused(fields):
    with pytest.raises(ValidationError):
        OpenSmile.Config(**fields)
