"""Containers opened: at the clip's interval, with the stream asked for, and the length they promise."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.media.files import check_file, mp4_bytes

MICRO = 1_000_000
# Decoders need some signal before they are exact, and a key frame's decoding
# time precedes its display time; so seeking aims this far ahead of the target.
PREROLL_S = 0.5
# Elementary streams: libav guesses their duration from the bit rate.
GUESSED_DURATION = {"aac", "ac3", "amr", "eac3", "loas", "mp3"}


def open_media(path: Path, clip_id: str) -> Any:
    """The container of a file; raises `ClipFailure` for one that is absent, cut short or understood by no demuxer."""
    import av

    check_file(path, clip_id)
    try:
        # Absolute, so that no file name can be taken for a protocol ("concat:...").
        return av.open(str(path.absolute()), metadata_errors="replace")
    except av.FFmpegError as error:
        promised = mp4_bytes(path)
        if promised > path.stat().st_size:
            detail = f"expected {promised} bytes or more, found {path.stat().st_size} in {path}"
            raise ClipFailure(Status.truncated, clip_id, detail) from error
        raise ClipFailure(Status.unreadable, clip_id, f"{path} cannot be opened ({error})") from error


def open_at(clip: Clip, path: Path, kind: str) -> Any:
    """The container at a packet before ``start_s``; at its beginning where the format cannot seek well."""
    import av

    container = open_media(path, clip.clip_id)
    if clip.start_s <= PREROLL_S:
        return container
    origin_s = (container.start_time or 0) / MICRO
    target = int((origin_s + clip.start_s - PREROLL_S) * MICRO)
    with suppress(av.FFmpegError):
        container.seek(target)
        packets = container.demux(stream_of(container, kind, clip))
        first = next((packet for packet in packets if packet.pts is not None), None)
        if first is not None and float(first.pts * first.time_base) - origin_s <= clip.start_s:
            container.seek(target)
            return container
    container.close()
    return open_media(path, clip.clip_id)


def stream_of(container: Any, kind: str, clip: Clip) -> Any:
    """The first stream of ``kind`` that a decoder is known for; a cover picture is no video."""
    from av.stream import Disposition

    streams = container.streams.audio if kind == "audio" else container.streams.video
    real = [s for s in streams if not s.disposition & Disposition.attached_pic and s.codec_context]
    if not real:
        status = Status.no_audio if kind == "audio" else Status.no_video
        detail = f"expected a stream of {kind}, found none in {container.name}"
        raise ClipFailure(status, clip.clip_id, detail)
    return real[0]


def promised_s(container: Any) -> float | None:
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


def interval_s(clip: Clip, declared_s: float | None) -> float | None:
    """Length of the clip's interval, within the file as far as its length is known."""
    ends = [end for end in (declared_s, clip.end_s) if end is not None]
    return max(0.0, min(ends) - clip.start_s) if ends else None
