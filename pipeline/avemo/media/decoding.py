"""Decoding: sound, frames and their times.

Sound and picture of a clip share one clock. Its zero is ``clip.start_s``
after the file's own start, i.e. after the earliest stream's first timestamp.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from avemo.base.contracts import Clip, ClipFailure, MachineError, Status
from avemo.base.passing import AWAY
from avemo.media.container import PREROLL_S, open_at, raise_storage
from avemo.media.survey import Survey, Track, surveyed

# Beyond this, sound whose timestamps leave its sample count behind is moved to its timestamp.
MAX_DRIFT_S = 0.1
SLACK_S = 1e-6
MOST_DAMAGED = 0.1
"""The share of a clip's frames that may be damaged."""
REORDERED = 16
"""Pictures at most that are decoded before one that is shown earlier (H.264, HEVC)."""


@dataclass
class Tally:
    """Frames of one stream in a clip: decoded, of these marked corrupt by the decoder, and lost to it altogether."""

    decoded: int = 0
    corrupt: int = 0
    lost: int = 0

    @property
    def share(self) -> float:
        """Of frames that are damaged or lost."""
        return (self.corrupt + self.lost) / max(1, self.decoded + self.lost)

    def __str__(self) -> str:
        return f"{self.corrupt + self.lost} of {self.decoded + self.lost} frames damaged"

    @classmethod
    def read(cls, text: str) -> Self:
        """What was written so in a text; nothing damaged where it does not say."""
        found = re.search(r"(\d+) of (\d+) frames damaged", text)
        return cls(int(found[2]), int(found[1])) if found else cls()


def decoded(clip: Clip, path: Path, kind: str, tally: Tally) -> Iterator[tuple[float, Any]]:
    """``(seconds since the file's start, libav frame)``, from a little before ``start_s`` to ``end_s``.

    Frames of the interval are counted in ``tally``. Raises `ClipFailure`: before the first frame where the file lacks
    stream or interval, after the last where more than `MOST_DAMAGED` of them are damaged.
    """
    survey = surveyed(path, clip.clip_id)
    track = survey.track(kind, clip.clip_id, path)
    survey.check(clip, path)
    until_s = np.inf if clip.end_s is None else clip.end_s + (MAX_DRIFT_S if kind == "audio" else -SLACK_S)
    any_frame = False
    with open_at(clip, path, track, survey) as container:
        frames = _timed(_Frames(container, clip, path, track, survey, tally), clip, track, survey)
        for time_s, frame in _in_order(frames) if track.is_decode_times else frames:
            any_frame = True
            if time_s >= until_s:
                break
            if time_s >= clip.start_s - SLACK_S:
                tally.decoded += 1
                tally.corrupt += frame.is_corrupt
            yield time_s, frame
    if not any_frame:
        raise ClipFailure(Status.unreadable, clip.clip_id, f"no frame of {kind} decodes in {path}")
    if tally.share > MOST_DAMAGED:
        raise ClipFailure(Status.corrupt, clip.clip_id, f"{tally} in the {kind} of {path}")


@dataclass
class _Frames:
    """Iterable of a track's frames, their timestamps on the file's one timeline; what is lost is counted."""

    container: Any
    clip: Clip
    path: Path
    track: Track
    survey: Survey
    tally: Tally

    def __iter__(self) -> Iterator[Any]:
        lost = 0
        for packet in self._packets():
            frames = self._decode(packet)
            if frames is None:
                lost += self._counts(packet)
                continue
            if frames:
                self.tally.lost += lost
                lost = 0
            yield from frames
        if not self.survey.is_self_framed:
            # In a bare row of frames, what follows the last good one need not have been media.
            self.tally.lost += lost

    def _packets(self) -> Iterator[Any]:
        import av

        jumps, ticks, timed = dict(self.track.jumps), 0, 0
        try:
            for packet in self.container.demux(self.container.streams[self.track.index]):
                if packet.size and (packet.pts is not None or packet.dts is not None):
                    # The survey counts those that a clock has seen.
                    ticks = round(jumps[timed] / packet.time_base) if timed in jumps else ticks
                    timed += 1
                if self.track.is_decode_times and packet.pts is None:
                    packet.pts = packet.dts
                if ticks:
                    packet.pts, packet.dts = (t if t is None else t + ticks for t in (packet.pts, packet.dts))
                yield packet
        except av.FFmpegError as error:
            # How much came until then, the survey has judged.
            raise_storage(self.path, self.clip.clip_id, error)
            if error.errno in AWAY and not self.survey.stops:
                raise MachineError(
                    f"{self.clip.clip_id}: {self.path} cannot be read now: {error}; see to its storage"
                ) from error

    def _decode(self, packet: Any) -> list[Any] | None:
        """A packet's frames; None where it does not decode."""
        import av

        try:
            return list(packet.decode())
        except av.FFmpegError as error:
            raise_storage(self.path, self.clip.clip_id, error)
            return None

    def _counts(self, packet: Any) -> bool:
        """Whether a packet's frames belong to the clip's interval."""
        if packet.pts is None:
            return bool(packet.size)
        time_s = float(packet.pts * packet.time_base) - self.survey.origin_s
        return self.clip.start_s <= time_s and (self.clip.end_s is None or time_s < self.clip.end_s)


def _timed(frames: Iterable[Any], clip: Clip, track: Track, survey: Survey) -> Iterator[tuple[float, Any]]:
    """Frames with their times; one without a timestamp (old AVI) comes when the one before it ends.

    Sound of joined parts is never laid over sound: its samples are counted on where a part began too early.
    """
    # Joined files are read from their beginning, where a stream may lead the file's start.
    time_s, step_s = (-np.inf if track.jumps else max(0.0, clip.start_s - PREROLL_S)), 0.0
    for frame in frames:
        samples = getattr(frame, "samples", 0)
        end_s = time_s + step_s
        time_s = max(0.0, end_s) if frame.time is None else frame.time - survey.origin_s
        if samples and track.jumps:
            time_s = max(time_s, end_s)
        step_s = samples / frame.sample_rate if samples else 1 / track.fps if track.fps else 0.0
        yield time_s, frame


def _in_order(frames: Iterable[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
    """Frames as they come, their times sorted: the first shown has the earliest."""
    times: list[float] = []
    waiting: deque[Any] = deque()
    for time_s, frame in frames:
        heapq.heappush(times, time_s)
        waiting.append(frame)
        if len(waiting) > REORDERED:
            yield heapq.heappop(times), waiting.popleft()
    while waiting:
        yield heapq.heappop(times), waiting.popleft()
