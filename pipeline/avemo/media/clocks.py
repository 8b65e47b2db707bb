"""A file's clocks, followed packet by packet, and one timeline made of them.

Files joined end to end (``cat a.ts b.ts``) start their clocks anew in the middle. As in ffmpeg, a clock that goes back
by more than 0.1 s, or ahead by more than 10 s where the format allows for joins, begins a new part; a part begins where
the part before it ends, and its streams keep their distance to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BACK_S, AHEAD_S = 0.1, 10.0
"""ffmpeg's limits (`ts_discontinuity_detect`, `-dts_delta_threshold`)."""
INTERLEAVED_S = 5.0
"""A stream may enter a part so much later than another one."""


@dataclass
class Part:
    """A stretch of a file on one clock: its first and last time by that clock, and where it ended when the next began."""

    start_s: float
    end_s: float
    jumped_ahead: bool = False
    ended_s: float = float("inf")


@dataclass
class Clock:
    """One stream's: its part, last decoding time, packets seen, and whether display times only ever rose.

    ``entered`` says with which packet it came to which part, ``ends_s`` where its content ends in each.
    """

    part: int
    last_s: float = float("nan")
    packets: int = 0
    entered: dict[int, int] = field(default_factory=dict)
    ends_s: dict[int, float] = field(default_factory=dict)
    shown_s: float = float("-inf")
    is_rising: bool = True

    def jumps(self, decoded_s: float, ahead_s: float) -> bool:
        """Whether a packet's decoding time does not go on from the last one's."""
        return decoded_s < self.last_s - BACK_S or decoded_s > self.last_s + ahead_s


class Clocks:
    """Those of all of a file's streams. ``leading`` are the streams of sound and pictures: they alone begin parts."""

    def __init__(self, leading: set[int], joinable: bool):
        self.leading, self.ahead_s = leading, AHEAD_S if joinable else float("inf")
        self.parts: list[Part] = []
        self.streams: dict[int, Clock] = {}
        self.untimed: dict[int, int] = {}
        self.untimed_s: dict[int, float] = {}

    def see(self, packet: Any, untimed_s: float = 0.0) -> None:
        """Take in the file's next packet; ``untimed_s`` is the length of sound in one without a timestamp."""
        index, tick = packet.stream.index, packet.time_base
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            self.untimed[index] = self.untimed.get(index, 0) + 1
            self._append(index, untimed_s)
            return
        shown_s = float(stamp * tick)
        clock = self._at(index, None if packet.dts is None else float(packet.dts * tick), shown_s)
        clock.is_rising &= shown_s > clock.shown_s
        clock.shown_s, clock.packets = shown_s, clock.packets + 1
        if packet.is_discard:
            return
        end_s = shown_s + float((packet.duration or 0) * tick)
        clock.ends_s[clock.part] = max(end_s, clock.ends_s.get(clock.part, end_s))
        if index in self.leading:
            part = self.parts[clock.part]
            part.start_s, part.end_s = min(part.start_s, shown_s), max(part.end_s, end_s)

    def _append(self, index: int, seconds: float) -> None:
        """Put content without a timestamp behind what came before it."""
        clock = self.streams.get(index)
        if clock is None or clock.part not in clock.ends_s:
            self.untimed_s[index] = self.untimed_s.get(index, 0.0) + seconds
            return
        clock.ends_s[clock.part] += seconds
        if index in self.leading:
            part = self.parts[clock.part]
            part.end_s = max(part.end_s, clock.ends_s[clock.part])

    def _at(self, index: int, decoded_s: float | None, shown_s: float) -> Clock:
        """A stream's clock, in the part that its packet of these times belongs to."""
        clock = self.streams.get(index)
        if clock is None:
            clock = self.streams[index] = Clock(self._beside(0, shown_s))
            clock.entered[0] = clock.part
        elif decoded_s is not None and clock.jumps(decoded_s, self.ahead_s):
            clock.part = self._beside(
                clock.part + 1, shown_s, index in self.leading, decoded_s > clock.last_s
            )
            clock.entered[clock.packets] = clock.part
        if decoded_s is not None:
            clock.last_s = decoded_s
        return clock

    def _beside(self, least: int, now_s: float, begins: bool = True, ahead: bool = False) -> int:
        """The last part from ``least`` on whose clock is near this time; a new one if there is none, and the stream leads."""
        for number in reversed(range(least, len(self.parts))):
            if self.parts[number].start_s - AHEAD_S <= now_s <= self.parts[number].end_s + AHEAD_S:
                return number
        if self.parts and (least == 0 or not begins):
            return len(self.parts) - 1
        if self.parts:
            self.parts[-1].ended_s = self.parts[-1].end_s
        self.parts.append(Part(now_s, now_s, ahead))
        return len(self.parts) - 1

    def shifts_s(self) -> list[float]:
        """Seconds to add to each part's clock for one timeline."""
        shifts = [0.0][: len(self.parts)]
        for before, part in zip(self.parts, self.parts[1:], strict=False):
            # One stream paused, while another ran on: no join.
            bridged = part.jumped_ahead and part.start_s <= before.end_s + AHEAD_S
            shifts.append(shifts[-1] + (0.0 if bridged else before.end_s - part.start_s))
        return shifts

    def torn_s(self) -> float | None:
        """Where one stream's clock went back and another's did not, by the first clock: no timeline fits both."""
        for before, part in zip(self.parts, self.parts[1:], strict=False):
            if not part.jumped_ahead and before.end_s > before.ended_s + INTERLEAVED_S:
                return before.ended_s
        return None
