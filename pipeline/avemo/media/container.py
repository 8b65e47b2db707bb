"""Containers opened: those that hold their own sound and pictures, at the clip's interval, at the stream to be read."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo.base.contracts import Clip, ClipFailure, Status
from avemo.base.passing import AWAY, EXHAUSTED
from avemo.media.files import check_file, mp4_bytes, unread

if TYPE_CHECKING:
    from avemo.media.survey import Survey, Track

MICRO = 1_000_000
# Decoders need some signal before they are exact, and a key frame's decoding
# time precedes its display time; so seeking aims this far ahead of the target.
PREROLL_S = 0.5
SELF_FRAMED = {
    "aac",
    "ac3",
    "amr",
    "amrnb",
    "amrwb",
    "dts",
    "eac3",
    "h264",
    "hevc",
    "loas",
    "m4v",
    "mp3",
    "mpegvideo",
}
"""Elementary streams: frames in a row and nothing else, so that libav guesses their length from the bit rate."""
FORMATS = (
    *SELF_FRAMED,
    *(
        "aiff",
        "ape",
        "asf",
        "au",
        "av1",
        "avi",
        "caf",
        "dsf",
        "dtshd",
        "dv",
        "flac",
        "flv",
        "gif",
        "gxf",
        "iff",
        "image2",
    ),
    *(
        "ircam",
        "ivf",
        "kux",
        "live_flv",
        "matroska",
        "mjpeg",
        "mlp",
        "mov",
        "mpc",
        "mpc8",
        "mpeg",
        "mpegts",
        "mxf",
    ),
    *(
        "nistsphere",
        "nsv",
        "nut",
        "obu",
        "ogg",
        "oma",
        "rm",
        "shn",
        "smjpeg",
        "sox",
        "tak",
        "truehd",
        "tta",
        "vc1",
    ),
    *("voc", "w64", "wav", "wtv", "wv", "yuv4mpegpipe"),
)
"""What libav may take a file for. Lists (concat, HLS, DASH), pictures by pattern, devices and raw samples are none."""
# No name of a picture is a pattern that names other files.
OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file", "pattern_type": "none"}
BLOCK = 2**20


def open_media(path: Path, clip_id: str) -> Any:
    """The container of a file; raises `ClipFailure` for one that is absent, cut short or understood by no demuxer."""
    import av

    check_file(path, clip_id)
    try:
        with suppress(av.FFmpegError):
            return _open(path)
        # What is the file's fault comes again.
        return _open(path)
    except av.FFmpegError as error:
        raise_storage(path, clip_id, error)
        promised = mp4_bytes(path)
        if promised > path.stat().st_size:
            detail = f"expected {promised} bytes or more, found {path.stat().st_size} in {path}"
            raise ClipFailure(Status.truncated, clip_id, detail) from error
        if error.errno == errno.EINVAL:
            detail = f"expected a container of sound or pictures, found another kind of file at {path}"
            raise ClipFailure(Status.not_media, clip_id, detail) from error
        raise ClipFailure(Status.unreadable, clip_id, f"{path} cannot be opened ({error})") from error


def _open(path: Path) -> Any:
    import av

    # Absolute, so that no file name can be taken for a protocol ("concat:...").
    return av.open(str(path.absolute()), metadata_errors="replace", options=OPTIONS)


def raise_storage(path: Path, clip_id: str, error: Any) -> None:
    """Raise for an error of libav that is the storage's or the machine's, not the file's.

    Its demuxers also call a file that ends early an input error, so the file is read to see.
    """
    if isinstance(error, MemoryError) or error.errno in EXHAUSTED:
        raise unread(path, clip_id, error) from error
    if error.errno in AWAY:
        try:
            with path.open("rb") as file:
                while file.read(BLOCK):
                    pass
        except OSError as found:
            raise unread(path, clip_id, found) from found


def open_at(clip: Clip, path: Path, track: Track, survey: Survey) -> Any:
    """The container at a packet before ``start_s``; at its beginning where the format cannot seek well."""
    import av

    container = open_media(path, clip.clip_id)
    if clip.start_s <= PREROLL_S or track.jumps:
        return container
    target = int((survey.origin_s + clip.start_s - PREROLL_S) * MICRO)
    with suppress(av.FFmpegError):
        container.seek(target)
        packets = container.demux(container.streams[track.index])
        first = next((packet for packet in packets if packet.pts is not None), None)
        if first is not None and float(first.pts * first.time_base) - survey.origin_s <= clip.start_s:
            container.seek(target)
            return container
    container.close()
    return open_media(path, clip.clip_id)


def streams_of(container: Any, kind: str) -> list[Any]:
    """The streams of ``kind`` that a decoder is known for; a cover picture is no video."""
    from av.stream import Disposition

    streams = container.streams.audio if kind == "audio" else container.streams.video
    return [s for s in streams if not s.disposition & Disposition.attached_pic and s.codec_context]


def chosen(streams: list[Any]) -> Any:
    """The first that is flagged as default, as players take it; else the first; None where there is none."""
    from av.stream import Disposition

    default = [s for s in streams if s.disposition & Disposition.default]
    return (default or streams or [None])[0]
