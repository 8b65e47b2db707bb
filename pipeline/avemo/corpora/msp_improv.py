"""MSP-IMPROV: 8,438 turns of six dyads, four emotions, three attributes.

Busso, Parthasarathy, Burmania, AbdelWahab, Sadoughi, Mower Provost: MSP-IMPROV:
An Acted Corpus of Dyadic Interactions to Study Emotion Perception, IEEE Trans.
Affective Computing 8(1), 2017. Free for research under an agreement with The
University of Texas at Dallas (Multimodal Signal Processing lab, ask there).
Unpack it so that the folder has::

    session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.avi   turns, with sound
    session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav   the same, 44.1 kHz
    Evaluation.txt                                   (or Evalution.txt) what raters agreed on

Folders between the root and the files do not matter (``Audio/session1/…`` and
``Video/session1/…`` are as good), and videos may keep their prefix ``UTD-``.

A name is ``<scene><target emotion>-<actor of the scene>-<recording>-<turn>``.
Recordings: P natural interaction between takes, R target sentence read, S
other turns of the improvisation, T target sentence improvised. A turn starts
with the sex of who talks, so ``F01-S-MF02`` is said by M01. The two of a
session talk to each other: the dyad is what no split may separate.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.corpora.base import Corpus, Label
from avemo.corpora.csv_file import number, read_csv

EMOTIONS = {"H": "happy", "A": "angry", "N": "neutral", "S": "sad"}
ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
"""Columns are read by name: files and papers order the three differently."""
OTHER = {"O": "agreed on another emotion", "X": "no agreement"}
NAME = re.compile(r"(?:MSP|UTD)-IMPROV-(S\d{2}[AHNS]-[FM](\d{2})-([PRST])-([FM])[FM]\d{2,3})")
EVALUATIONS = ("Evaluation.txt", "Evalution.txt")
EVALUATED = re.compile(NAME.pattern + r"\.avi;\s*([A-Z])\s*;")


class MspImprov(Corpus):
    """MSP-IMPROV from its folder; the group is the dyad."""

    name = "msp_improv"
    version = 1

    class Config(ComponentConfig):
        """Where the corpus lies and which of its media to use."""

        root: Path
        media: Literal["both", "video", "audio"] = "both"
        """``both``: sound from the wav, faces from the avi; ``video``: both from the avi."""

    class Labels(ComponentConfig):
        """From ``Evaluation.txt`` to one of four classes a turn, or from a table to three attributes.

        ``attributes`` reads ``table``, a partition file of VAVL's (``FileName, EmoAct, EmoVal,
        EmoDom``, 1 to 5), and gives (x - 1) / 4. The corpus' own file has attributes too, but
        does not say which way arousal goes; in VAVL's, more is more active.
        """

        rule: Literal["consensus", "attributes"] = "consensus"
        table: Path | None = None
        read_speech: bool = False
        """Whether the 620 turns that were read aloud count."""

        @model_validator(mode="after")
        def _table_of_attributes(self) -> Self:
            if (self.table is None) == (self.rule == "attributes"):
                raise ValueError("expected table with rule 'attributes' and no other; name a partition file")
            return self

    config: Config
    label_rule: Labels

    @property
    def task(self) -> str:
        return "attributes" if self.label_rule.table else "classes"

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(ATTRIBUTES if self.label_rule.table else EMOTIONS.values())

    @cached_property
    def files(self) -> dict[str, dict[str, Path]]:
        """Media by name without prefix, and by suffix."""
        found: dict[str, dict[str, Path]] = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                stem, suffix = os.path.splitext(name)
                match = NAME.fullmatch(stem) if suffix in (".avi", ".wav") else None
                if match:
                    found.setdefault(match[1], {})[suffix] = Path(folder) / name
        return found

    @cached_property
    def evaluated(self) -> dict[str, str]:
        """The agreed letter of each turn, by name without prefix."""
        path = self.evaluation_path
        found = {
            match[1]: match[5] for line in path.read_text().splitlines() if (match := EVALUATED.match(line))
        }
        if not found:
            raise AvemoError(
                f"{path}: expected lines like 'UTD-IMPROV-S01A-F01-P-FM01.avi; N; …', found none; "
                "restore the corpus' file"
            )
        return found

    @property
    def evaluation_path(self) -> Path:
        """The raters' file; raises `AvemoError` where there is none."""
        for name in EVALUATIONS:
            if (self.root / name).is_file():
                return self.root / name
        raise AvemoError(
            f"{self.root}: expected MSP-IMPROV's {EVALUATIONS[0]}, found none; set corpus.config.root to its folder"
        )

    def tables(self) -> list[Path]:
        return [self.root / name for name in EVALUATIONS]

    def media_files(self) -> Iterable[Path]:
        for paths in self.files.values():
            yield from paths.values()

    def label_files(self) -> list[Path]:
        return [self.label_rule.table] if self.label_rule.table else self.tables()

    def clips(self) -> list[Clip]:
        """Turns that were evaluated or that have media; either may lack the other."""
        return [self._clip(key) for key in sorted({*self.evaluated, *self.files})]

    def _clip(self, key: str) -> Clip:
        name = f"MSP-IMPROV-{key}"
        match = NAME.fullmatch(name)
        assert match is not None
        _, dyad, recording, sex = match.groups()
        found = self.files.get(key, {})
        folder = self.root / f"session{int(dyad)}" / key.split("-")[0] / recording
        audio = found.get(".wav", folder / f"{name}.wav") if self.config.media != "video" else None
        video = found.get(".avi", folder / f"{name}.avi") if self.config.media != "audio" else None
        return Clip(name, f"{sex}{dyad}", f"dyad{int(dyad)}", audio, video)

    def labels(self, clips: list[Clip]) -> list[Label]:
        rated = read_attributes(self.label_rule.table) if self.label_rule.table else None
        return [self._label(clip.clip_id, rated) for clip in clips]

    def _label(self, clip_id: str, rated: dict[str, dict[str, float]] | None) -> Label:
        if clip_id.split("-")[4] == "R" and not self.label_rule.read_speech:
            return Label(clip_id, None, "read speech, left out by labels.read_speech")
        if rated is not None:
            found = rated.get(clip_id)
            return Label(clip_id, found, "" if found else "not in labels.table")
        return self._consensus(clip_id)

    def _consensus(self, clip_id: str) -> Label:
        letter = self.evaluated.get(clip_id.removeprefix("MSP-IMPROV-"))
        if letter is None:
            return Label(clip_id, None, f"not in {self.evaluation_path.name}")
        if letter in EMOTIONS:
            return Label(clip_id, EMOTIONS[letter])
        return Label(clip_id, None, OTHER.get(letter, f"agreed on {letter!r}"))


def read_attributes(path: Path) -> dict[str, dict[str, float]]:
    """Attributes from 0 to 1 by clip, of a file with `ATTRIBUTES` from 1 to 5; raises `AvemoError`."""
    columns = ("FileName", *ATTRIBUTES.values())
    rows = read_csv(path, columns, "a table of attributes", "correct corpus.labels.table")
    return {
        Path(row["FileName"]).stem: {
            name: (number(f"{path}: {row['FileName']}", row, column, 1, 5) - 1) / 4
            for name, column in ATTRIBUTES.items()
        }
        for row in rows
    }
