"""MSP-Podcast: speaking turns of podcasts with raters' emotions and attributes; a run's corpus, and input of fine-tuning.

Lotfian, Busso: Building Naturalistic Emotionally Balanced Speech Corpus by
Retrieving Emotional Speech from Existing Podcast Recordings, IEEE Trans.
Affective Computing 10(4), 2019. Free for research under an agreement with the
Multimodal Signal Processing lab, which also sends the link. Expected::

    Audios/MSP-PODCAST_0001_0008.wav     (or Audio/)
    Labels/labels_consensus.csv          FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, Gender, Split_Set
    Partitions.txt                       Test3; MSP-PODCAST_test3_0001.wav: turns whose labels the lab keeps

``labels_consensus.json`` does as well. Releases differ in their turns and test sets. Attributes go from 1 to 7 and
become (x - 1) / 6. For fine-tuning, test sets stay test sets, so that it, which reads train and dev only, never sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.corpora.base import Corpus, Label
from avemo.corpora.csv_file import name_of, number, read_csv
from avemo.corpora.examples import Examples, collect

EMOTIONS = {
    "A": "angry",
    "H": "happy",
    "S": "sad",
    "N": "neutral",
    "D": "disgust",
    "C": "contempt",
    "F": "fear",
    "U": "surprise",
}
NO_EMOTION = {"O": "another emotion", "X": "no agreement"}
FIRST = {"four": 4, "five": 5, "eight": 8}
"""How many of `EMOTIONS`, in order, each convention takes."""
ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
SIDES = {
    "Train": "train",
    "Development": "dev",
    "Validation": "dev",
    "Test": "test",
    "Test1": "test",
    "Test2": "test",
    "Test3": "test",
}
FORMATS = ("csv", "json")
WORDS = ("consensus", "concensus")
"""A mirror misspells it."""
AUDIO, LABELS, PARTITIONS = ("Audios", "Audio"), ("Labels", "labels", "label", ""), "Partitions.txt"
WHAT, REMEDY = "MSP-Podcast's consensus labels", "give the corpus' folder"
PODCAST = re.compile(r"MSP-PODCAST_(\w+?)_\d+(?:_\d+)?")
"""Of a file's name: the recording that a turn is of; ``test3`` where the lab hides it."""
UNKNOWN = ("", "unknown", "nan")


class MspPodcast(Corpus):
    """MSP-Podcast by its consensus labels; speaker and group are the speaker, or the podcast where nobody knows who speaks."""

    name = "msp_podcast"
    version = 1

    class Config(ComponentConfig):
        """Where the corpus lies."""

        root: Path

    class Labels(ComponentConfig):
        """What raters agreed on: a class, or the mean of each attribute."""

        rule: Literal["classes", "attributes"] = "classes"
        classes: Literal["eight", "five", "four"] = "eight"
        """``five``: angry, happy, sad, neutral, disgust; ``four``: those without disgust; others have no label."""
        unknown_speakers: Literal["keep", "none"] = "keep"
        """Turns of which nobody knows who speaks may have no label, so that no side has them."""

    config: Config
    label_rule: Labels

    @property
    def task(self) -> str:
        return "attributes" if self.label_rule.rule == "attributes" else "classes"

    @property
    def classes(self) -> tuple[str, ...]:
        if self.label_rule.rule == "attributes":
            return tuple(ATTRIBUTES)
        return tuple(EMOTIONS.values())[: FIRST[self.label_rule.classes]]

    @cached_property
    def labels_path(self) -> Path:
        return labels_path(self.root)

    @cached_property
    def rows(self) -> dict[str, dict[str, str]]:
        """What is said of each turn, by file name; of those of `PARTITIONS` alone, their set."""
        path = self.labels_path
        columns = ("FileName", "EmoClass", "SpkrID", "Gender", "Split_Set", *ATTRIBUTES.values())
        found = {row["FileName"]: row for row in _read(path, columns)}
        for kept_back, side in _partitions(self.root / PARTITIONS):
            found.setdefault(kept_back, {"Split_Set": side})
        return dict(sorted(found.items()))

    def tables(self) -> list[Path]:
        return [self.labels_path, self.root / PARTITIONS]

    def media_files(self) -> Iterable[Path]:
        folder = audio_folder(self.root)
        return folder.iterdir() if folder.is_dir() else ()

    def clips(self) -> list[Clip]:
        """A clip a turn, those without labels too, whether or not their sound is there."""
        folder = audio_folder(self.root)
        return [self._clip(folder / name, row) for name, row in self.rows.items()]

    def _clip(self, path: Path, row: Mapping[str, str]) -> Clip:
        match = PODCAST.fullmatch(path.stem)
        known = name_of(row.get("SpkrID", ""))
        podcast = f"podcast {match[1]}" if match else path.stem
        speaker = f"{podcast}, unknown" if known.lower() in UNKNOWN else known
        return Clip(path.stem, speaker, speaker, audio_path=path)

    def labels(self, clips: list[Clip]) -> list[Label]:
        by_stem = {Path(name).stem: row for name, row in self.rows.items()}
        return [self._label(clip.clip_id, by_stem[clip.clip_id]) for clip in clips]

    def _label(self, name: str, row: Mapping[str, str]) -> Label:
        sex = row.get("Gender", "").lower()
        facts = {"split": row["Split_Set"], "sex": "" if sex in UNKNOWN else sex}
        if "EmoClass" not in row:
            return Label(name, None, f"the lab keeps the labels of {row['Split_Set']}", facts=facts)
        if row["SpkrID"].lower() in UNKNOWN and self.label_rule.unknown_speakers == "none":
            return Label(name, None, "nobody knows who speaks", facts=facts)
        if self.label_rule.rule == "attributes":
            return Label(
                name,
                dict(zip(ATTRIBUTES, _attributes(f"{self.labels_path}: {name}.wav", row), strict=True)),
                facts=facts,
            )
        code = row["EmoClass"]
        emotion = EMOTIONS.get(code)
        if emotion in self.classes:
            return Label(name, emotion, facts=facts)
        return Label(name, None, emotion or NO_EMOTION.get(code, f"EmoClass {code!r}"), facts=facts)

    def notes(self) -> list[str]:
        """How many turns each set has, since releases differ; how many have an unknown speaker."""
        sets: dict[str, int] = {}
        for row in self.rows.values():
            sets[row["Split_Set"]] = sets.get(row["Split_Set"], 0) + 1
        unknown = sum(row.get("SpkrID", "").lower() in UNKNOWN for row in self.rows.values())
        counts = [f"sets: {', '.join(f'{name} {count}' for name, count in sorted(sets.items()))}"]
        return [
            *counts,
            *([f"{unknown} turns have an unknown speaker; the podcast is their group"] if unknown else []),
        ]


def labels_path(root: Path) -> Path:
    """The consensus labels, wherever releases and mirrors have them; where they belong if there are none."""
    places = [
        root / folder / f"labels_{word}.{kind}" for folder in LABELS for word in WORDS for kind in FORMATS
    ]
    return next((path for path in places if path.is_file()), places[0])


def audio_folder(root: Path) -> Path:
    """The turns' folder, there or not."""
    return next((root / name for name in AUDIO if (root / name).is_dir()), root / AUDIO[0])


def _read(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of the consensus labels; raises `AvemoError` for a file that is none."""
    if path.suffix == ".csv":
        return read_csv(path, columns, WHAT, REMEDY)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            {"FileName": name, **{key: str(value) for key, value in row.items()}}
            for name, row in found.items()
        ]
    except (OSError, ValueError, AttributeError) as error:
        raise AvemoError(f"{path}: expected {WHAT} as JSON, found {error}; {REMEDY}") from error
    for row in rows:
        if missing := sorted(set(columns) - set(row)):
            raise AvemoError(
                f"{path}: expected {WHAT} with {missing}, found {row['FileName']} without; {REMEDY}"
            )
    return rows


def _partitions(path: Path) -> Iterator[tuple[str, str]]:
    """File names and sets of a list of lines like ``Test3; MSP-PODCAST_test3_0001.wav``; nothing where there is none."""
    if not path.is_file():
        return
    for line_number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(";")]
        if not line.strip():
            continue
        if len(cells) != 2 or not cells[1].lower().endswith(".wav"):
            raise AvemoError(
                f"{path}, line {line_number}: expected a line like 'Test3; MSP-PODCAST_test3_0001.wav', found {line[:80]!r}; "
                "restore the corpus' file"
            )
        yield cells[1], cells[0]


def _attributes(where: str, row: Mapping[str, str]) -> Iterator[float]:
    """From 0 to 1, in the order of `ATTRIBUTES`."""
    return ((number(where, dict(row), column, 1, 7) - 1) / 6 for column in ATTRIBUTES.values())


def examples(root: Path) -> Examples:
    """``path, arousal, valence, dominance, split`` of every turn, attributes from 0 to 1."""
    return collect(("path", *ATTRIBUTES, "split"), _rows(root), _left_out)


def _left_out(row: tuple[object, ...]) -> str:
    """Why a row is no example, or nothing: releases differ in their sets, so an unknown one is told."""
    return "" if row[-1] in SIDES.values() else f"Split_Set {row[-1]!r}"


def _rows(root: Path) -> Iterator[tuple[object, ...]]:
    path, folder = labels_path(root), audio_folder(root)
    for row in _read(path, ("FileName", "Split_Set", *ATTRIBUTES.values())):
        values = _attributes(f"{path}: {row['FileName']}", row)
        yield folder / row["FileName"], *values, SIDES.get(row["Split_Set"], row["Split_Set"])
