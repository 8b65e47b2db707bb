"""One face per clip: detect (`pipeline.faces.cascade`), link over time, choose, fill short gaps."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby, pairwise
from typing import ClassVar

import numpy as np
from pydantic import Field

from pipeline.contracts import (
    TRACK_COLUMNS,
    AvemoError,
    ComponentConfig,
    FeatureSequence,
    TrackStatus,
    digest,
    speed,
)

FACE = slice(0, 15)
"""The columns of a track that a detection fills: box, score, five landmarks."""
STATUS, N_FACES, MARGIN = (TRACK_COLUMNS.index(name) for name in ("status", "n_faces", "margin"))
# Boxes of one face in consecutive key frames overlap by more than this.
LINK_IOU = 0.3
# A head may turn within this, so that no two key frames of slow video lie farther apart than need be.
KEY_S = 0.15


@dataclass
class Seen:
    """What detection left of a clip; ``faces[i]`` is ``(n, 15)``, None if frame ``i`` is no key frame."""

    times_s: list[float] = field(default_factory=list)
    faces: list[np.ndarray | None] = field(default_factory=list)
    size: tuple[int, int] = (1, 1)


class FaceTracker:
    """The track of a clip's main face."""

    name: ClassVar[str] = "mtcnn"
    version: ClassVar[int] = 3

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
        key_every: int = Field(default=1, ge=1)
        """Faces are detected in every so many frames (slow video: each 0.15 s), and interpolated between."""
        max_gap_s: float = Field(default=0.5, ge=0)
        """Longest time between two detections that is interpolated."""
        batch_size: int = speed(8, ge=1)
        """Frames detected at once."""
        device: str = speed("auto")
        """Torch device; auto takes a GPU if there is one."""

    def __init__(self, config: Config | None = None):
        import torch

        from pipeline.faces.cascade import Cascade

        self.config = config or self.Config()
        device = self.config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._cascade = Cascade(self.config.thresholds, self.config.factor, torch.device(device))

    def key_part(self) -> str:
        """This tracker's part of an item's key (`pipeline.cache.keys`)."""
        library = version("facenet-pytorch")
        return digest([self.name, self.version, self.config.numbers(), {"facenet-pytorch": library}])

    def track(self, frames: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """``(time_s, frame (height, width, 3) uint8 RGB)`` to ``x (frames, 18)``, see `TRACK_COLUMNS`.

        Rows without a face hold zeros, status `TrackStatus.missing` and the
        number of faces seen. A frame between key frames takes ``n_faces`` from
        the key frame before it. Frames stream; none is kept.
        """
        seen = self._detect(frames)
        times_s = np.asarray(seen.times_s, dtype=np.float64)
        chosen, margin = choose(link(seen.faces), seen.size)
        x = fill(chosen, seen.faces, times_s, self.config.max_gap_s)
        x[:, MARGIN] = margin
        return FeatureSequence(x, times_s)

    def _detect(self, frames: Iterable[tuple[float, np.ndarray]]) -> Seen:
        seen = Seen()
        batch: list[tuple[int, np.ndarray]] = []
        between: tuple[int, np.ndarray] | None = None
        key, key_s = -self.config.key_every, -np.inf
        for number, (time_s, frame) in enumerate(frames):
            if frame.ndim != 3 or frame.shape[2] != 3:
                raise AvemoError(
                    f"expected frames (height, width, 3), found {frame.shape}; convert them to RGB"
                )
            seen.times_s.append(time_s)
            seen.faces.append(None)
            seen.size = frame.shape[:2]
            if number - key < self.config.key_every and time_s - key_s < KEY_S:
                between = (number, frame)
                continue
            between, key, key_s = None, number, time_s
            batch.append((number, frame))
            if len(batch) == self.config.batch_size:
                self._detect_batch(batch, seen)
                batch = []
        # The last frame is always a key frame: nothing follows it to interpolate to.
        self._detect_batch(batch if between is None else [*batch, between], seen)
        return seen

    def _detect_batch(self, batch: list[tuple[int, np.ndarray]], seen: Seen) -> None:
        for shape, same in groupby(batch, key=lambda item: item[1].shape):
            numbers, frames = zip(*same, strict=True)
            found = self._cascade.detect(np.stack(frames), self.config.min_face * min(shape[:2]))
            for number, faces in zip(numbers, found, strict=True):
                seen.faces[number] = faces[faces[:, 4] >= self.config.score]
        _give_back_memory()


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


def link(faces: list[np.ndarray | None]) -> list[Track]:
    """Join each frame's faces to the tracks whose last box they overlap most, best pairs first.

    A track stays open however long its face is away, so that a face that was
    hidden and comes back where it was is the same face.
    """
    tracks: list[Track] = []
    for number, found in enumerate(faces):
        if found is None or len(found) == 0:
            continue
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


def fill(track: Track, faces: list[np.ndarray | None], times_s: np.ndarray, max_gap_s: float) -> np.ndarray:
    """``x (frames, 18)``: detections in place, and straight lines over gaps of at most ``max_gap_s``.

    Frames between neighbouring key frames are `TrackStatus.tracked`; where a
    key frame lacks the face, the whole gap is `TrackStatus.interpolated`.
    """
    x = np.zeros((len(times_s), len(TRACK_COLUMNS)), dtype=np.float32)
    x[:, N_FACES] = _carried(faces)
    for number, row in track.items():
        x[number, FACE], x[number, STATUS] = row, TrackStatus.detected
    numbers = sorted(track)
    for first, last in pairwise(numbers):
        inside = np.arange(first + 1, last)
        gap_s = times_s[last] - times_s[first]
        if len(inside) == 0 or gap_s > max_gap_s:
            continue
        part = ((times_s[inside] - times_s[first]) / gap_s)[:, None] if gap_s > 0 else 0.5
        x[inside, FACE] = (1 - part) * track[first] + part * track[last]
        lost = any(faces[number] is not None for number in inside)
        x[inside, STATUS] = TrackStatus.interpolated if lost else TrackStatus.tracked
    return x


def _carried(faces: list[np.ndarray | None]) -> list[int]:
    """Number of faces per frame, kept from the last key frame."""
    counts: list[int] = []
    for found in faces:
        counts.append(counts[-1] if found is None else len(found))
    return counts
