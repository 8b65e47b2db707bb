"""SAVEE: 480 sentences of four English men in seven emotions, with faces.

Haq, Jackson: Multimodal Emotion Recognition, in Machine Audition, IGI Global 2010; to be registered for at the University of
Surrey. Sound lies in ``AudioData/DC/a01.wav`` and film in ``AudioVisualClip/DC/a01.avi``; some mirrors have
``DC_a01.wav`` in one folder. The letters are the emotion, the number the sentence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from avemo.base.contracts import Clip, ComponentConfig
from avemo.corpora.base import Label
from avemo.corpora.coded_names import CodedNames

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SPEAKERS = ("DC", "JE", "JK", "KL")
CLIPS = 480


class Savee(CodedNames):
    """SAVEE by the names of files and folders; speaker and group are the actor."""

    name = "savee"
    version = 1
    pattern = re.compile(r"((dc|je|jk|kl)_)?(a|d|f|h|n|sa|su)\d\d")
    suffixes = (".wav", ".avi")
    example = "DC/a01.wav or DC_a01.wav"

    class Config(ComponentConfig):
        """Where the corpus lies, and which of its media to use."""

        root: Path
        media: Literal["both", "audio", "video"] = "both"
        """``both``: sound from the sound files, or the films where there are none, and faces from the films."""

    class Labels(ComponentConfig):
        """The emotion that was acted."""

    config: Config

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(EMOTIONS.values())

    def named(self, path: Path) -> str:
        """``DC_a01``, from the name or from a folder above; "" where neither says who speaks."""
        speaker, _, rest = super().named(path).rpartition("_")
        above = [part.upper() for part in path.parts[:-1] if part.upper() in SPEAKERS]
        who = speaker.upper() or next(reversed(above), "")
        return f"{who}_{rest}" if who and rest else ""

    def clips(self) -> list[Clip]:
        """A clip a sentence that has the media asked for, named ``DC_a01`` whatever the layout."""
        files, clips = self.files(), []
        for name in sorted({name for name, _ in files}):
            film = files.get((name, ".avi")) if self.config.media != "audio" else None
            sound = (files.get((name, ".wav")) or film) if self.config.media != "video" else None
            if film or sound:
                clips.append(Clip(name, name[:2], name[:2], audio_path=sound, video_path=film))
        return clips

    def labels(self, clips: list[Clip]) -> list[Label]:
        return [Label(clip.clip_id, EMOTIONS[re.sub(r"\d", "", clip.clip_id[3:])]) for clip in clips]

    def notes(self) -> list[str]:
        """Also clips that a whole corpus would have."""
        found = len(self.clips())
        few = [f"{found} clips; the whole corpus has {CLIPS}"] if found != CLIPS else []
        return [*super().notes(), *few]
