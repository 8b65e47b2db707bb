"""A clip's sound: one channel at the rate asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.base.frames import FrameBuffer
from avemo.media.decoding import MAX_DRIFT_S, decoded


def read_audio(clip: Clip, rate_hz: int) -> np.ndarray:
    """Mono float32 ``(samples,)`` in [-1, 1] at ``rate_hz``: the mean of the channels.

    Comes from ``audio_path``, else from the sound of ``video_path``. Silence
    fills the time before a stream that starts late and gaps in its timestamps.
    Raises `ClipFailure` (no_audio, truncated, unreadable, ...).
    """
    path = clip.audio_path or clip.video_path
    if path is None:
        raise ClipFailure(Status.no_audio, clip.clip_id, "expected a path, found neither audio nor video")
    buffer = FrameBuffer((), np.float32)
    for position, samples in _resampled(clip, path, rate_hz):
        if not np.isfinite(samples).all():
            raise ClipFailure(
                Status.unreadable, clip.clip_id, f"expected finite samples, found NaN in {path}"
            )
        kept = samples[max(0, -position) :]
        if len(kept):
            buffer.write(max(position, 0), np.clip(kept, -1.0, 1.0))
    length = len(buffer)
    if clip.end_s is not None:
        length = min(length, round((clip.end_s - clip.start_s) * rate_hz))
    if length <= 0:
        raise ClipFailure(Status.truncated, clip.clip_id, f"no sound after {clip.start_s:.3f} s in {path}")
    return buffer.array(length)


def _resampled(clip: Clip, path: Path, rate_hz: int) -> Iterator[tuple[int, np.ndarray]]:
    """``(position, samples)`` at ``rate_hz``; positions count from the clip's start, may be negative.

    A new resampler begins wherever timestamps jump or the sound's format changes.
    Channels stay apart until here: libswresample's own mono is not their mean.
    """
    import av

    resampler, kind, clock_s, position = None, None, 0.0, 0

    def mono(frames: list[Any]) -> Iterator[tuple[int, np.ndarray]]:
        nonlocal position
        for frame in frames:
            samples = frame.to_ndarray().mean(axis=0, dtype=np.float32)
            yield position, samples
            position += len(samples)

    for time_s, frame in decoded(clip, path, "audio"):
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != kind or abs(time_s - clock_s) > MAX_DRIFT_S:
            if resampler is not None:
                yield from mono(resampler.resample(None))
            resampler, kind, clock_s = av.AudioResampler(format="fltp", rate=rate_hz), found, time_s
            position = round((time_s - clip.start_s) * rate_hz)
        clock_s += frame.samples / frame.sample_rate
        yield from mono(resampler.resample(frame))
    if resampler is not None:
        yield from mono(resampler.resample(None))
