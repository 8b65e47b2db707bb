"""RAVDESS: 24 actors speak and sing two sentences in eight emotions; 7,356 files.

Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), PLoS ONE 13(5), 2018.
Creative Commons BY-NC-SA 4.0, on Zenodo as zip files; unpack them below one folder, in any layout. A file's name
is seven numbers::

    01-01-05-02-01-01-12.mp4
    │  │  │  │  │  │  └ actor; odd: male, even: female
    │  │  │  │  │  └ repetition
    │  │  │  │  └ statement
    │  │  │  └ intensity: 01 normal, 02 strong (neutral has normal alone)
    │  │  └ emotion: 01 neutral … 08 surprised
    │  └ channel: 01 speech, 02 song
    └ modality: 01 full (with sound), 02 pictures alone, 03 sound alone (.wav)

Of each modality there are 1,440 of speech and 1,012 of song: actor 18 did not sing, and nobody sang in disgust or surprise.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from avemo.base.contracts import Clip, ComponentConfig
from avemo.corpora.base import Label
from avemo.corpora.coded_names import CodedNames

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
SUNG = tuple(EMOTIONS.values())[:6]
CHANNELS = {"01": "speech", "02": "song"}
INTENSITIES = {"01": "normal", "02": "strong"}
FULL, PICTURES, SOUND = "01", "02", "03"


class Ravdess(CodedNames):
    """RAVDESS by its files' names; speaker and group are the actor."""

    name = "ravdess"
    version = 1
    pattern = re.compile(r"0[123]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4])")
    suffixes = (".wav", ".mp4")
    example = "03-01-05-01-02-01-12.wav"

    class Config(ComponentConfig):
        """Where the corpus lies, and which of its media to use."""

        root: Path
        channel: Literal["speech", "song", "both"] = "speech"
        media: Literal["full", "audio", "video", "both"] = "full"
        """``full``: sound and faces from the full clips (01); ``audio``: from the sound files (03); ``video``: from
        the silent films (02); ``both``: sound from 03, faces from 01, or 02 where that is not there."""

    class Labels(ComponentConfig):
        """The emotion that was asked for."""

        calm: Literal["calm", "neutral", "none"] = "calm"
        """A class of its own, as ``neutral``, or without a label."""
        intensity: Literal["both", "normal", "strong"] = "both"
        """Clips of the other one have no label."""

    config: Config
    label_rule: Labels

    @property
    def classes(self) -> tuple[str, ...]:
        names = SUNG if self.config.channel == "song" else tuple(EMOTIONS.values())
        return tuple(name for name in names if name != "calm" or self.label_rule.calm == "calm")

    def clips(self) -> list[Clip]:
        """A clip a trial that has the media asked for; its id is the name of the file that was taken, sound first."""
        found = self.files()
        wanted = {"full": FULL, "audio": SOUND, "video": PICTURES}.get(self.config.media)
        clips = []
        for trial in sorted({stem[3:] for stem, _ in found}):
            if self.config.channel not in ("both", CHANNELS[trial[:2]]):
                continue
            full, silent = found.get((f"{FULL}-{trial}", ".mp4")), found.get((f"{PICTURES}-{trial}", ".mp4"))
            sound = found.get((f"{SOUND}-{trial}", ".wav"))
            audio, video = {
                FULL: (full, full),
                SOUND: (sound, None),
                PICTURES: (None, silent),
                None: (sound, full or silent),
            }[wanted]
            if audio or video:
                name = f"{wanted or (SOUND if audio else FULL)}-{trial}"
                actor = trial[-2:]
                clips.append(Clip(name, actor, actor, audio_path=audio, video_path=video))
        return clips

    def labels(self, clips: list[Clip]) -> list[Label]:
        return [self._label(clip.clip_id) for clip in clips]

    def _label(self, clip_id: str) -> Label:
        _, channel, code, intensity, statement, repetition, actor = clip_id.split("-")
        emotion, level = EMOTIONS[code], INTENSITIES[intensity]
        facts = {
            "sex": "male" if int(actor) % 2 else "female",
            "channel": CHANNELS[channel],
            "statement": statement,
            "repetition": repetition,
        }
        label: str | None = emotion
        reason = ""
        if emotion == "calm" and self.label_rule.calm != "calm":
            label = "neutral" if self.label_rule.calm == "neutral" else None
            reason = "" if label else "calm is left out"
        if self.label_rule.intensity not in ("both", level):
            label, reason = None, f"intensity {level} is left out"
        return Label(clip_id, label, reason, intensity=level, facts=facts)

    def notes(self) -> list[str]:
        """Also clips that a whole corpus would have."""
        whole = {"speech": 1440, "song": 1012, "both": 2452}[self.config.channel]
        found = len(self.clips())
        few = [f"{found} clips; the whole corpus has {whole} of this channel"] if found != whole else []
        return [*super().notes(), *few]
