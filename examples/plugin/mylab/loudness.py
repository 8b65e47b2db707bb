"""How loud a sound is in each of a few bands."""

import numpy as np

from avemo.base.component import Work
from avemo.base.contracts import AvemoError, ComponentConfig, FeatureSequence
from avemo.features.base import AudioExtractor

WINDOW, STEP, BANDS = 400, 160, 8


class Loudness(AudioExtractor):
    """Logarithms of the power in equal bands, each window of 25 ms, every 10 ms."""

    name = "loudness"  # its folders in the cache begin with it
    version = 1  # raise it whenever the numbers change
    dim = BANDS  # features of a frame
    work = Work(seconds=0.1, memory_mb=500)  # what a cluster is asked for

    class Config(ComponentConfig):
        """Fields that a run's config may set."""

        floor: float = 1e-6
        """Added to each power, so that silence has a logarithm."""

    def extract(self, signal):
        """``signal (samples,)`` at 16 kHz, in [-1, 1], to ``x (frames, 8)``; times are window centres."""
        if len(signal) < WINDOW:
            raise AvemoError(f"signal too short: expected {WINDOW} samples, found {len(signal)}")
        windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::STEP]
        power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW)))[:, 1:] ** 2
        bands = power.reshape(len(power), BANDS, -1).mean(axis=2)
        times_s = (np.arange(len(bands)) * STEP + WINDOW / 2) / self.rate_hz
        return FeatureSequence(np.log(bands + self.config.floor).astype(np.float32), times_s)
