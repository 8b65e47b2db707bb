"""Decoding: sound, frames and their times.

Sound and picture of a clip share one clock. Its zero is ``clip.start_s``
after the file's own start, i.e. after the earliest stream's first timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.base.frames import FrameBuffer

LFS_HEADER = b"version https://git-lfs"
MICRO = 1_000_000
# Decoders need some signal before they are exact, and a key frame's decoding
# time precedes its display time; so seeking aims this far ahead of the target.
PREROLL_S = 0.5
# Beyond this, sound whose timestamps leave its sample count behind is moved to its timestamp.
MAX_DRIFT_S = 0.1
# Less than this missing, or under a tenth of the clip, is a container's rounding.
MISSING_S, MISSING_FRACTION = 0.3, 0.1
# Elementary streams: libav guesses their duration from the bit rate.
GUESSED_DURATION = {"aac", "ac3", "amr", "eac3", "loas", "mp3"}
SLACK_S = 1e-6


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


def check_file(path: Path, clip_id: str) -> None:
    """Raise `ClipFailure` unless ``path`` is a file with bytes of its own."""
    if not path.is_file():
        raise ClipFailure(Status.missing_file, clip_id, f"expected a media file, found none at {path}")
    size = path.stat().st_size
    if size == 0:
        raise ClipFailure(Status.empty_file, clip_id, f"expected media, found 0 bytes in {path}")
    if size < 1024 and path.read_bytes().startswith(LFS_HEADER):
        raise ClipFailure(Status.lfs_pointer, clip_id, f"expected media, found a Git LFS pointer in {path}")


def check_length(path: Path, clip_id: str) -> None:
    """Raise `ClipFailure` if ``path`` is shorter than its header says, which a copy cut short is."""
    declared, size = _declared_bytes(path), path.stat().st_size
    if declared and size < declared:
        detail = f"expected the {declared} bytes that the header declares, found {size} in {path}"
        raise ClipFailure(Status.truncated, clip_id, detail)


def _declared_bytes(path: Path) -> int | None:
    """How long a WAV or AVI file says it is at least; None where it says nothing."""
    with path.open("rb") as file:
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
    # Writers to a pipe cannot know; some count the 8 bytes up to the field's end, some do not.
    return size if name == b"RIFF" and size < 0xFFFF_FFFF else None


def probe(clip: Clip) -> MediaInfo:
    """Read headers, and the first picture for its rotation. Raises `ClipFailure`."""
    duration_s = fps = n_frames = width = height = rate = None
    rotation = 0
    if clip.video_path is not None:
        with _open(clip.video_path, clip.clip_id) as container:
            stream = _stream(container, "video", clip)
            duration_s = _interval_s(clip, _declared_s(container))
            fps = float(stream.average_rate) if stream.average_rate else None
            n_frames = _n_frames(clip, stream.frames, duration_s, fps)
            rotation = _first(container, stream, clip).rotation
            width, height = stream.width, stream.height
            if rotation % 180:
                width, height = height, width
            if clip.audio_path is None and container.streams.audio:
                rate = container.streams.audio[0].rate
    if clip.audio_path is not None:
        with _open(clip.audio_path, clip.clip_id) as container:
            rate = _stream(container, "audio", clip).rate
            if clip.video_path is None:
                duration_s = _interval_s(clip, _declared_s(container))
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


def _interval_s(clip: Clip, declared_s: float | None) -> float | None:
    """Length of the clip's interval, within the file as far as its length is known."""
    ends = [end for end in (declared_s, clip.end_s) if end is not None]
    return max(0.0, min(ends) - clip.start_s) if ends else None


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


def resampler() -> str:
    """Name and version of what changes the rate of sound: part of every acoustic feature's key."""
    import av

    return f"libswresample {'.'.join(map(str, av.library_versions['libswresample']))}"


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

    for time_s, frame in _decoded(clip, path, "audio"):
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


def iter_frames(clip: Clip) -> Iterator[tuple[float, np.ndarray]]:
    """``(time_s, frame (height, width, 3) uint8 RGB)`` in order, one at a time in memory.

    Times are the container's, counted from the clip's start; frames are as
    displayed. Raises `ClipFailure` (no_video, unreadable, ...); truncated
    comes after the last good frame.
    """
    if clip.video_path is None:
        raise ClipFailure(Status.no_video, clip.clip_id, "expected video_path, found none")
    shown = False
    for time_s, frame in _decoded(clip, clip.video_path, "video"):
        if time_s >= clip.start_s - SLACK_S:
            shown = True
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
            yield time_s - clip.start_s, np.ascontiguousarray(pixels)
    if not shown:
        raise ClipFailure(Status.truncated, clip.clip_id, f"no frame after {clip.start_s:.3f} s in the file")


def _decoded(clip: Clip, path: Path, kind: str) -> Iterator[tuple[float, Any]]:
    """``(seconds since the file's start, libav frame)``, from a little before ``start_s`` to ``end_s``."""
    import av

    until_s = np.inf if clip.end_s is None else clip.end_s + (MAX_DRIFT_S if kind == "audio" else -SLACK_S)
    with _open_at(clip, path, kind) as container:
        stream = _stream(container, kind, clip)
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
        _check_end(clip, path, _declared_s(container), furthest_s)
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


def _open_at(clip: Clip, path: Path, kind: str) -> Any:
    """The container at a packet before ``start_s``; at its beginning where the format cannot seek well."""
    import av

    container = _open(path, clip.clip_id)
    if clip.start_s <= PREROLL_S:
        return container
    origin_s = (container.start_time or 0) / MICRO
    target = int((origin_s + clip.start_s - PREROLL_S) * MICRO)
    with suppress(av.FFmpegError):
        container.seek(target)
        packets = container.demux(_stream(container, kind, clip))
        first = next((packet for packet in packets if packet.pts is not None), None)
        if first is not None and float(first.pts * first.time_base) - origin_s <= clip.start_s:
            container.seek(target)
            return container
    container.close()
    return _open(path, clip.clip_id)


def _check_end(clip: Clip, path: Path, declared_s: float | None, furthest_s: float) -> None:
    """Raise `ClipFailure` (truncated) if the file's last packet ends long before the interval does."""
    wanted_s = _interval_s(clip, declared_s) if declared_s else None
    if wanted_s is None:
        return
    missing_s = wanted_s - max(0.0, furthest_s - clip.start_s)
    if missing_s > MISSING_S and missing_s > MISSING_FRACTION * wanted_s:
        detail = f"expected {wanted_s:.2f} s, found {wanted_s - missing_s:.2f} s in {path}"
        raise ClipFailure(Status.truncated, clip.clip_id, detail)


def _declared_s(container: Any) -> float | None:
    """Duration that the container promises, None where it does not or libav can only guess.

    libav shortens a RIFF file's (WAV, AVI) duration to what the file holds; the
    promise is restored from the byte count in the RIFF header. Matroska's
    counts from its clock's zero, wherever the streams start.
    """
    if container.duration is None or container.format.name in GUESSED_DURATION:
        return None
    if "matroska" in container.format.name:
        return (container.duration - (container.start_time or 0)) / MICRO
    path = Path(container.name)
    with path.open("rb") as file:
        head = file.read(8)
    promised = int.from_bytes(head[4:8], "little") + 8
    # 0 and the largest value are left by writers that could not seek back.
    known = head[:4] == b"RIFF" and 8 < promised < 0xFFFFFFFF
    return container.duration / MICRO * (max(1.0, promised / path.stat().st_size) if known else 1.0)


def _open(path: Path, clip_id: str) -> Any:
    import av

    check_file(path, clip_id)
    try:
        # Absolute, so that no file name can be taken for a protocol ("concat:...").
        return av.open(str(path.absolute()), metadata_errors="replace")
    except av.FFmpegError as error:
        promised = _mp4_bytes(path)
        if promised > path.stat().st_size:
            detail = f"expected {promised} bytes or more, found {path.stat().st_size} in {path}"
            raise ClipFailure(Status.truncated, clip_id, detail) from error
        raise ClipFailure(Status.unreadable, clip_id, f"{path} cannot be opened ({error})") from error


def _mp4_bytes(path: Path) -> int:
    """Bytes that an MP4's outermost boxes promise; 0 for other files.

    An MP4 whose index comes last cannot be opened at all when its end is missing.
    """
    end, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while end < total:
            file.seek(end)
            head = file.read(16)
            if end == 0 and head[4:8] != b"ftyp":
                return 0
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if size < 8:
                return total
            end += size
    return end


def _stream(container: Any, kind: str, clip: Clip) -> Any:
    """The first stream of ``kind`` that a decoder is known for; a cover picture is no video."""
    from av.stream import Disposition

    streams = container.streams.audio if kind == "audio" else container.streams.video
    real = [s for s in streams if not s.disposition & Disposition.attached_pic and s.codec_context]
    if not real:
        status = Status.no_audio if kind == "audio" else Status.no_video
        detail = f"expected a stream of {kind}, found none in {container.name}"
        raise ClipFailure(status, clip.clip_id, detail)
    return real[0]
