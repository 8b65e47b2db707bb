"""Log-mel filter bank energies with first and second differences, 240 a frame at 100 frames a second.

The input of interactive co-learning (Goncalves et al.): 80 log-mel channels, Δ and ΔΔ at a 10 ms step.
The paper names no window and no kind of filter bank; these are Kaldi's usual ones, by torchaudio.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pipeline.contracts import AvemoError, ComponentConfig, FeatureSequence, speed
from pipeline.features.base import AudioExtractor

CHANNELS = 80
WINDOW, STEP = 400, 160
DELTA_WIDTH = 5


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

    class Config(ComponentConfig):
        """Nothing here changes what a frame means."""

        dtype: Literal["float32", "float16"] = "float32"
        """Type of the stored features."""
        block_frames: int = speed(6000, ge=1)
        """Frames transformed at once; their spectra are what takes memory."""

    config: Config

    def provenance(self) -> dict[str, Any]:
        """Versions of the resampler and of torchaudio."""
        from importlib.metadata import version

        return super().provenance() | {"torchaudio": version("torchaudio")}

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` in [-1, 1] at 16 kHz to ``x (frames, 240)``.

        Raises `AvemoError` for a signal shorter than one window.
        """
        import torch

        if signal.ndim != 1 or len(signal) < WINDOW:
            raise AvemoError(
                f"signal too short for {self.name}: expected one channel of at least {WINDOW} samples "
                f"(0.025 s), found shape {signal.shape}; give a longer clip or leave it out"
            )
        frames = (len(signal) - WINDOW) // STEP + 1
        with torch.inference_mode():
            x = torch.cat([self._energies(signal, begin, frames) for begin in self._blocks(frames)])
            x = torch.cat([x, deltas := _deltas(x), _deltas(deltas)], dim=1)
        times_s = (np.arange(frames) * STEP + WINDOW / 2) / self.rate_hz
        return FeatureSequence(x.numpy().astype(self.config.dtype, copy=False), times_s)

    def _blocks(self, frames: int) -> range:
        return range(0, frames, self.config.block_frames)

    def _energies(self, signal: np.ndarray, begin: int, frames: int) -> Any:
        """Log energies of the block of frames from ``begin`` on, ``(block, 80)``."""
        import torch
        from torchaudio.compliance.kaldi import fbank

        end = min(begin + self.config.block_frames, frames)
        samples = torch.from_numpy(signal[begin * STEP : (end - 1) * STEP + WINDOW])
        return fbank(samples[None], num_mel_bins=CHANNELS, sample_frequency=self.rate_hz, dither=0.0)


def _deltas(x: Any) -> Any:
    """Regression slopes over time of ``x (frames, channels)``."""
    from torchaudio.functional import compute_deltas

    return compute_deltas(x.T, win_length=DELTA_WIDTH, mode="replicate").T
