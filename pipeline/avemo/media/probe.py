"""What headers say of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.media.container import interval_s, open_media, promised_s, stream_of


@dataclass(frozen=True)
class MediaInfo:
    """What the containers say of a clip. None: not said, or no such stream.

    Size is as displayed, i.e. after the counter-clockwise ``rotation_deg``.
    ``duration_s`` and ``n_frames`` are those of the clip's interval.
    """

    duration_s: float | None
    audio_rate_hz: int | None
    fps: float | None
    n_frames: int | None
    width: int | None
    height: int | None
    rotation_deg: int


def probe(clip: Clip) -> MediaInfo:
    """Read headers, and the first picture for its rotation. Raises `ClipFailure`."""
    duration_s = fps = n_frames = width = height = rate = None
    rotation = 0
    if clip.video_path is not None:
        with open_media(clip.video_path, clip.clip_id) as container:
            stream = stream_of(container, "video", clip)
            duration_s = interval_s(clip, promised_s(container))
            fps = float(stream.average_rate) if stream.average_rate else None
            n_frames = _n_frames(clip, stream.frames, duration_s, fps)
            rotation = _first(container, stream, clip).rotation
            width, height = stream.width, stream.height
            if rotation % 180:
                width, height = height, width
            if clip.audio_path is None and container.streams.audio:
                rate = container.streams.audio[0].rate
    if clip.audio_path is not None:
        with open_media(clip.audio_path, clip.clip_id) as container:
            rate = stream_of(container, "audio", clip).rate
            if clip.video_path is None:
                duration_s = interval_s(clip, promised_s(container))
    return MediaInfo(duration_s, rate, fps, n_frames, width, height, rotation)


def _first(container: Any, stream: Any, clip: Clip) -> Any:
    import av

    try:
        return next(container.decode(stream))
    except (av.FFmpegError, StopIteration) as error:
        raise ClipFailure(Status.unreadable, clip.clip_id, f"no picture decodes ({error!r})") from error


def _n_frames(clip: Clip, counted: int, duration_s: float | None, fps: float | None) -> int | None:
    if counted and clip.start_s == 0 and clip.end_s is None:
        return counted
    return round(duration_s * fps) if duration_s and fps else None
