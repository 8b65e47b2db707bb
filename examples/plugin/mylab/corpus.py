"""A folder of sounds named ``speaker_emotion_take.wav``."""

from pathlib import Path

from avemo.base.contracts import Clip, ComponentConfig
from avemo.corpora.base import Corpus, Label


class NamedSounds(Corpus):
    """Who speaks and how stands in each file's name, as in ``anna_angry_1.wav``."""

    name = "named_sounds"  # its folder in the cache
    version = 1  # raise it whenever `clips` gives other clips

    class Config(ComponentConfig):
        """Where it lies."""

        root: Path

    class Labels(ComponentConfig):
        """The label rule."""

        emotions: tuple[str, ...] = ("angry", "sad")

    @property
    def classes(self):
        return self.label_rule.emotions

    def clips(self):
        return [self.clip(path, path.stem.split("_")[0]) for path in self.media_files()]

    def clip(self, path, speaker):
        return Clip(clip_id=path.stem, speaker=speaker, group=speaker, audio_path=path)

    def labels(self, clips):
        return [self.label(clip.clip_id, clip.clip_id.split("_")[1]) for clip in clips]

    def label(self, clip_id, emotion):
        known = emotion in self.classes
        return Label(clip_id, emotion) if known else Label(clip_id, None, f"{emotion} is left out")

    def media_files(self):
        return sorted(self.root.glob("*.wav"))
