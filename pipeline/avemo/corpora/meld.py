"""MELD: 13,708 utterances of 1,432 dialogues of the series Friends, in seven emotions and three sentiments.

Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea: MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in
Conversations, ACL 2019. The annotations are under GPL-3.0 (github.com/declare-lab/MELD), the scenes are the
broadcaster's. Unpack ``MELD.Raw.tar.gz`` and the archives in it; of it are read::

    train_sent_emo.csv (dev_…, test_…)                  who says what when, emotion, sentiment
    train/train_splits/dia0_utt0.mp4
    dev/dev_splits_complete/dia0_utt0.mp4
    test/output_repeated_splits_test/dia0_utt0.mp4

Dialogues of each side are numbered from 0, so that a file's side is that of the folders that it lies in, whatever they
are called as long as train, dev (or val) or test is in the name. Mirrors may have the sound alone, as WAV or FLAC.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Literal

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.corpora.base import Label
from avemo.corpora.coded_names import CodedNames, files_below
from avemo.corpora.csv_file import Line, name_of, stream_csv

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SENTIMENTS = ("negative", "neutral", "positive")
SIDES = {
    "train": ("train", "train_splits"),
    "dev": ("dev", "dev_splits_complete"),
    "test": ("test", "output_repeated_splits_test"),
}
"""And where the release has the films of each."""
SIDE = re.compile(r"train|dev|val|test")
COLUMNS = ("Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode")
UTTERANCES = 13_708
WRONGLY_CUT = {
    "train_dia309_utt0": "41 s long",
    "test_dia38_utt4": "5 minutes long",
    "test_dia220_utt0": "4 minutes long",
}
"""Films that decode and show other scenes than their utterance (issue 20 of the authors' repository)."""
DAMAGED = {"train_dia125_utt3": "does not decode", "dev_dia110_utt7": "is not there"}
"""Of the release; a copy that was mended is used as any other (issues 22 and 39)."""


class Meld(CodedNames):
    """MELD by its tables; the group is the dialogue, and speakers come back in many."""

    name = "meld"
    version = 1
    pattern = re.compile(r"dia\d+_utt\d+")
    suffixes = (".mp4", ".wav", ".flac")
    example = "train_splits/dia0_utt0.mp4"

    class Config(ComponentConfig):
        """Where the corpus lies, and which of its media to use."""

        root: Path
        media: Literal["both", "audio", "video"] = "both"
        """``both``: sound from sound files where there are some, else from the films; faces from the films."""
        group: Literal["dialogue", "episode", "speaker"] = "dialogue"
        """What no split may separate. The official sides share episodes and speakers."""

    class Labels(ComponentConfig):
        """Which annotation, and whether films that are known to be wrongly cut count."""

        task: Literal["emotion", "sentiment"] = "emotion"
        wrongly_cut: Literal["none", "keep"] = "none"

    config: Config
    label_rule: Labels

    @property
    def classes(self) -> tuple[str, ...]:
        return EMOTIONS if self.label_rule.task == "emotion" else SENTIMENTS

    def named(self, path: Path) -> str:
        """``train_dia0_utt0``; "" where no folder says the side."""
        stem = super().named(path)
        folders = [part.lower() for part in reversed(path.relative_to(self.root).parts[:-1])]
        sides = [match[0] for folder in folders if (match := SIDE.search(folder))]
        return f"{sides[0].replace('val', 'dev')}_{stem}" if stem and sides else ""

    def tables(self) -> list[Path]:
        """One of each side, wherever it lies."""
        found = {path.name: path for path in sorted(files_below(self.root), reverse=True)}
        return [found[name] for side in SIDES if (name := f"{side}_sent_emo.csv") in found]

    @cached_property
    def rows(self) -> dict[str, Line]:
        """Utterances by name; raises `AvemoError` for no table, numbers that are none, and names that come twice."""
        found: dict[str, Line] = {}
        for path in self.tables():
            for line in stream_csv(path, COLUMNS, "MELD's utterances", "restore the authors' file", ()):
                numbers = [line.cells[column] for column in ("Dialogue_ID", "Utterance_ID")]
                name = f"{path.name.split('_')[0]}_dia{numbers[0]}_utt{numbers[1]}"
                if not all(number.isdecimal() for number in numbers) or name in found:
                    raise AvemoError(
                        f"{path}, line {line.number}: expected numbers of a dialogue and an utterance, each pair once, "
                        f"found {' and '.join(map(repr, numbers))}; restore the authors' file"
                    )
                found[name] = line
        if not found:
            raise AvemoError(
                f"{self.root}: expected MELD's train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv, found none; "
                "put the authors' files there, or correct corpus.config.root"
            )
        return found

    def clips(self) -> list[Clip]:
        """A clip an utterance, whether or not its media are there."""
        self.files()
        return [self._clip(name, line.cells) for name, line in self.rows.items()]

    def _clip(self, name: str, row: dict[str, str]) -> Clip:
        side, dialogue, utterance = name.split("_")
        film = self._file(name, ".mp4")
        sound = self._file(name, ".wav") or self._file(name, ".flac")
        if not film and (not sound or self.config.media == "video"):
            film = self.root.joinpath(*SIDES[side], f"{dialogue}_{utterance}.mp4")
        speaker = name_of(row["Speaker"])
        groups = {
            "dialogue": f"{side}_{dialogue}",
            "episode": f"season {row['Season']}, episode {row['Episode']}",
            "speaker": speaker,
        }
        return Clip(
            name,
            speaker,
            groups[self.config.group],
            audio_path=(sound or film) if self.config.media != "video" else None,
            video_path=film if self.config.media != "audio" else None,
        )

    def _file(self, name: str, suffix: str) -> Path | None:
        return next(iter(self._found.get((name, suffix), [])), None)

    def labels(self, clips: list[Clip]) -> list[Label]:
        return [self._label(clip.clip_id, self.rows[clip.clip_id].cells) for clip in clips]

    def _label(self, name: str, row: dict[str, str]) -> Label:
        facts = {"split": name.split("_")[0], "season": row["Season"]}
        label = row[self.label_rule.task.capitalize()].lower()
        if name in WRONGLY_CUT and self.label_rule.wrongly_cut == "none":
            return Label(name, None, f"its film is wrongly cut, {WRONGLY_CUT[name]}", facts=facts)
        if label not in self.classes:
            return Label(name, None, f"{label!r} is none of {', '.join(self.classes)}", facts=facts)
        return Label(name, label, facts=facts)

    def notes(self) -> list[str]:
        """Also utterances that a whole corpus would have, films without a row, and what the release lacks."""
        found = len(self.rows)
        few = [f"{found} utterances; the whole corpus has {UTTERANCES}"] if found != UTTERANCES else []
        more = sorted({name for name, _ in self._found} - set(self.rows))
        unlisted = [f"{len(more)} films or sounds have no row and are not used: {more[0]}"] if more else []
        damaged = [f"{name} {what} in the release" for name, what in DAMAGED.items() if name in self.rows]
        return [*super().notes(), *few, *unlisted, *damaged]
