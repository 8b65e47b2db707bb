"""What a clip's files say of it, as far as their packets and the first picture tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.media.container import open_media, raise_storage
from avemo.media.display import is_mirrored, orientation, shown_size
from avemo.media.files import SOUND_SUFFIXES
from avemo.media.survey import Survey, Track, surveyed


@dataclass(frozen=True)
class MediaInfo:
    """What the files say of a clip. None: not said, or no such stream.

    Size is as displayed. ``duration_s`` and ``n_frames`` are those of the clip's interval. ``audio_reading`` and
    ``video_reading`` name what sets decoding apart from taking the first stream as it is stored; they are part of
    keys. ``notes`` say what was chosen.
    """

    duration_s: float | None = None
    audio_rate_hz: int | None = None
    fps: float | None = None
    n_frames: int | None = None
    width: int | None = None
    height: int | None = None
    audio_reading: str = ""
    video_reading: str = ""
    notes: str = ""


def kinds(path: Path, clip_id: str) -> list[str]:
    """Which of audio and video a file has; raises `ClipFailure` where it cannot be opened, or has neither."""
    found = surveyed(path, clip_id)
    streams = {"audio": found.sound, "video": found.pictures}
    if not any(streams.values()):
        raise ClipFailure(Status.not_media, clip_id, f"expected sound or pictures, found neither in {path}")
    return [kind for kind, stream in streams.items() if stream]


def with_streams(clip: Clip, found: list[str]) -> Clip:
    """A clip whose paths are one file with the streams ``found`` (`kinds`): a video with its sound, or one of them alone."""
    return replace(clip, audio_path=None) if "video" in found else replace(clip, video_path=None)


def by_suffix(clip: Clip) -> Clip:
    """A clip whose paths are one file that cannot be asked: sound or video by its name."""
    path = clip.video_path
    if path is None or path != clip.audio_path:
        return clip
    return (
        replace(clip, video_path=None)
        if path.suffix.lower() in SOUND_SUFFIXES
        else replace(clip, audio_path=None)
    )


def probe(clip: Clip) -> MediaInfo:
    """Read packets, and the first picture for how it is displayed. Raises `ClipFailure`."""
    surveys = {path: surveyed(path, clip.clip_id) for path in (clip.video_path, clip.audio_path) if path}
    for path, survey in surveys.items():
        survey.check(clip, path)
    info = MediaInfo(duration_s=next(iter(surveys.values())).interval_s(clip) if surveys else None)
    notes = [_joined(survey) for survey in surveys.values()]
    if clip.video_path is not None:
        info = replace(info, **_pictures(clip, clip.video_path, surveys[clip.video_path], notes))
    heard = clip.audio_path or clip.video_path
    if heard is not None and (clip.audio_path or surveys[heard].sound):
        info = replace(info, **_sound(clip, heard, surveys[heard], notes))
    return replace(info, notes="; ".join(filter(None, notes)))


def _pictures(clip: Clip, path: Path, survey: Survey, notes: list[str]) -> dict[str, Any]:
    track = survey.track("video", clip.clip_id, path)
    whole, length_s = clip.start_s == 0 and clip.end_s is None, survey.interval_s(clip)
    with open_media(path, clip.clip_id) as container:
        frame = _first(container, track, clip, path)
        matrix, size = orientation(frame), shown_size(frame.width, frame.height, track.pixels)
    stored = (frame.width, frame.height)
    changes = [
        _stream("picture", track, notes),
        "mirrored" if is_mirrored(matrix) else "",
        f"pixels {track.pixels}" if size != stored else "",
        "in order of decoding" if track.is_decode_times else "",
        "joined" if track.jumps else "",
    ]
    width, height = size if matrix[0] else size[::-1]
    return {
        "fps": track.fps,
        "n_frames": track.packets if whole else round(length_s * track.fps) if track.fps else None,
        "width": width,
        "height": height,
        "video_reading": ", ".join(filter(None, changes)),
    }


def _sound(clip: Clip, path: Path, survey: Survey, notes: list[str]) -> dict[str, Any]:
    track = survey.track("audio", clip.clip_id, path)
    with open_media(path, clip.clip_id) as container:
        rate_hz = container.streams[track.index].rate
    changes = [_stream("sound", track, notes), "joined" if track.jumps else ""]
    return {"audio_rate_hz": rate_hz, "audio_reading": ", ".join(filter(None, changes))}


def _stream(what: str, track: Track, notes: list[str]) -> str:
    """Which stream is read, if it is not the first; where there are several it is noted in any case."""
    if track.of > 1:
        why = "the default" if track.is_default else "the first"
        notes.append(f"{what}: stream {track.number} of {track.of}, {why}")
    return f"stream {track.number}" if track.number > 1 else ""


def _joined(survey: Survey) -> str:
    times = ", ".join(f"{join_s:.2f}" for join_s in survey.joins_s)
    return f"the file's clock starts anew, joined at {times} s" if times else ""


def _first(container: Any, track: Track, clip: Clip, path: Path) -> Any:
    """The first picture that decodes."""
    import av

    packets = container.demux(container.streams[track.index])
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            raise ClipFailure(Status.unreadable, clip.clip_id, f"no picture decodes in {path}") from None
        except av.FFmpegError as error:
            raise_storage(path, clip.clip_id, error)
            continue
        if frames:
            return frames[0]
