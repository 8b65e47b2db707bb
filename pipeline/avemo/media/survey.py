"""One pass over a file's packets, none decoded: where each stream lies on one timeline, and what the header promises.

Index and extraction both ask `surveyed`, so that they agree on a file's length, its streams and its joins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from avemo.base.contracts import Clip, ClipFailure, MachineError, Status
from avemo.media.clocks import BACK_S, Clocks
from avemo.media.container import MICRO, SELF_FRAMED, chosen, open_media, raise_storage, streams_of
from avemo.media.files import PLACEHOLDERS, check_file, promised_bytes

JOINABLE = {"mpegts", "mpeg", "ogg"}
"""Formats whose clocks may jump ahead (AVFMT_TS_DISCONT)."""
RIFF = {"avi", "wav"}
LONG_HEADER = 1024
"""Bytes by which writers of RIFF err, who count headers in or twice."""
# Less than this missing, or under a tenth of the clip, is a container's rounding.
MISSING_S, MISSING_FRACTION = 0.3, 0.1
REMEMBERED = 8
MANY_S = 1e7
PASSES = 3


@dataclass(frozen=True)
class Track:
    """A stream that is read, number ``number`` (from 1) ``of`` its kind; it ends ``end_s`` after the file's start.

    ``fps`` is the mean rate of its pictures, where the container knows one, ``pixels`` the width of a pixel over its height.

    ``jumps`` are pairs: from this packet of the stream on, so many seconds are added to its timestamps.
    ``is_decode_times``: its timestamps are in the order of decoding, and its pictures may not be.
    """

    index: int
    number: int
    of: int
    is_default: bool
    end_s: float
    packets: int
    fps: float | None = None
    pixels: Fraction | None = None
    jumps: tuple[tuple[int, float], ...] = ()
    is_decode_times: bool = False


@dataclass(frozen=True)
class Survey:
    """A file's streams that are read, None where there is none of the kind. Times in seconds since its start.

    ``origin_s`` is the clock at the file's start, ``end_s`` where its sound and pictures end, ``promised_s`` how long the
    header says it is, where it is longer. ``joins_s`` are the times at which parts begin, ``torn_s`` where the streams'
    clocks part; ``is_cut``: the header's promise is exact, so that anything missing counts; ``stops`` says why no packet
    comes any more, if that is not the end.
    """

    sound: Track | None
    pictures: Track | None
    origin_s: float
    end_s: float
    promised_s: float | None
    joins_s: tuple[float, ...] = ()
    torn_s: float | None = None
    is_self_framed: bool = False
    is_cut: bool = False
    stops: str = ""

    def track(self, kind: str, clip_id: str, path: Path) -> Track:
        """The stream of ``kind`` (audio, video); raises `ClipFailure` where there is none."""
        found = self.sound if kind == "audio" else self.pictures
        if found is None:
            status = Status.no_audio if kind == "audio" else Status.no_video
            raise ClipFailure(status, clip_id, f"expected a stream of {kind}, found none in {path}")
        return found

    def check(self, clip: Clip, path: Path) -> None:
        """Raise `ClipFailure` for an interval that the file has not: ``outside``, ``truncated`` or ``discontinuous``."""
        whole_s = max(self.end_s, self.promised_s or 0.0)
        end_s = whole_s if clip.end_s is None else clip.end_s
        if clip.start_s >= whole_s or _is_much(end_s - whole_s, end_s - clip.start_s):
            asked = f"{clip.start_s:{_digits(clip.start_s)}} to {end_s:{_digits(end_s)}} s"
            detail = f"expected {asked} of {path}, found {whole_s:.2f} s in all"
            raise ClipFailure(Status.outside, clip.clip_id, detail)
        wanted_s = min(whole_s, end_s) - clip.start_s
        found_s = min(max(0.0, self.end_s - clip.start_s), wanted_s)
        if _is_much(wanted_s - found_s, wanted_s) or (self.is_cut and wanted_s > found_s):
            detail = f"expected {wanted_s:.2f} s, found {found_s:.2f} s in {path}"
            raise ClipFailure(Status.truncated, clip.clip_id, f"{detail} {self.stops}".rstrip())
        if self.torn_s is not None and end_s > self.torn_s:
            detail = f"one stream's clock goes back at {self.torn_s:.2f} s, the other's does not, in {path}"
            raise ClipFailure(Status.discontinuous, clip.clip_id, detail)

    def interval_s(self, clip: Clip) -> float:
        """Length of the clip's interval within the file."""
        end_s = self.end_s if clip.end_s is None else min(self.end_s, clip.end_s)
        return max(0.0, end_s - clip.start_s)


def _digits(seconds: float) -> str:
    """How a table's number is shown, which may have hundreds of digits."""
    return ".2f" if seconds < MANY_S else ".3g"


def _is_much(missing_s: float, of_s: float) -> bool:
    return missing_s > MISSING_S and missing_s > MISSING_FRACTION * of_s


def surveyed(path: Path, clip_id: str) -> Survey:
    """What is in a file; raises `ClipFailure` for one that cannot be opened.

    The last few are remembered, since a film's intervals come one after the other.
    """
    check_file(path, clip_id)
    stat = os.stat(path)
    return _surveyed(
        path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns), clip_id
    )


@lru_cache(REMEMBERED)
def _surveyed(path: Path, _: tuple[int, ...], clip_id: str) -> Survey:
    found = _once(path, clip_id)
    for _again in range(PASSES):
        # A storage that is away for a moment stops the packets as a damaged file does, but not there again.
        before, found = found, _once(path, clip_id) if found.stops else found
        if found == before or not found.stops:
            return found
    raise MachineError(
        f"{clip_id}: {path} cannot be read: its packets stop elsewhere each time {found.stops}; see to its storage"
    )


def _once(path: Path, clip_id: str) -> Survey:
    with open_media(path, clip_id) as container:
        leading = {s.index for kind in ("audio", "video") for s in streams_of(container, kind)}
        clocks, stops = Clocks(leading, container.format.name in JOINABLE), ""
        for packet in _packets(container, path, clip_id):
            if isinstance(packet, str):
                stops = packet
            else:
                clocks.see(packet, _untimed_s(packet))
        return _summed_up(container, path, clocks, stops)


def _packets(container: Any, path: Path, clip_id: str) -> Iterator[Any]:
    """Every packet with content; last, a text that says why there are no more, if that is not the end."""
    import av

    try:
        yield from (packet for packet in container.demux() if packet.size)
    except av.FFmpegError as error:
        raise_storage(path, clip_id, error)
        yield f"({error})"


def _untimed_s(packet: Any) -> float:
    """Length of the sound in a packet without a timestamp, by decoding it: where parts were joined, parsers lose theirs."""
    import av

    if packet.pts is not None or packet.dts is not None or packet.stream.type != "audio":
        return 0.0
    try:
        return float(sum(frame.samples / frame.sample_rate for frame in packet.decode()))
    except av.FFmpegError:
        return 0.0


def _summed_up(container: Any, path: Path, clocks: Clocks, stops: str) -> Survey:
    shifts = clocks.shifts_s()
    joins = [number for number in range(1, len(shifts)) if shifts[number] != shifts[number - 1]]
    origin_s = (container.start_time or 0) / MICRO
    if joins and abs(clocks.parts[0].start_s - origin_s) > BACK_S:
        # libav takes the earliest clock, which may be a later part's.
        origin_s = clocks.parts[0].start_s
    ends_s = {
        index: max(end_s + shifts[part] for part, end_s in clock.ends_s.items()) - origin_s
        for index, clock in clocks.streams.items()
        if clock.ends_s
    }
    tracks = {kind: _track(container, kind, clocks, shifts, ends_s) for kind in ("audio", "video")}
    end_s = max((track.end_s for track in tracks.values() if track), default=0.0)
    torn_s = clocks.torn_s()
    promised_s = None if joins else _promised_s(container, path, end_s, max([end_s, *ends_s.values()]))
    return Survey(
        sound=tracks["audio"],
        pictures=tracks["video"],
        origin_s=origin_s,
        end_s=end_s,
        promised_s=promised_s,
        joins_s=tuple(clocks.parts[number].start_s + shifts[number] - origin_s for number in joins),
        torn_s=None if torn_s is None else torn_s - origin_s,
        is_cut=container.format.name in RIFF and promised_s is not None,
        is_self_framed=container.format.name in SELF_FRAMED,
        stops=stops,
    )


def _track(
    container: Any, kind: str, clocks: Clocks, shifts: list[float], ends_s: dict[int, float]
) -> Track | None:
    from av.stream import Disposition

    streams = streams_of(container, kind)
    stream = chosen(streams)
    if stream is None:
        return None
    clock, untimed = clocks.streams.get(stream.index), clocks.untimed.get(stream.index, 0)
    packets, end_s = (
        (clock.packets if clock else 0) + untimed,
        ends_s.get(stream.index, clocks.untimed_s.get(stream.index, 0.0)),
    )
    fps = float(stream.average_rate) if kind == "video" and stream.average_rate else None
    if untimed and fps:
        end_s = max(end_s, packets / fps)
    entered = sorted(clock.entered.items()) if clock else []
    jumps = [(packet, shifts[part]) for packet, part in entered]
    return Track(
        index=stream.index,
        number=streams.index(stream) + 1,
        of=len(streams),
        is_default=bool(stream.disposition & Disposition.default),
        end_s=end_s,
        packets=packets,
        fps=fps,
        pixels=stream.sample_aspect_ratio if kind == "video" else None,
        jumps=tuple(jumps) if any(shift for _, shift in jumps) else (),
        is_decode_times=kind == "video"
        and bool(stream.codec_context.has_b_frames)
        and clock is not None
        and clock.is_rising
        and clock.packets > 1,
    )


def _promised_s(container: Any, path: Path, end_s: float, furthest_s: float) -> float | None:
    """How long the header says that sound and pictures are, where that is more than they are, which end at ``end_s``.

    None also where the header was written before the size was known, and where libav can only guess.
    """
    if container.duration is None or container.format.name in SELF_FRAMED:
        return None
    promised_s = container.duration / MICRO
    by_size_s = end_s * max(1.0, (promised_bytes(path) or 0) / path.stat().st_size)
    streams = [stream for kind in ("audio", "video") for stream in streams_of(container, kind)]
    if container.format.name in RIFF:
        # libav shortens their durations to what the file holds.
        return by_size_s if (promised_bytes(path) or 0) > path.stat().st_size + LONG_HEADER else None
    if "matroska" in container.format.name:
        # It counts from its clock's zero, wherever the streams start; a subtitle may outlast the film.
        promised_s -= (container.start_time or 0) / MICRO
        promised_s = by_size_s if promised_s - furthest_s <= MISSING_S else promised_s
    elif streams and all(stream.duration for stream in streams):
        promised_s = min(promised_s, max(float(s.duration * s.time_base) for s in streams))
    implied = promised_s * sum(stream.codec_context.bit_rate or 0 for stream in streams) / 8
    if any(low <= implied <= high for low, high in PLACEHOLDERS):
        return None
    return promised_s if promised_s - end_s > MISSING_S else None
