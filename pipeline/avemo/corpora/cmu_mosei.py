"""CMU-MOSEI: some 23,000 segments of 3,228 videos of people talking to a camera, six emotion bits.

Bagher Zadeh, Liang, Poria, Cambria, Morency: Multimodal Language Analysis in
the Wild: CMU-MOSEI Dataset and Interpretable Dynamic Fusion Graph, ACL 2018.
The raw archive and the label sequence come from the CMU MultiComp lab's site,
the folds from its SDK (github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK). The
videos are from the web under fair use, for research. Expected::

    Raw/Videos/Full/Combined/<video>.mp4
    Raw/Audio/Full/WAV_16000/<video>.wav
    CMU_MOSEI_Labels.csd         the SDK's HDF5 sequence "All Labels"
    cmu_mosei_std_folds.py       the SDK's file with standard_{train,valid,test}_fold

A segment is an interval of a whole video; its id is ``<video>_<number>``,
numbered by time. Instead of the sequence, ``config.labels`` may name a CSV
with the columns ``video, start_s, end_s, happy, sad, anger, surprise, disgust,
fear``. The official folds are used by ``splits: {protocol: published, files:
[…/cmu_mosei_std_folds.py]}``. The group is the video.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.corpora.base import Corpus, Label
from avemo.corpora.csv_file import number, stream_csv

EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
LEVELS = ("none", "weak", "medium", "strong")
"""Of the strongest emotion: 0, up to 1, up to 2, up to 3."""
DIMENSIONS = ["sentiment", *EMOTIONS]
"""Columns of the label sequence, as its metadata must name them."""
SEQUENCE = "All Labels"
FOLDS = {
    "standard_train_fold": "Train",
    "standard_valid_fold": "Development",
    "standard_test_fold": "Test",
}


@dataclass(frozen=True)
class Segment:
    """An interval of a video in seconds, and intensities (0 to 3) in the order of `EMOTIONS`."""

    clip_id: str
    video: str
    start_s: float
    end_s: float
    intensities: tuple[float, ...]


class CmuMosei(Corpus):
    """CMU-MOSEI from its raw archive; speaker and group are the source video."""

    name = "cmu_mosei"
    version = 2

    class Config(ComponentConfig):
        """Where the corpus lies and which of its media to use."""

        root: Path
        labels: Path = Path("CMU_MOSEI_Labels.csd")
        """The SDK's label sequence, or a CSV; relative to the root."""
        media: Literal["both", "video", "audio"] = "both"
        """``both``: sound from the wav, faces from the mp4; ``video``: both from the mp4."""

    class Labels(ComponentConfig):
        """From intensities to bits."""

        above: float = 0.0
        """A bit is set where the intensity is greater."""

    config: Config
    label_rule: Labels

    @property
    def task(self) -> str:
        return "bits"

    @property
    def classes(self) -> tuple[str, ...]:
        return EMOTIONS

    @property
    def labels_path(self) -> Path:
        return self.root / self.config.labels

    @cached_property
    def segments(self) -> dict[str, Segment]:
        """All segments with an interval, by id."""
        return {segment.clip_id: segment for segment in numbered(read_segments(self.labels_path))}

    def video_path(self, video: str) -> Path:
        return self.root / "Raw" / "Videos" / "Full" / "Combined" / f"{video}.mp4"

    def audio_path(self, video: str) -> Path:
        return self.root / "Raw" / "Audio" / "Full" / "WAV_16000" / f"{video}.wav"

    def tables(self) -> list[Path]:
        return [self.labels_path]

    def media_files(self) -> Iterable[Path]:
        for path in (self.video_path("x").parent, self.audio_path("x").parent):
            if path.is_dir():
                yield from path.iterdir()

    def clips(self) -> list[Clip]:
        return [self._clip(segment) for segment in self.segments.values()]

    def _clip(self, segment: Segment) -> Clip:
        return Clip(
            segment.clip_id,
            speaker=segment.video,
            group=segment.video,
            audio_path=self.audio_path(segment.video) if self.config.media != "video" else None,
            video_path=self.video_path(segment.video) if self.config.media != "audio" else None,
            start_s=segment.start_s,
            end_s=segment.end_s,
        )

    def labels(self, clips: list[Clip]) -> list[Label]:
        """Six bits a segment: whether each emotion's intensity is above the rule's."""
        return [self._label(clip.clip_id) for clip in clips]

    def _label(self, clip_id: str) -> Label:
        intensities = self.segments[clip_id].intensities
        if not all(map(math.isfinite, intensities)):
            return Label(clip_id, None, f"expected finite intensities, found {intensities}")
        bits = {name: float(x > self.label_rule.above) for name, x in zip(EMOTIONS, intensities, strict=True)}
        return Label(clip_id, bits, intensity=LEVELS[min(3, math.ceil(max(0.0, *intensities)))])

    def notes(self) -> list[str]:
        """Videos without a labelled segment: known, since the raw archive holds more than was annotated."""
        labelled = {segment.video for segment in self.segments.values()}
        stray = sorted({path.stem for path in self.media_files()} - labelled)
        return [f"{len(stray)} videos have no labelled segment: {', '.join(stray[:5])}"] if stray else []


Row = tuple[str, float, float, tuple[float, ...]]
"""Video, start and end in seconds, intensities in the order of `EMOTIONS`."""


def numbered(rows: Iterable[Row]) -> list[Segment]:
    """Segments with ids ``<video>_<number>``, numbered from 0 by start within their video; no number comes last."""
    numbers: dict[str, int] = {}
    segments = []
    for video, start_s, end_s, intensities in sorted(rows, key=_by_time):
        number = numbers.get(video, 0)
        numbers[video] = number + 1
        segments.append(Segment(f"{video}_{number}", video, start_s, end_s, intensities))
    return segments


def _by_time(row: Row) -> Row:
    video, start_s, end_s, intensities = row
    start_s, end_s = (math.inf if math.isnan(time_s) else time_s for time_s in (start_s, end_s))
    return video, start_s, end_s, intensities


def read_segments(path: Path) -> list[Row]:
    """The rows of a label sequence (``.csd``, HDF5) or of a CSV, as they are. Raises `AvemoError` for another file.

    The sequence as published has a start of -0.4776 s; what an interval is worth, the index says of each segment.
    """
    if not path.is_file():
        raise AvemoError(
            f"{path}: expected CMU-MOSEI's label sequence or a CSV, found no file; "
            "set corpus.config.root and corpus.config.labels"
        )
    return list(_sequence_rows(path) if path.suffix == ".csd" else _csv_rows(path))


def _sequence_rows(path: Path) -> Iterator[Row]:
    import h5py

    try:
        with h5py.File(path) as file:
            _check_dimensions(path, file[f"{SEQUENCE}/metadata/dimension names"][0])
            for video, group in file[f"{SEQUENCE}/data"].items():
                features, intervals = group["features"][()], group["intervals"][()]
                for values, (start_s, end_s) in zip(features, intervals, strict=True):
                    yield video, float(start_s), float(end_s), tuple(map(float, values[1:]))
    except (OSError, KeyError, ValueError) as error:
        raise AvemoError(
            f"{path}: expected the sequence {SEQUENCE!r} (HDF5), found {error}; fetch the file again"
        ) from error


def _check_dimensions(path: Path, stored: Any) -> None:
    """The order of columns decides which emotion is which, so it is never assumed."""
    found = json.loads(stored)
    if found != DIMENSIONS:
        raise AvemoError(f"{path}: expected the columns {DIMENSIONS}, found {found}; use the SDK's own file")


def _csv_rows(path: Path) -> Iterator[Row]:
    columns = ("video", "start_s", "end_s", *EMOTIONS)
    for line, row in stream_csv(path, columns, "a label table", "add them"):
        where = f"{path}, line {line}"
        start_s, end_s = (number(where, row, column, -math.inf, math.inf) for column in ("start_s", "end_s"))
        yield row["video"], start_s, end_s, tuple(number(where, row, name, 0, 3) for name in EMOTIONS)
