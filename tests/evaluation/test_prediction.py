"""What a prediction says of the clip beside its numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError, Clip
from avemo.evaluation.predictor import predict_clip
from avemo.models import build_model
from avemo.study.resolve import resolve
from avemo.study.run import Run
from avemo.training.checkpoint import save_model
from media_factory import write_sound, write_wav

RATE = 16_000
TONE = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)


@pytest.fixture(scope="module")
def run() -> Run:
    system = {"model": "auxformer_unimodal", "config": {"width": 8, "heads": 2, "layers": 1}}
    return resolve(
        {
            "run": "r",
            "corpus": {"name": "table", "config": {"csv": "clips.csv"}},
            "features": {"audio": {"extractor": "logmel"}},
            "systems": {"a": system},
        }
    )


@pytest.fixture(scope="module")
def model(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system that nobody has trained: what is said of clips does not depend on it."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    config = run.systems["a"].config
    dims = {"audio_dim": 240, "visual_dim": 1, "outputs": 2}
    meta = {"model": "auxformer_unimodal", "config": config, "dims": dims, "task": "classes"}
    unchanged = {"audio": {"mean": [0.0] * 240, "std": [1.0] * 240}}
    meta |= {"outputs": ["calm", "loud"], "normalisers": unchanged}
    save_model(path, build_model("auxformer_unimodal", **dims, **config).state_dict(), meta)
    return path


def told(path: Path, run: Run, model: Path) -> str:
    return "; ".join(predict_clip(Clip("c", "", "", audio_path=path), run, model).notes)


def test_of_good_sound_nothing_is_said(tmp_path, run, model):
    assert told(write_wav(tmp_path / "a.wav", TONE), run, model) == ""


@pytest.mark.parametrize(
    ("signal", "rate_hz", "said"),
    [
        (np.clip(10 * TONE, -1, 1), RATE, "of samples clipped"),
        (np.concatenate([TONE, np.zeros(2 * RATE)]), RATE, "67% silent"),
        (TONE[::2], RATE // 2, "sound at 8000 Hz"),
    ],
)
def test_the_quality_tables_concerns_are_said(tmp_path, run, model, signal, rate_hz, said):
    assert said in told(write_wav(tmp_path / "a.wav", signal, rate_hz), run, model)


def test_channels_in_antiphase_are_said(tmp_path, run, model):
    path = write_sound(tmp_path / "a.wav", np.stack([TONE, -TONE]), RATE, "pcm_s16le")
    assert "channels in antiphase: their mean keeps 0% of their level" in told(path, run, model)


def test_samples_on_the_scale_of_integers_are_refused_by_name(tmp_path, run, model):
    path = write_sound(tmp_path / "a.wav", 32767 * TONE, RATE, "pcm_f32le")
    with pytest.raises(AvemoError, match="wrong_scale: expected samples from -1 to 1, found 9830"):
        told(path, run, model)
