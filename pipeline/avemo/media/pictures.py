"""A clip's frames, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.media.decoding import SLACK_S, decoded


def iter_frames(clip: Clip) -> Iterator[tuple[float, np.ndarray]]:
    """``(time_s, frame (height, width, 3) uint8 RGB)`` in order, one at a time in memory.

    Times are the container's, counted from the clip's start; frames are as
    displayed. Raises `ClipFailure` (no_video, unreadable, ...); truncated
    comes after the last good frame.
    """
    if clip.video_path is None:
        raise ClipFailure(Status.no_video, clip.clip_id, "expected video_path, found none")
    shown = False
    for time_s, frame in decoded(clip, clip.video_path, "video"):
        if time_s >= clip.start_s - SLACK_S:
            shown = True
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
            yield time_s - clip.start_s, np.ascontiguousarray(pixels)
    if not shown:
        raise ClipFailure(Status.truncated, clip.clip_id, f"no frame after {clip.start_s:.3f} s in the file")
