"""EmoDB, the Berlin Database of Emotional Speech: 535 sentences of ten actors in seven emotions; sound alone.

Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A Database of German Emotional Speech, Interspeech 2005. Below one folder
lie the files, usually in ``wav/``; a name is ``03a01Fa.wav``: speaker 03, text a01, emotion F (Freude), version a.
"""

from __future__ import annotations

import re
from pathlib import Path

from avemo.base.contracts import Clip, ComponentConfig
from avemo.corpora.base import Label
from avemo.corpora.coded_names import CodedNames

EMOTIONS = {
    "w": "anger",
    "l": "boredom",
    "e": "disgust",
    "a": "fear",
    "f": "happiness",
    "n": "neutral",
    "t": "sadness",
}
"""By the first letter of the German word: Wut, Langeweile, Ekel, Angst, Freude, neutral, Trauer."""
MEN, WOMEN = ("03", "10", "11", "12", "15"), ("08", "09", "13", "14", "16")
CLIPS = 535


class EmoDB(CodedNames):
    """EmoDB by its files' names; speaker and group are the actor."""

    name = "emodb"
    version = 1
    pattern = re.compile(rf"({'|'.join((*MEN, *WOMEN))})[ab]\d\d[wleafnt][a-z]")
    suffixes = (".wav",)
    example = "03a01Fa.wav"

    class Config(ComponentConfig):
        """Where the corpus lies."""

        root: Path

    class Labels(ComponentConfig):
        """The emotion that was acted."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(EMOTIONS.values())

    def clips(self) -> list[Clip]:
        return [
            Clip(path.stem, path.stem[:2], path.stem[:2], audio_path=path) for path in self.files().values()
        ]

    def labels(self, clips: list[Clip]) -> list[Label]:
        return [
            Label(
                clip.clip_id,
                EMOTIONS[clip.clip_id[5].lower()],
                facts={"sex": "male" if clip.speaker in MEN else "female", "text": clip.clip_id[2:5].lower()},
            )
            for clip in clips
        ]

    def notes(self) -> list[str]:
        """Also clips that a whole corpus would have."""
        found = len(self.files())
        few = [f"{found} clips; the whole corpus has {CLIPS}"] if found != CLIPS else []
        return [*super().notes(), *few]
