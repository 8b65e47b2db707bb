"""A clip's sound: one channel at the rate asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.base.frames import FrameBuffer
from avemo.media.decoding import MAX_DRIFT_S, Tally, decoded

BACK_S = 0.5
"""Sound that is stamped so much earlier than where the sound before it ends would be written over that."""
LOUDEST = 8.0
"""Lossy codecs overshoot full scale by a little; samples beyond this are on another scale, such as int16's."""
OVER = 1.5
CANCELLED, AUDIBLE = 0.3, 1e-3
"""The mean of channels has less than this share of their root mean square: they cancel. Uncorrelated channels keep
0.71 of two, 0.41 of six. Channels below 60 dB under full scale do not count."""


@dataclass
class Sound:
    """Mono float32 ``samples (samples,)`` in [-1, 1]; ``peak`` of any channel before it was cut to that range.

    ``powers`` are the sums of squares of the mean of the channels, and of the channels (their mean).
    """

    samples: np.ndarray
    peak: float = 0.0
    powers: tuple[float, float] = (0.0, 0.0)
    channels: int = 1
    tally: Tally = field(default_factory=Tally)

    @property
    def left(self) -> float:
        """The share of the channels' root mean square that their mean has; 1 where nothing is to be heard."""
        mean, each = self.powers
        audible = each > AUDIBLE**2 * max(1, len(self.samples))
        return float(np.sqrt(mean / each)) if audible and self.channels > 1 else 1.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a listener should know, in words."""
        damaged = self.tally.corrupt + self.tally.lost
        found = (
            (damaged, f"sound: {self.tally}"),
            (self.peak > OVER, f"samples up to {self.peak:.1f} of 1, cut"),
            (
                self.left < CANCELLED,
                f"channels in antiphase: their mean keeps {self.left:.0%} of their level",
            ),
        )
        return tuple(text for holds, text in found if holds)


def read_audio(clip: Clip, rate_hz: int) -> np.ndarray:
    """The ``samples`` of `read_sound`."""
    return read_sound(clip, rate_hz).samples


def read_sound(clip: Clip, rate_hz: int) -> Sound:
    """A clip's sound at ``rate_hz``: the mean of the channels.

    Comes from ``audio_path``, else from the sound of ``video_path``. Silence
    fills the time before a stream that starts late and gaps in its timestamps.
    Raises `ClipFailure` (no_audio, truncated, unreadable, wrong_scale, ...).
    """
    path = clip.audio_path or clip.video_path
    if path is None:
        raise ClipFailure(Status.no_audio, clip.clip_id, "expected a path, found neither audio nor video")
    buffer, sound = FrameBuffer((), np.float32), Sound(np.empty(0, np.float32))
    for position, samples in _resampled(clip, path, rate_hz, sound.tally):
        kept = samples[:, max(0, -position) :]
        if kept.shape[1]:
            _measure(clip, path, kept, sound)
            mono = kept.mean(axis=0, dtype=np.float32)
            buffer.write(max(position, 0), np.clip(mono, -1.0, 1.0))
    length = len(buffer)
    if clip.end_s is not None:
        length = min(length, round((clip.end_s - clip.start_s) * rate_hz))
    if length <= 0:
        raise ClipFailure(Status.truncated, clip.clip_id, f"no sound after {clip.start_s:.3f} s in {path}")
    sound.samples = buffer.array(length)
    return sound


def _measure(clip: Clip, path: Path, planes: np.ndarray, sound: Sound) -> None:
    """Take ``planes (channels, samples)`` into account; raises `ClipFailure` for numbers that are no sound."""
    peak = float(np.abs(planes).max())
    if not np.isfinite(peak):
        raise ClipFailure(Status.unreadable, clip.clip_id, f"expected finite samples, found NaN in {path}")
    if peak > LOUDEST:
        detail = f"expected samples from -1 to 1, found {peak:.0f} in {path}"
        raise ClipFailure(Status.wrong_scale, clip.clip_id, detail)
    sound.peak, sound.channels = max(sound.peak, peak), max(sound.channels, len(planes))
    mean, each = sound.powers
    mono = planes.mean(axis=0)
    sound.powers = (
        mean + float(np.square(mono).sum(dtype=np.float64)),
        each + float(np.square(planes).sum(dtype=np.float64)) / len(planes),
    )


def _resampled(clip: Clip, path: Path, rate_hz: int, tally: Tally) -> Iterator[tuple[int, np.ndarray]]:
    """``(position, planes (channels, samples))`` at ``rate_hz``; positions count from the clip's start, may be negative.

    A new resampler begins wherever timestamps jump or the sound's format changes.
    Channels stay apart: libswresample's own mono is not their mean.
    """
    import av

    resampler, kind, clock_s, position = None, None, 0.0, 0

    def planes(frames: list[Any]) -> Iterator[tuple[int, np.ndarray]]:
        nonlocal position
        for frame in frames:
            samples = frame.to_ndarray()
            yield position, samples
            position += samples.shape[1]

    for time_s, frame in decoded(clip, path, "audio", tally):
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is not None and time_s < clock_s - BACK_S:
            detail = f"expected sound after {clock_s:.3f} s, found some at {time_s:.3f} s in {path}"
            raise ClipFailure(Status.discontinuous, clip.clip_id, detail)
        if resampler is None or found != kind or abs(time_s - clock_s) > MAX_DRIFT_S:
            if resampler is not None:
                yield from planes(resampler.resample(None))
            resampler, kind, clock_s = av.AudioResampler(format="fltp", rate=rate_hz), found, time_s
            position = round((time_s - clip.start_s) * rate_hz)
        clock_s += frame.samples / frame.sample_rate
        yield from planes(resampler.resample(frame))
    if resampler is not None:
        yield from planes(resampler.resample(None))
