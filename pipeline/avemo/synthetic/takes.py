"""The shooting list: which clips exist, and what face and voice each one shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from avemo.synthetic.actors import Actor, make_actor
from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.prototypes import EMOTIONS, at_intensity, face_prototypes, voice_prototypes

GAINS = {"LO": 0.45, "MD": 0.72, "HI": 1.0}
"""Share of the way from neutral to the prototype; XX draws from this range."""


@dataclass(frozen=True)
class Take:
    """One clip before it is rendered. ``face`` and ``voice`` are its vectors at the emotion's apex."""

    name: str
    actor: Actor
    sentence: str
    emotion: str
    gain: float
    duration_s: float
    face: np.ndarray
    voice: np.ndarray
    entropy: tuple[int, ...]

    def rng(self, purpose: int) -> np.random.Generator:
        """This clip's own generator for one ``purpose``, whatever else has been rendered."""
        return np.random.default_rng([*self.entropy, purpose])


def all_takes(config: DemoConfig) -> list[Take]:
    """Every clip of the corpus, by actor, sentence, emotion and intensity."""
    return [
        _take(config, make_actor(config.seed, number), number, *part)
        for number in range(config.actors)
        for part in parts(config)
    ]


def parts(config: DemoConfig) -> list[tuple[str, str, str]]:
    """``(sentence, emotion, intensity)`` of each clip of one actor."""
    graded = [
        (sentence, emotion, level)
        for sentence in config.graded
        for emotion in EMOTIONS
        for level in (("XX",) if emotion == "NEU" else GAINS)
    ]
    plain = [(sentence, emotion, "XX") for sentence in config.plain for emotion in EMOTIONS]
    return [*graded, *plain, *((sentence, "NEU", "XX") for sentence in config.neutral)]


def _take(config: DemoConfig, actor: Actor, number: int, sentence: str, emotion: str, level: str) -> Take:
    name = f"{actor.name}_{sentence}_{emotion}_{level}"
    entropy = (config.seed, 2, number, *name.encode())
    rng = np.random.default_rng(entropy)
    gain = GAINS[level] if level in GAINS else rng.uniform(min(GAINS.values()), 1.0)
    row = EMOTIONS.index(emotion)
    face_table, voice_table = _tables(config.face_gap, config.voice_gap)
    face = _acted(face_table, row, gain * actor.expressive, config.spread, rng)
    voice = _acted(voice_table, row, gain * actor.expressive, config.spread, rng)
    duration_s = config.seconds * float(np.exp(rng.normal(0, 0.05))) * 2 ** (-0.4 * voice[3])
    return Take(name, actor, sentence, emotion, float(gain), float(duration_s), face, voice, entropy)


@lru_cache(maxsize=4)
def _tables(face_gap: float, voice_gap: float) -> tuple[np.ndarray, np.ndarray]:
    return face_prototypes(face_gap), voice_prototypes(voice_gap)


def _acted(table: np.ndarray, row: int, gain: float, spread: float, rng: np.random.Generator) -> np.ndarray:
    return at_intensity(table, gain)[row] + rng.normal(0, spread, table.shape[1])
