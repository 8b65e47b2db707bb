"""Log-mel filter bank energies with first and second differences, 240 a frame at 100 frames a second.

The input of interactive co-learning (Takashima et al., section 4.2): 80 log-mel channels, Δ and ΔΔ at a 10 ms step.
The paper names no window and no kind of filter bank; these are Kaldi's usual ones, by torchaudio.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from avemo.base.contracts import ComponentConfig, FeatureSequence, speed
from avemo.base.frames import FrameBuffer
from avemo.features.base import AudioExtractor

CHANNELS = 80
WINDOW, STEP = 400, 160
DELTA_WIDTH = 5
REACH = 4
"""A ΔΔ sees so many frames to each side."""


class LogMel(AudioExtractor):
    """80 log-mel energies, then their Δ, then their ΔΔ.

    Frame ``i`` is the 25 ms from sample ``160 i`` on, without a partial last
    one: ``(n - 400) // 160 + 1`` frames for ``n`` samples. Its time is the
    window's centre, ``0.010 i + 0.0125`` s.

    Each window loses its mean, is pre-emphasised (0.97), weighted (Povey) and
    zero-padded to 512 samples; its power spectrum goes through 80 triangles
    equally spaced in mel, 1127 ln(1 + f / 700), from 20 to 8000 Hz. Energies
    below 2^-23 count as that, so digital silence is a constant -15.94.

    Δ is the regression slope over five frames, Σ k x(t + k) / 10 for k = -2…2,
    with the outermost frames repeated; ΔΔ is the Δ of the Δ.
    """

    name = "logmel"
    version = 1
    dim = 3 * CHANNELS
    libraries = ("torch", "torchaudio")

    class Config(ComponentConfig):
        """Nothing here changes what a frame means."""

        dtype: Literal["float32", "float16"] = "float32"
        """Type of the stored features."""
        block_frames: int = speed(6000, ge=1)
        """Frames transformed at once; their spectra are what takes memory."""

    config: Config

    @property
    def dtype(self) -> str:
        """The configured one."""
        return self.config.dtype

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` in [-1, 1] at 16 kHz to ``x (frames, 240)``.

        Raises `AvemoError` for a signal shorter than one window.
        """
        self.check(signal, WINDOW)
        frames = (len(signal) - WINDOW) // STEP + 1
        x = FrameBuffer((self.dim,), self.config.dtype)
        for begin in range(0, frames, self.config.block_frames):
            x.append(self._block(signal, begin, min(begin + self.config.block_frames, frames), frames))
        return FeatureSequence(x.array(), (np.arange(frames) * STEP + WINDOW / 2) / self.rate_hz)

    def _block(self, signal: np.ndarray, begin: int, end: int, frames: int) -> np.ndarray:
        """Frames ``begin`` to ``end`` of ``frames``, made with the neighbours that their ΔΔ see."""
        import torch
        from torchaudio.compliance.kaldi import fbank

        first, last = max(0, begin - REACH), min(frames, end + REACH)
        samples = torch.from_numpy(np.array(signal[first * STEP : (last - 1) * STEP + WINDOW]))
        with torch.inference_mode():
            x = fbank(samples[None], num_mel_bins=CHANNELS, sample_frequency=self.rate_hz, dither=0.0)
            x = torch.cat([x, deltas := _deltas(x), _deltas(deltas)], dim=1)
        return x[begin - first : end - first].numpy()


def _deltas(x: Any) -> Any:
    """Regression slopes over time of ``x (frames, channels)``."""
    from torchaudio.functional import compute_deltas

    return compute_deltas(x.T, win_length=DELTA_WIDTH, mode="replicate").T
