"""One face per clip: detect (`avemo.faces.cascade`) and track, link over time, choose, fill short gaps."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from avemo.base.arithmetic import arithmetic
from avemo.base.component import Component, Work
from avemo.base.contracts import (
    TRACK_COLUMNS,
    AvemoError,
    ComponentConfig,
    FeatureSequence,
    TrackStatus,
    digest,
    silent,
    speed,
)
from avemo.base.devices import choose_device

FACE = slice(0, 15)
"""The columns of a track that a detection fills: box, score, five landmarks."""
STATUS, N_FACES, MARGIN = (TRACK_COLUMNS.index(name) for name in ("status", "n_faces", "margin"))
# Boxes of one face in consecutive frames overlap by more than this.
LINK_IOU = 0.3
# Faces come and go within this, so that no two key frames of slow video lie farther apart than need be.
KEY_S = 0.3
# Frames; giving back takes as long as detection in a few.
GIVE_BACK_EVERY = 256
TOGETHER_BYTES = 64 * 2**20
"""Pixels of frames that a GPU is shown together: each of a network's many small steps costs a launch, for however few.
A CPU takes a key frame, and then those up to the next."""
NEAR = 0.4
"""Between key frames faces are looked for from this share of the smallest one's size."""


@dataclass
class Seen:
    """What detection left of a clip, frame by frame; ``faces[i]`` is ``(n, 15)``."""

    times_s: list[float] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    is_key: list[bool] = field(default_factory=list)
    size: tuple[int, int] = (1, 1)


class FaceTracker(Component):
    """The track of a clip's main face."""

    name: ClassVar[str] = "mtcnn"
    version: ClassVar[int] = 4
    libraries = ("av", "facenet-pytorch", "torch")
    work = Work(seconds=1.0, memory_mb=4000, gpu_mb=4000)

    class Config(ComponentConfig):
        """Settings of detection, linking and filling."""

        min_face: float = Field(default=0.12, gt=0, lt=1)
        """Smallest face looked for, as a fraction of the frame's shorter side."""
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
        """Scores that MTCNN's three stages ask for."""
        factor: float = Field(default=0.709, gt=0, lt=1)
        """Ratio of neighbouring scales of MTCNN's image pyramid."""
        score: float = Field(default=0.9, ge=0, le=1)
        """Final score from which a detection counts as a face."""
        key_every: int = Field(default=8, ge=1)
        """In every so many frames (slow video: each 0.3 s) faces of any size are looked for; in those between,
        faces of about the size that was found."""
        max_gap_s: float = Field(default=0.5, ge=0)
        """Longest time between two detections that is interpolated."""
        precision: Literal["float32", "tf32"] = silent("float32")
        """Arithmetic of the networks. ``tf32``: a GPU rounds factors to 10 bits; on a CPU it is float32."""
        device: str = speed("auto")
        """Torch device; auto takes a GPU if there is one."""

    def __init__(self, config: Config | None = None):
        from avemo.faces.cascade import Cascade

        self.config = config or self.Config()
        device = choose_device(self.config.device)
        self._cascade = Cascade(self.config.thresholds, self.config.factor, device)
        self._together = 0 if device.type == "cpu" else TOGETHER_BYTES

    def key_part(self) -> str:
        """This tracker's part of an item's key (`avemo.base.keys`)."""
        return digest([self.name, self.version, self.config.numbers(), self.versions()])

    def track(self, frames: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """``(time_s, frame (height, width, 3) uint8 RGB)`` to ``x (frames, 18)``, see `TRACK_COLUMNS`.

        Rows without a face hold zeros, status `TrackStatus.missing` and the
        number of faces seen, which between key frames leaves out much smaller
        ones. Frames stream; those up to the next key frame are kept, on a GPU a few more.
        """
        seen = self._detect(frames)
        _give_back_memory()
        times_s = np.asarray(seen.times_s, dtype=np.float64)
        chosen, margin = choose(link(seen.faces), seen.size)
        x = fill(chosen, seen.is_key, times_s, self.config.max_gap_s)
        x[:, N_FACES] = [len(found) for found in seen.faces]
        x[:, MARGIN] = margin
        return FeatureSequence(x, times_s)

    def _detect(self, frames: Iterable[tuple[float, np.ndarray]]) -> Seen:
        seen = Seen()
        groups: list[list[np.ndarray]] = []
        key_s, held = -np.inf, 0
        for time_s, frame in frames:
            if frame.ndim != 3 or frame.shape[2] != 3:
                raise AvemoError(
                    f"expected frames (height, width, 3), found {frame.shape}; convert them to RGB"
                )
            resized = bool(groups) and frame.shape != groups[-1][0].shape
            if not groups or resized or len(groups[-1]) == self.config.key_every or time_s - key_s >= KEY_S:
                if resized or held + self.config.key_every * frame.nbytes > self._together:
                    self._detect_groups(groups, seen)
                    groups, held = [], 0
                groups.append([])
                key_s = time_s
            groups[-1].append(frame)
            held += frame.nbytes
            seen.times_s.append(time_s)
        self._detect_groups(groups, seen)
        return seen

    def _detect_groups(self, groups: list[list[np.ndarray]], seen: Seen) -> None:
        """Find the faces of key frames, the first of each group, and then those of the frames up to the next.

        All are of one size. Frames are looked at together where they are looked at on the same scales.
        """
        if not groups:
            return
        seen.size = groups[0][0].shape[:2]
        shorter_px = min(seen.size)
        least_px = self.config.min_face * shorter_px
        keys = self._found([group[0] for group in groups], least_px)
        alike: dict[tuple[float, ...], list[int]] = {}
        least = {}
        for number, key in enumerate(keys):
            least[number] = least_px
            if len(key):
                least[number] = max(least_px, NEAR * float((key[:, 2:4] - key[:, :2]).min()))
            if groups[number][1:]:
                scales = tuple(self._cascade.scales(shorter_px, least[number]))
                alike.setdefault(scales, []).append(number)
        between: dict[int, list[np.ndarray]] = {}
        for numbers in alike.values():
            frames = [frame for number in numbers for frame in groups[number][1:]]
            found = iter(self._found(frames, least[numbers[0]]))
            between |= {number: [next(found) for _ in groups[number][1:]] for number in numbers}
        before = len(seen.faces)
        for number, key in enumerate(keys):
            seen.faces += [key, *between.get(number, [])]
            seen.is_key += [True, *(False for _ in groups[number][1:])]
        if len(seen.faces) // GIVE_BACK_EVERY > before // GIVE_BACK_EVERY:
            _give_back_memory()

    def _found(self, frames: list[np.ndarray], least_px: float) -> list[np.ndarray]:
        with arithmetic(self.config.precision):
            found = self._cascade.detect(np.stack(frames), least_px)
        return [faces[faces[:, 4] >= self.config.score] for faces in found]


def _give_back_memory() -> None:
    """Return freed memory to the system: candidates in ever new numbers fragment glibc's heap."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of ``box (4,)`` with each of ``boxes (n, 4)``."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)
    return shared / (np.prod(box[2:4] - box[:2]) + areas - shared)


Track = dict[int, np.ndarray]
"""A face over time: frame number to the 15 columns of `FACE`."""


def link(faces: list[np.ndarray]) -> list[Track]:
    """Join each frame's faces to the tracks whose last box they overlap most, best pairs first.

    A track stays open however long its face is away, so that a face that was
    hidden and comes back where it was is the same face.
    """
    tracks: list[Track] = []
    for number, found in enumerate(faces):
        free = set(range(len(found)))
        overlaps = [iou(next(reversed(track.values()))[:4], found[:, :4]) for track in tracks]
        pairs = [(row[i], t, i) for t, row in enumerate(overlaps) for i in free if row[i] > LINK_IOU]
        taken: set[int] = set()
        for _, t, i in sorted(pairs, key=lambda pair: -pair[0]):
            if i in free and t not in taken:
                tracks[t][number] = found[i]
                free.remove(i)
                taken.add(t)
        tracks += [{number: found[i]} for i in sorted(free)]
    return tracks


def choose(tracks: list[Track], size: tuple[int, int]) -> tuple[Track, float]:
    """The track with the greatest length x size x centrality, and by how much; ``({}, 0)`` if there is none.

    The margin is 1 minus the runner-up's weight over the chosen one's. Size is
    the box' height over the frame's ``size (height, width)``; centrality falls from 1 in the middle of the picture to 0 in its corners.
    """
    if not tracks:
        return {}, 0.0
    middle = np.array(size[::-1]) / 2

    def weight(track: Track) -> float:
        boxes = np.stack(list(track.values()))[:, :4]
        away = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1)
        centrality = np.clip(1 - away / np.linalg.norm(middle), 0, 1)
        return float(np.sum((boxes[:, 3] - boxes[:, 1]) / size[0] * centrality))

    weights = [weight(track) for track in tracks]
    best = int(np.argmax(weights))
    second = max([*weights[:best], *weights[best + 1 :]], default=0.0)
    return tracks[best], 1 - second / weights[best] if weights[best] > 0 else 0.0


def fill(track: Track, is_key: list[bool], times_s: np.ndarray, max_gap_s: float) -> np.ndarray:
    """``x (frames, 18)``: found faces in place, and straight lines over gaps of at most ``max_gap_s``.

    A face is `TrackStatus.detected` in a key frame, `TrackStatus.tracked` in others, and
    `TrackStatus.interpolated` in a gap.
    """
    x = np.zeros((len(times_s), len(TRACK_COLUMNS)), dtype=np.float32)
    for number, row in track.items():
        x[number, FACE] = row
        x[number, STATUS] = TrackStatus.detected if is_key[number] else TrackStatus.tracked
    for first, last in pairwise(sorted(track)):
        inside = np.arange(first + 1, last)
        gap_s = times_s[last] - times_s[first]
        if len(inside) == 0 or gap_s > max_gap_s:
            continue
        part = ((times_s[inside] - times_s[first]) / gap_s)[:, None] if gap_s > 0 else 0.5
        x[inside, FACE] = (1 - part) * track[first] + part * track[last]
        x[inside, STATUS] = TrackStatus.interpolated
    return x
