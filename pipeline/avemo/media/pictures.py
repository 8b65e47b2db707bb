"""A clip's frames, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.media.decoding import SLACK_S, Tally, decoded
from avemo.media.display import displayed
from avemo.media.survey import surveyed

BACK_S = 0.1
"""A picture that is stamped so much earlier than the one before it has no right place."""


def iter_frames(clip: Clip, tally: Tally | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """``(time_s, frame (height, width, 3) uint8 RGB)`` in order, one at a time in memory.

    Times are the container's, counted from the clip's start, and rise strictly: of frames stamped alike, the later
    comes a millionth of a second after. Frames are as displayed, the clip's half of them, damaged ones too, which ``tally`` counts.
    Raises `ClipFailure` (no_video, unreadable, truncated, ...), and after the last frame where too many are damaged.
    """
    path = _path(clip)
    pixels = surveyed(path, clip.clip_id).track("video", clip.clip_id, path).pixels
    for time_s, frame in _stamped(clip, path, tally or Tally()):
        yield time_s, displayed(frame, pixels, clip.half)


def count_frames(clip: Clip) -> Tally:
    """What `iter_frames` counts, and the failures that it raises; no picture is made."""
    tally = Tally()
    for _ in _stamped(clip, _path(clip), tally):
        pass
    return tally


def _path(clip: Clip) -> Path:
    if clip.video_path is None:
        raise ClipFailure(Status.no_video, clip.clip_id, "expected video_path, found none")
    return clip.video_path


def _stamped(clip: Clip, path: Path, tally: Tally) -> Iterator[tuple[float, Any]]:
    """Libav's frames of the clip, their times as `iter_frames` gives them."""
    last_s = -np.inf
    for stamp_s, frame in decoded(clip, path, "video", tally):
        time_s = stamp_s - clip.start_s
        if time_s < -SLACK_S:
            continue
        if time_s < last_s - BACK_S:
            detail = f"expected a frame after {last_s:.3f} s, found one at {time_s:.3f} s in {path}"
            raise ClipFailure(Status.discontinuous, clip.clip_id, detail)
        last_s = max(time_s, last_s + SLACK_S)
        yield last_s, frame
    if last_s == -np.inf:
        raise ClipFailure(Status.truncated, clip.clip_id, f"no frame after {clip.start_s:.3f} s in the file")
