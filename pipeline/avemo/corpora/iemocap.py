"""IEMOCAP: ten actors in five sessions of two talk, by script and improvised; 10,039 turns that raters judged.

Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: IEMOCAP: Interactive Emotional Dyadic Motion Capture
Database, Language Resources and Evaluation 42(4), 2008. Free for research under a licence of the University of
Southern California (SAIL), which also sends the link. Unpack it below one folder; of it are read::

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt     turns with times, emotion, [valence, activation, dominance], votes
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav
    Session1/dialog/wav/Ses01F_impro01.wav               both microphones
    Session1/dialog/avi/DivX/Ses01F_impro01.avi          both people, side by side

Only the names of files and of the folder ``EmoEvaluation`` count. A mirror of single turns has a table in their place,
``iemocap_full_dataset.csv`` with ``emotion`` and ``path``. In ``Ses01F_impro01_M003`` the first letter is who wears the
markers of motion capture, the second who speaks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.corpora.base import Label
from avemo.corpora.coded_names import CodedNames, files_below
from avemo.corpora.csv_file import read_csv

EMOTIONS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fru": "frustrated",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgusted",
    "oth": "other",
    "xxx": "no agreement",
}
VOTES = {
    "anger": "angry",
    "happiness": "happy",
    "excited": "excited",
    "sadness": "sad",
    "neutral": "neutral",
    "frustration": "frustrated",
}
"""What raters say of those that may be classes, by the first word in small letters."""
ATTRIBUTES = ("valence", "arousal", "dominance")
"""In the order of the file; the corpus calls arousal activation."""
TURNS = 10_039
FOLDER, TABLE = "EmoEvaluation", "iemocap_full_dataset.csv"
DIALOGUE = r"Ses0[1-5][FM]_(?:impro|script)\d\d(?:_\d)?[ab]?"
TURN = re.compile(
    rf"\[(?P<start>\d+\.\d+)\s*-\s*(?P<end>\d+\.\d+)\]\s+(?P<name>{DIALOGUE}_[FM]\d\d\d)\s+(?P<emotion>[a-z]{{3}})\s+"
    r"\[(?P<values>[^]]*)\]"
)
VOTE = re.compile(r"C-E\d+:(?P<said>[^()]*)")
"""Of a rater; actors who judged themselves have another letter than E."""


@dataclass(frozen=True)
class Turn:
    """What is said of a turn: times (s) of its dialogue, the agreed emotion, attributes from 1 to 5, votes by emotion.

    Times and attributes are None where a mirror's table has none.
    """

    start_s: float | None
    end_s: float | None
    emotion: str
    attributes: tuple[float, ...] | None
    votes: Mapping[str, int]


class Iemocap(CodedNames):
    """IEMOCAP by its raters' files; the group is the session, whose two actors talk to each other."""

    name = "iemocap"
    version = 1
    pattern = re.compile(rf"{DIALOGUE}(?:_[FM]\d\d\d)?".lower())
    suffixes = (".wav", ".avi", ".mp4")
    example = "Ses01F_impro01_F000.wav"

    class Config(ComponentConfig):
        """Where the corpus lies, and which of its media to use."""

        root: Path
        media: Literal["audio", "both", "video"] = "audio"
        """``audio``: the file of each turn; ``both``: the dialogue's film and sound, cut by the turn's times;
        ``video``: the film alone."""
        picture: Literal["marked_left", "marked_right", "whole"] = "marked_left"
        """Films show two people: the one who wears markers stands in the left half, in the right one, or the whole
        picture is searched for one face."""

    class Labels(ComponentConfig):
        """What raters agreed on. The defaults are the field's four classes, 5,531 turns."""

        rule: Literal["consensus", "votes", "attributes"] = "consensus"
        """``votes`` labels the same turns with the classes' shares of the votes; ``attributes`` all with valence,
        arousal and dominance, (x - 1) / 4."""
        excited: Literal["happy", "excited", "none"] = "happy"
        """Merged into happy, a class of its own, or without a label."""
        frustrated: Literal["none", "frustrated"] = "none"
        """A fifth class."""
        style: Literal["both", "improvised", "scripted"] = "both"
        """Turns of the other one have no label."""

        @model_validator(mode="after")
        def _classes_of_attributes(self) -> Self:
            if self.rule == "attributes" and (self.excited, self.frustrated) != ("happy", "none"):
                raise ValueError(
                    "expected excited and frustrated with classes alone; leave them out of attributes"
                )
            return self

    config: Config
    label_rule: Labels

    @property
    def task(self) -> str:
        return "attributes" if self.label_rule.rule == "attributes" else "classes"

    @property
    def classes(self) -> tuple[str, ...]:
        if self.label_rule.rule == "attributes":
            return ATTRIBUTES
        more = {
            "excited": self.label_rule.excited == "excited",
            "frustrated": self.label_rule.frustrated != "none",
        }
        return ("angry", "happy", "sad", "neutral", *(name for name, wanted in more.items() if wanted))

    @cached_property
    def turns(self) -> dict[str, Turn]:
        """All turns that raters judged, by name; raises `AvemoError` where nothing tells of any."""
        found: dict[str, Turn] = {}
        for path in self.tables():
            if path.is_file():
                found |= _listed(path) if path.name == TABLE else _evaluated(path)
        if not found:
            raise AvemoError(
                f"{self.root}: expected IEMOCAP's {FOLDER} with lines like '[6.2901 - 8.2357] Ses01F_impro01_F000 neu "
                f"[2.5, 2.5, 2.5]', or {TABLE}; found neither; unpack the corpus there, or correct corpus.config.root"
            )
        return dict(sorted(found.items()))

    def tables(self) -> list[Path]:
        """The raters' files, or the mirror's table where there are none."""
        texts = [path for path in files_below(self.root) if path.suffix in (".txt", ".csv")]
        told = [path for path in texts if path.parent.name == FOLDER and re.fullmatch(DIALOGUE, path.stem)]
        return sorted(told or [path for path in texts if path.name == TABLE][:1])

    def clips(self) -> list[Clip]:
        """A clip a turn, whether or not its media are there."""
        self.files()
        return [self._clip(name, turn) for name, turn in self.turns.items()]

    def _clip(self, name: str, turn: Turn) -> Clip:
        dialogue, who = name.rsplit("_", 1)
        session, marked = name[:5], name[5]
        speaker = f"{session}{who[0]}"
        if self.config.media == "audio":
            return Clip(name, speaker, session, audio_path=self._file(name, dialogue, (".wav",)))
        if turn.start_s is None:
            raise AvemoError(
                f"{self.root}: expected times of {name} in {FOLDER} to cut its film by, found {TABLE} alone; add the "
                "corpus' dialog folders, or take corpus.config.media: audio"
            )
        left = (marked == who[0]) == (self.config.picture == "marked_left")
        return Clip(
            name,
            speaker,
            session,
            audio_path=self._file(dialogue, "", (".wav",)) if self.config.media == "both" else None,
            video_path=self._file(dialogue, "", (".avi", ".mp4")),
            start_s=turn.start_s,
            end_s=turn.end_s,
            half="" if self.config.picture == "whole" else "left" if left else "right",
        )

    def _file(self, name: str, folder: str, suffixes: tuple[str, ...]) -> Path:
        """Where a file is, or where the release has it."""
        for suffix in suffixes:
            if paths := self._found.get((name.lower(), suffix)):
                return paths[0]
        kind = "sentences/wav" if folder else "dialog/wav" if suffixes == (".wav",) else "dialog/avi/DivX"
        return self.root / f"Session{name[4]}" / kind / folder / f"{name}{suffixes[0]}"

    def labels(self, clips: list[Clip]) -> list[Label]:
        return [self._label(clip.clip_id, self.turns[clip.clip_id]) for clip in clips]

    def _label(self, name: str, turn: Turn) -> Label:
        style = "improvised" if "impro" in name else "scripted"
        sex = {"F": "female", "M": "male"}[name.rsplit("_", 1)[1][0]]
        facts = {"sex": sex, "style": style}
        if self.label_rule.style not in ("both", style):
            return Label(name, None, f"{style} turns are left out", facts=facts)
        if self.label_rule.rule == "attributes":
            return _attributes(name, turn, facts)
        emotion = self._merged(turn.emotion)
        if emotion not in self.classes:
            return Label(name, None, turn.emotion, facts=facts)
        merged: Counter[str] = Counter()
        for said, count in turn.votes.items():
            merged[self._merged(said)] += count
        votes = {one: merged[one] for one in self.classes}
        whole = sum(votes.values())
        if self.label_rule.rule == "consensus":
            return Label(name, emotion, votes=votes if whole else {}, facts=facts)
        if not whole:
            return Label(name, None, "no rater's votes", facts=facts)
        return Label(name, {one: count / whole for one, count in votes.items()}, votes=votes, facts=facts)

    def _merged(self, emotion: str) -> str:
        return "happy" if (emotion, self.label_rule.excited) == ("excited", "happy") else emotion

    def notes(self) -> list[str]:
        """Also turns that a whole corpus would have, and sound of turns that nobody judged."""
        found = len(self.turns)
        few = [f"{found} turns; the whole corpus has {TURNS}"] if found != TURNS else []
        judged = {name.lower() for name in self.turns}
        more = sorted(
            stem for stem, _ in self._found if re.search(r"_[fm]\d{3}$", stem) and stem not in judged
        )
        unjudged = (
            [f"{len(more)} turns have sound and no raters, and are not used: {more[0]}"] if more else []
        )
        return [*super().notes(), *few, *unjudged]


def _attributes(name: str, turn: Turn, facts: Mapping[str, str]) -> Label:
    if turn.attributes is None:
        return Label(name, None, f"no attributes in {TABLE}", facts=facts)
    if not all(1 <= value <= 5 for value in turn.attributes):
        return Label(name, None, f"expected attributes from 1 to 5, found {turn.attributes}", facts=facts)
    values = {one: (value - 1) / 4 for one, value in zip(ATTRIBUTES, turn.attributes, strict=True)}
    return Label(name, values, facts=facts)


def _evaluated(path: Path) -> dict[str, Turn]:
    """The turns of one dialogue; raises `AvemoError` naming the line that cannot be read."""
    found: dict[str, Turn] = {}
    votes: Counter[str] = Counter()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if match := TURN.match(line):
            votes = Counter()
            found[match["name"]] = _turn(f"{path}, line {number}", match, votes)
        elif vote := VOTE.match(line):
            votes.update(_said(vote["said"]))
        elif line.startswith("["):
            raise AvemoError(
                f"{path}, line {number}: expected '[start - end] turn emotion [valence, activation, dominance]', found "
                f"{line[:80]!r}; restore the corpus' file"
            )
    return found


def _turn(where: str, match: re.Match[str], votes: Mapping[str, int]) -> Turn:
    try:
        attributes = tuple(map(float, match["values"].split(",")))
    except ValueError:
        attributes = ()
    if match["emotion"] not in EMOTIONS or len(attributes) != len(ATTRIBUTES):
        raise AvemoError(
            f"{where}: expected one of {', '.join(EMOTIONS)} and three numbers, found {match['emotion']!r} and "
            f"[{match['values']}]; restore the corpus' file"
        )
    return Turn(float(match["start"]), float(match["end"]), EMOTIONS[match["emotion"]], attributes, votes)


def _said(cell: str) -> Iterator[str]:
    """The emotions that a rater named, of those that may be classes, and ``other``: ``Neutral state; Anger;``."""
    for word in cell.split(";"):
        if word.strip():
            yield VOTES.get(word.split()[0].lower(), "other")


def _listed(path: Path) -> dict[str, Turn]:
    """The turns of a mirror's table."""
    rows = read_csv(path, ("emotion", "path"), "IEMOCAP's turns", "restore the mirror's table")
    found = {}
    for row in rows:
        name = Path(row["path"]).stem
        if not re.fullmatch(rf"{DIALOGUE}_[FM]\d\d\d", name) or row["emotion"] not in EMOTIONS:
            raise AvemoError(
                f"{path}: expected a turn such as Ses01F_impro01_F000.wav and one of {', '.join(EMOTIONS)}, found "
                f"{row['path']!r} and {row['emotion']!r}; restore the mirror's table"
            )
        found[name] = Turn(None, None, EMOTIONS[row["emotion"]], None, {})
    return found
