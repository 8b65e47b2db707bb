"""CREMA-D: 7,442 clips, 91 actors, twelve sentences, six emotions, crowd-sourced votes.

Cao, Cooper, Keutmann, Gur, Nenkova, Verma: CREMA-D: Crowd-Sourced Emotional
Multimodal Actors Dataset, IEEE Trans. Affective Computing 5(4), 2014.
Clone github.com/CheyneyComputerScience/CREMA-D *with Git LFS* (Open Database
License 1.0), so that the folder has::

    AudioWAV/1001_DFA_ANG_XX.wav        16 kHz mono
    VideoFlash/1001_DFA_ANG_XX.flv      480x360, 30 fps, with sound
    processedResults/tabulatedVotes.csv how raters voted, per rating mode

A clip's name is ``<actor>_<sentence>_<intended emotion>_<intensity>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.corpora.base import Corpus, Label
from avemo.corpora.csv_file import number, read_csv
from avemo.corpora.lfs import POINTER_BYTES, declared_sizes

EMOTIONS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
INTENDED = {"ANG": "A", "DIS": "D", "FEA": "F", "HAP": "H", "NEU": "N", "SAD": "S"}
MODES = {"voice": "1", "face": "2", "audio-visual": "3"}
"""Rating modes and the first digit of their row ids in ``tabulatedVotes.csv``."""

SOFT_COLUMNS = {"A": "angry", "S": "sad", "D": "disgust", "F": "fear", "N": "neutral", "H": "happy"}
"""Columns of VAVL's published partitions, which hold soft labels."""
MEAN_INTENSITY = {
    "A": "meanAngerResp",
    "D": "meanDisgustResp",
    "F": "meanFearResp",
    "H": "meanHappyResp",
    "N": "meanNeutralResp",
    "S": "meanSadResp",
}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}
"""Levels that actors were asked for; most clips name none."""
MEDIA_FOLDERS = ("AudioWAV", "VideoFlash")
NAME = re.compile(r"(?P<actor>\d{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_(LO|MD|HI|XX|X)")


class CremaD(Corpus):
    """CREMA-D from a clone of its repository; speaker and group are the actor."""

    name = "crema_d"
    version = 2

    class Config(ComponentConfig):
        """Where the corpus lies and which of its media to use."""

        root: Path
        media: Literal["both", "video", "audio"] = "both"
        """``both``: sound from AudioWAV, faces from VideoFlash; ``video``: both from VideoFlash."""

    class Labels(ComponentConfig):
        """From votes to one class a clip, or with ``distribution`` to each emotion's share of the votes.

        Of emotions with equally many votes ``plurality`` takes the one that the actor intended, else the one
        rated as the most intense; ``plurality_rated`` looks at ratings alone, and ``plurality_untied`` gives
        such a clip no label.
        ``published`` takes the class with the largest soft label of a VAVL
        partition file, ``table``: its votes are not quite the public ones.
        """

        rule: Literal[
            "plurality",
            "plurality_rated",
            "plurality_untied",
            "majority",
            "distribution",
            "intended",
            "published",
        ] = "plurality"
        mode: Literal["voice", "face", "audio-visual"] = "audio-visual"
        table: Path | None = None

        @model_validator(mode="after")
        def _table_of_published(self) -> Self:
            if (self.table is None) == (self.rule == "published"):
                raise ValueError("expected table with rule 'published' and no other; name a partition file")
            return self

    config: Config
    label_rule: Labels
    video_suffix: ClassVar[str] = ".flv"

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(EMOTIONS.values())

    @property
    def votes_path(self) -> Path:
        return self.root / "processedResults" / "tabulatedVotes.csv"

    def tables(self) -> list[Path]:
        return [self.votes_path]

    def media_files(self) -> Iterable[Path]:
        for folder in MEDIA_FOLDERS:
            if (self.root / folder).is_dir():
                yield from (self.root / folder).iterdir()

    def label_files(self) -> list[Path]:
        return [self.label_rule.table] if self.label_rule.table else self.tables()

    def clips(self) -> list[Clip]:
        return [self._clip(name) for name in sorted({row["fileName"] for row in read_votes(self.votes_path)})]

    def _clip(self, name: str) -> Clip:
        match = NAME.fullmatch(name)
        if match is None:
            raise AvemoError(
                f"{self.votes_path}: fileName {name!r}: expected a name like 1001_DFA_ANG_XX; correct the table"
            )
        actor = match["actor"]
        audio = self.root / "AudioWAV" / f"{name}.wav" if self.config.media != "video" else None
        video = (
            self.root / "VideoFlash" / f"{name}{self.video_suffix}" if self.config.media != "audio" else None
        )
        return Clip(name, speaker=actor, group=actor, audio_path=audio, video_path=video)

    def notes(self) -> list[str]:
        """Media that the vote table does not name, and media whose size is not what the clone declares."""
        media = list(self.media_files())
        stray = sorted({path.stem for path in media} - {clip.clip_id for clip in self.clips()})
        declared = declared_sizes(self.root, MEDIA_FOLDERS)
        wrong = sorted(
            f"{path.name} ({size} of {declared[path]} bytes)"
            for path in media
            # A pointer that was not pulled has a status of its own.
            if path in declared and (size := path.stat().st_size) != declared[path] and size > POINTER_BYTES
        )
        found = {
            "clips are not in the vote table": stray,
            "files have not the size the clone declares": wrong,
        }
        return [f"{len(names)} {what}: {', '.join(names[:5])}" for what, names in found.items() if names]

    def labels(self, clips: list[Clip]) -> list[Label]:
        asked = [INTENSITIES.get(clip.clip_id.split("_")[3], "unspecified") for clip in clips]
        given = self._labels(clips)
        return [replace(label, intensity=level) for label, level in zip(given, asked, strict=True)]

    def _labels(self, clips: list[Clip]) -> list[Label]:
        if self.label_rule.table:
            published = read_soft_labels(self.label_rule.table)
            return [_published(clip.clip_id, published.get(clip.clip_id)) for clip in clips]
        digit = MODES[self.label_rule.mode]
        votes = {row["fileName"]: row for row in read_votes(self.votes_path) if row[""].startswith(digit)}
        return [self._label(clip.clip_id, votes.get(clip.clip_id)) for clip in clips]

    def _label(self, clip_id: str, votes: dict[str, str] | None) -> Label:
        intended = INTENDED[clip_id.split("_")[2]]
        if self.label_rule.rule == "intended":
            return Label(clip_id, EMOTIONS[intended])
        if votes is None:
            return Label(clip_id, None, f"no {self.label_rule.mode} votes")
        counts = {letter: int(votes[letter]) for letter in EMOTIONS}
        if self.label_rule.rule == "distribution":
            label = Label(clip_id, {EMOTIONS[letter]: share for letter, share in soft_label(counts).items()})
        elif self.label_rule.rule == "majority":
            label = _majority(clip_id, votes)
        else:
            label = self._plurality(clip_id, votes, intended)
        return replace(label, votes={EMOTIONS[letter]: count for letter, count in counts.items()})

    def _plurality(self, clip_id: str, votes: dict[str, str], intended: str) -> Label:
        """The leader; of several, as the rule says."""
        tied, rule = leaders(votes), self.label_rule.rule
        if len(tied) == 1:
            return Label(clip_id, EMOTIONS[tied[0]])
        if rule == "plurality" and intended in tied:
            return Label(clip_id, EMOTIONS[intended], "tie, intended emotion taken")
        if rule != "plurality_untied":
            intensity = {letter: float(votes[MEAN_INTENSITY[letter]]) for letter in tied}
            tied = [letter for letter in tied if intensity[letter] == max(intensity.values())]
        if len(tied) == 1:
            return Label(clip_id, EMOTIONS[tied[0]], "tie, most intense emotion taken")
        return Label(clip_id, None, f"tie between {', '.join(EMOTIONS[x] for x in tied)}")


def read_votes(path: Path) -> list[dict[str, str]]:
    """The rows of ``tabulatedVotes.csv``; raises `AvemoError` if it is absent or another table."""
    columns = ("", "fileName", *EMOTIONS, *MEAN_INTENSITY.values())
    return read_csv(path, columns, "CREMA-D's vote table", "set corpus.config.root to the clone")


def leaders(votes: dict[str, str]) -> list[str]:
    """The emotion letters that share the highest count."""
    counts = {letter: int(votes[letter]) for letter in EMOTIONS}
    return [letter for letter, count in counts.items() if count == max(counts.values())]


def soft_label(counts: Mapping[str, int]) -> dict[str, float]:
    """Each emotion's share of the votes, by letter."""
    total = sum(counts[letter] for letter in EMOTIONS)
    return {letter: counts[letter] / total for letter in EMOTIONS}


def read_soft_labels(path: Path) -> dict[str, dict[str, float]]:
    """Soft labels by clip and letter, of a partition that VAVL published; raises `AvemoError`."""
    columns = ("FileName", *SOFT_COLUMNS.values())
    rows = read_csv(path, columns, "a partition file", "correct corpus.labels.table")
    return {
        Path(row["FileName"]).stem: {
            letter: number(f"{path}: {row['FileName']}", row, column, 0, 1)
            for letter, column in SOFT_COLUMNS.items()
        }
        for row in rows
    }


def _published(clip_id: str, soft: dict[str, float] | None) -> Label:
    if soft is None:
        return Label(clip_id, None, "not in the published table")
    return Label(clip_id, EMOTIONS[max(soft, key=lambda letter: soft[letter])])


def _majority(clip_id: str, votes: dict[str, str]) -> Label:
    total = sum(int(votes[letter]) for letter in EMOTIONS)
    first = leaders(votes)[0]
    if 2 * int(votes[first]) > total:
        return Label(clip_id, EMOTIONS[first])
    return Label(clip_id, None, f"no emotion has more than half of {total} votes")
