"""Decoding: sound, frames and their times.

Sound and picture of a clip share one clock. Its zero is ``clip.start_s``
after the file's own start, i.e. after the earliest stream's first timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.media.container import MICRO, PREROLL_S, interval_s, open_at, promised_s, stream_of

# Beyond this, sound whose timestamps leave its sample count behind is moved to its timestamp.
MAX_DRIFT_S = 0.1
# Less than this missing, or under a tenth of the clip, is a container's rounding.
MISSING_S, MISSING_FRACTION = 0.3, 0.1
SLACK_S = 1e-6


def decoded(clip: Clip, path: Path, kind: str) -> Iterator[tuple[float, Any]]:
    """``(seconds since the file's start, libav frame)``, from a little before ``start_s`` to ``end_s``."""
    import av

    until_s = np.inf if clip.end_s is None else clip.end_s + (MAX_DRIFT_S if kind == "audio" else -SLACK_S)
    with open_at(clip, path, kind) as container:
        stream = stream_of(container, kind, clip)
        origin_s = (container.start_time or 0) / MICRO
        time_s, step_s, furthest_s, good = max(0.0, clip.start_s - PREROLL_S), 0.0, 0.0, 0
        try:
            for packet in container.demux([*container.streams.video, *container.streams.audio]):
                furthest_s = max(furthest_s, _end_s(packet) - origin_s)
                for frame in packet.decode() if packet.stream == stream else ():
                    time_s = time_s + step_s if frame.time is None else frame.time - origin_s
                    step_s, good = _step_s(frame, stream), good + 1
                    if time_s >= until_s:
                        return
                    yield time_s, frame
        except av.FFmpegError as error:
            status = Status.truncated if good else Status.unreadable
            detail = f"decoding of {path} stops after {good} good frames of {kind} ({error})"
            raise ClipFailure(status, clip.clip_id, detail) from error
        _check_end(clip, path, promised_s(container), furthest_s)
        if not good:
            raise ClipFailure(Status.unreadable, clip.clip_id, f"no frame of {kind} decodes in {path}")


def _end_s(packet: Any) -> float:
    """Where a packet's content ends; 0 for the empty packet that flushes a decoder."""
    return 0.0 if packet.pts is None else float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _step_s(frame: Any, stream: Any) -> float:
    """How long a frame lasts, for streams (old AVI) in which the next has no timestamp."""
    if stream.type == "audio":
        return frame.samples / frame.sample_rate
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _check_end(clip: Clip, path: Path, declared_s: float | None, furthest_s: float) -> None:
    """Raise `ClipFailure` (truncated) if the file's last packet ends long before the interval does."""
    wanted_s = interval_s(clip, declared_s) if declared_s else None
    if wanted_s is None:
        return
    missing_s = wanted_s - max(0.0, furthest_s - clip.start_s)
    if missing_s > MISSING_S and missing_s > MISSING_FRACTION * wanted_s:
        detail = f"expected {wanted_s:.2f} s, found {wanted_s - missing_s:.2f} s in {path}"
        raise ClipFailure(Status.truncated, clip.clip_id, detail)
