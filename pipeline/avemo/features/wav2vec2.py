"""Hidden states of wav2vec 2.0, 1024-D at 50 frames a second.

VAVL (Goncalves et al.) reads the first 12 layers of ``wav2vec2-large-robust``,
fine-tuned on MSP-Podcast (`avemo.finetuning.speech`). Who lacks that corpus
may take ``audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`` (Wagner et
al., 2023; CC BY-NC-SA 4.0), cut to 12 layers and tuned on it in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from avemo.base.component import Work
from avemo.base.contracts import ComponentConfig, FeatureSequence, located, speed
from avemo.base.devices import choose_device
from avemo.base.frames import FrameBuffer, blocks
from avemo.features.base import AudioExtractor
from avemo.features.wav2vec2_encoder import STEP, WINDOW, Encoder, frame_count
from avemo.features.wav2vec2_network import find_network, load_network

FRAME_RATE_HZ = 50
VARIANCE_FLOOR = 1e-7


class Wav2Vec2(AudioExtractor):
    """The last kept layer's hidden state, after the network's final layer norm.

    Frame ``i`` sees samples ``320 i`` to ``320 i + 400``; its time is their
    centre, ``0.020 i + 0.0125`` s. There are ``(n - 400) // 320 + 1`` frames for
    ``n`` samples.

    Every frame attends to all of the sound, which costs time with the square of
    its length; so sound longer than ``window_s`` goes through in windows that
    overlap. Of each, the ``context_s`` at both ends only serve as context and are
    dropped. The convolutions see no difference, attention does: with random
    weights windows of 180 s move values of ten minutes of speech by up to 0.035
    (docs/benchmarks.md, ``long_sound``).
    Silence becomes zeros, which the network takes as any other sound.
    """

    name = "wav2vec2"
    version = 1
    dim = 1024
    libraries = ("torch", "transformers")
    tiny = {"weights": "random-seed-0", "device": "cpu", "layers": 2}
    work = Work(seconds=2.0, memory_mb=8000, gpu_mb=8000)

    class Config(ComponentConfig):
        """Weights have no default: random ones are used only when asked for by name."""

        weights: str = located()
        """A registered name (``wav2vec2_large_robust``, ``wav2vec2_msp_dim``), a folder in transformers' format
        (config.json, safetensors), ``random-seed-<n>``; or ``owner/name`` with ``revision``."""
        revision: str | None = None
        """The commit at which to read ``owner/name`` from Hugging Face's local cache."""
        layers: int = Field(12, ge=1)
        """How many transformer layers are kept: 12 in VAVL, 24 are all."""
        layer: int | None = Field(None, ge=0)
        """Instead of the last layer after the final norm: what leaves this layer, before any norm;
        0 is what enters the first."""
        normalise: Literal["utterance", "fixed"] = "utterance"
        """``utterance``: zero mean and unit variance, as the published models' preprocessors say.
        ``fixed``: by ``mean`` and ``std``, the scalar train statistics of VAVL's released code."""
        mean: float = 0.0
        std: float = Field(1.0, gt=0)
        longest_s: float | None = Field(None, gt=0)
        """Sound after this is left out; VAVL's released code cuts at 12 s."""
        window_s: float = Field(720.0, gt=1)
        """Memory is that of one window."""
        context_s: float = Field(20.0, ge=0)
        """Dropped from each window's ends, but for the file's own."""
        precision: Literal["float32", "bfloat16"] = "float32"
        """Arithmetic of the network. bfloat16 is faster where the processor has it."""
        dtype: Literal["float32", "float16"] = "float32"
        """Type of the stored features."""
        device: str = speed("auto")
        """``auto`` is the GPU if there is one; else any torch device."""

        @model_validator(mode="after")
        def _consistent(self) -> Wav2Vec2.Config:
            if 2 * self.context_s >= self.window_s:
                raise ValueError("context_s: expected less than half of window_s")
            if self.layer is not None and self.layer > self.layers:
                raise ValueError(f"layer: expected at most layers ({self.layers})")
            if self.normalise == "utterance" and (self.mean, self.std) != (0.0, 1.0):
                raise ValueError("mean and std: expected only with `normalise: fixed`")
            return self

    config: Config

    @property
    def dtype(self) -> str:
        """The configured one."""
        return self.config.dtype

    def __init__(self, config: Config):
        super().__init__(config)
        import torch

        self._weights = find_network(config.weights, config.revision)
        model = load_network(self._weights, config.layers)
        if config.layer is not None:
            model.encoder.layers = model.encoder.layers[: config.layer]
            model.encoder.layer_norm = torch.nn.Identity()
        self._encode = Encoder(model, choose_device(config.device), getattr(torch, config.precision))

    def provenance(self) -> dict[str, Any]:
        """Sha-256 of the network's files, or the name of random ones."""
        return dict(self._weights.provenance())

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` at 16 kHz to ``x (frames, 1024)``; memory holds one window.

        No batch holds frames of two clips: a clip's numbers would then depend, in
        the last digit, on which others were computed with it.
        Raises `AvemoError` for a signal shorter than one frame's 400 samples.
        """
        wave = self._wave(signal)
        count = frame_count(len(wave.signal))
        found = FrameBuffer((self._encode.dim,), self.config.dtype)
        for window in self._windows(count):
            frames = self._encode(wave.cut(window.begin, window.end))
            found.append(frames[window.first - window.begin : window.last - window.begin].numpy())
        return FeatureSequence(found.array(), (np.arange(count) * STEP + WINDOW / 2) / self.rate_hz)

    def _wave(self, signal: np.ndarray) -> Wave:
        """The signal and what normalises it."""
        self.check(signal, WINDOW)
        if self.config.longest_s is not None:
            signal = signal[: max(WINDOW, round(self.config.longest_s * self.rate_hz))]
        if self.config.normalise == "fixed":
            return Wave(signal, self.config.mean, self.config.std)
        return Wave(signal, *utterance_statistics(signal))

    def _windows(self, frames: int) -> Iterator[Window]:
        """The windows of one signal, all of one length: their kept parts follow each other without gap or overlap."""
        context = round(self.config.context_s * FRAME_RATE_HZ)
        longest = min(frames, round(self.config.window_s * FRAME_RATE_HZ))
        kept = frames if longest == frames else longest - 2 * context
        for first in range(0, frames, kept):
            begin = min(max(0, first - context), frames - longest)
            yield Window(begin, first, min(first + kept, frames), begin + longest)


@dataclass(frozen=True)
class Window:
    """Frames ``begin`` to ``end`` of a signal, of which ``first`` to ``last`` are kept."""

    begin: int
    first: int
    last: int
    end: int


@dataclass(frozen=True)
class Wave:
    """A signal ``(samples,)`` that is normalised as it is read."""

    signal: np.ndarray
    mean: float
    std: float

    def cut(self, begin: int, end: int) -> Any:
        """The samples that frames ``begin`` to ``end`` see, normalised."""
        import torch

        part = self.signal[begin * STEP : (end - 1) * STEP + WINDOW] - np.float32(self.mean)
        return torch.from_numpy(part / np.float32(self.std))


def utterance_statistics(signal: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of ``signal (samples,)``, as transformers' preprocessor: √(variance + 1e-7)."""
    total = power = 0.0
    for block in blocks(signal):
        total += float(block.sum(dtype=np.float64))
        power += float(np.square(block, dtype=np.float64).sum())
    mean = total / len(signal)
    return mean, math.sqrt(max(0.0, power / len(signal) - mean**2) + VARIANCE_FLOOR)
