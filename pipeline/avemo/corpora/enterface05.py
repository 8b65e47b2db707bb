"""eNTERFACE'05: 44 people react to six stories with five sentences for each emotion; 1,293 films with sound.

Martin, Kotsia, Macq, Pitas: The eNTERFACE'05 Audio-Visual Emotion Database, ICDE Workshops 2006; MIT licence, as the
corpus' page says. The archive holds ``subject 1/anger/sentence 1/s1_an_1.avi``. What is odd about it:

* Who speaks is in the folder's name: the files of ``subject 11`` are called ``s12_…`` as those of ``subject 12`` are.
* ``subject 6`` was not cut: ``subject 6/anger/s6_an.avi`` holds all five sentences.
* ``subject 23`` lacks three sentences of happiness; the authors count the other 42 people alone.
* Some names are misspelt, such as ``s_3_su_4.avi`` and ``s16_su_3avi.avi``; they are read.

Each emotion has sentences of its own, so that words alone tell it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from avemo.base.contracts import Clip, ComponentConfig
from avemo.corpora.base import Label
from avemo.corpora.coded_names import CodedNames

EMOTIONS = {
    "an": "anger",
    "di": "disgust",
    "fe": "fear",
    "ha": "happiness",
    "sa": "sadness",
    "su": "surprise",
}
SUBJECTS, CLIPS = 44, 1293
SUBJECT = re.compile(r"subject[ _-]?0*(\d+)", re.IGNORECASE)
"""A folder's name."""


class Enterface05(CodedNames):
    """eNTERFACE'05 by the names of folders and files; speaker and group are the subject."""

    name = "enterface05"
    version = 1
    pattern = re.compile(r"s_?0*(?P<who>\d+)_(?P<emotion>an|di|fe|ha|sa|su)(?:_(?P<sentence>[1-5]))?(?:avi)?")
    suffixes = (".avi", ".mp4", ".wav")
    example = "subject 1/anger/sentence 1/s1_an_1.avi"

    class Config(ComponentConfig):
        """Where the corpus lies, and which of its media to use."""

        root: Path
        media: Literal["both", "audio", "video"] = "both"
        """``both``: sound from sound files where a mirror has some, else from the films; faces from the films."""

    class Labels(ComponentConfig):
        """The emotion of the story."""

        uncut: bool = False
        """Whether subject 6's films of all five sentences, about a minute each, count."""

    config: Config
    label_rule: Labels

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(EMOTIONS.values())

    def named(self, path: Path) -> str:
        """``s11_an_1``, or ``s6_an`` of an uncut film; who speaks is the folder's number where one has it."""
        match = self.pattern.fullmatch(path.stem.lower())
        if not match:
            return ""
        folders = [found[1] for part in path.parts[:-1] if (found := SUBJECT.fullmatch(part))]
        sentence = f"_{match['sentence']}" if match["sentence"] else ""
        return f"s{folders[-1] if folders else match['who']}_{match['emotion']}{sentence}"

    def clips(self) -> list[Clip]:
        """A clip a sentence that has the media asked for, named ``s1_an_1`` whatever the layout."""
        files, clips = self.files(), []
        for name in sorted({name for name, _ in files}):
            film = files.get((name, ".avi")) or files.get((name, ".mp4"))
            sound = files.get((name, ".wav")) or film
            video, audio = film, sound
            if self.config.media == "audio":
                video = None
            elif self.config.media == "video":
                audio = None
            if audio or video:
                who = name.split("_")[0]
                clips.append(Clip(name, who, who, audio_path=audio, video_path=video))
        return clips

    def labels(self, clips: list[Clip]) -> list[Label]:
        return [self._label(clip.clip_id) for clip in clips]

    def _label(self, name: str) -> Label:
        _, emotion, *sentence = name.split("_")
        if not sentence and not self.label_rule.uncut:
            return Label(name, None, "an uncut film of all five sentences, left out by labels.uncut")
        return Label(name, EMOTIONS[emotion])

    def notes(self) -> list[str]:
        """Also clips that a whole corpus would have."""
        clips = self.clips()
        found, people = len(clips), len({clip.speaker for clip in clips})
        few = [f"{found} clips of {people} people; the whole corpus has {CLIPS} of {SUBJECTS}"]
        return [*super().notes(), *(few if (found, people) != (CLIPS, SUBJECTS) else [])]
