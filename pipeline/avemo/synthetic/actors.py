"""Who acts: looks and voices that differ from actor to actor, drawn from the corpus' seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avemo.synthetic.prototypes import FACE_AXES

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

SKINS = ((241, 205, 180), (226, 180, 148), (205, 154, 118), (176, 124, 90), (141, 94, 66), (104, 68, 48))
# Hair and eyes go from dark to light: darker skins take from the first two.
HAIRS = ((34, 26, 24), (58, 40, 30), (104, 70, 42), (150, 108, 62), (196, 160, 104), (128, 124, 122))
IRISES = ((72, 48, 30), (96, 66, 38), (70, 96, 62), (70, 104, 140), (96, 110, 120))
CLOTHES = ((52, 70, 110), (120, 48, 52), (58, 92, 74), (70, 66, 74), (150, 130, 96), (190, 190, 196))
WALL = (128, 138, 146)
STYLES = {"male": ("short", "parted", "cropped", "short"), "female": ("long", "bun", "parted", "long")}


@dataclass(frozen=True)
class Look:
    """A face at rest. Lengths are factors of the average face; ``resting`` is added to every pose."""

    skin: Colour
    hair: Colour
    iris: Colour
    clothes: Colour
    wall: Colour
    lips: Colour
    style: str
    glasses: bool
    stubble: float
    head_width: float
    jaw_width: float
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_weight: float
    nose_width: float
    nose_length: float
    lip_weight: float
    mouth_width: float
    resting: tuple[float, ...]


@dataclass(frozen=True)
class Actor:
    """``f0_hz`` at rest, ``tract`` as a factor on formants, loudness in dB, ``expressive`` as a gain."""

    name: str
    sex: str
    age: int
    f0_hz: float
    tract: float
    loudness_db: float
    expressive: float
    look: Look


def make_actor(seed: int, number: int) -> Actor:
    """Actor ``1001 + number``; the same seed and number give the same person."""
    rng = np.random.default_rng([seed, 1, number])
    sex = ("male", "female")[number % 2]
    f0_hz, tract = (rng.uniform(98, 138), 1.0) if sex == "male" else (rng.uniform(175, 232), 1.16)
    return Actor(
        name=str(1001 + number),
        sex=sex,
        age=int(rng.integers(20, 70)),
        f0_hz=f0_hz,
        tract=tract * rng.uniform(0.95, 1.05),
        loudness_db=rng.normal(0, 2.0),
        expressive=rng.uniform(0.8, 1.15),
        look=_make_look(rng, sex, number),
    )


def _make_look(rng: np.random.Generator, sex: str, number: int) -> Look:
    skin = _shifted(rng, SKINS[number % len(SKINS)], 7)
    red, green, blue = (round(0.6 * s + 0.4 * lip) for s, lip in zip(skin, (165, 50, 58), strict=True))
    near = _factor(rng)
    return Look(
        skin=skin,
        hair=_shifted(rng, HAIRS[int(rng.integers(2 if number % len(SKINS) > 3 else len(HAIRS)))], 8),
        iris=IRISES[int(rng.integers(2 if number % len(SKINS) > 2 else len(IRISES)))],
        clothes=_shifted(rng, CLOTHES[int(rng.integers(len(CLOTHES)))], 12),
        wall=_shifted(rng, WALL, 8),
        lips=(red, green, blue),
        style=STYLES[sex][number // 2 % 4],
        glasses=number % 7 in (2, 5) and number % 2 == 0,
        stubble=float(rng.uniform(0, 0.15)) if sex == "male" else 0.0,
        head_width=near(0.03),
        jaw_width=near(0.03) * (1.04 if sex == "male" else 0.95),
        eye_distance=near(0.03),
        eye_size=near(0.05) * (0.97 if sex == "male" else 1.06),
        brow_height=near(0.05),
        brow_weight=near(0.10) * (1.2 if sex == "male" else 0.85),
        nose_width=near(0.08),
        nose_length=near(0.05),
        lip_weight=near(0.10) * (0.9 if sex == "male" else 1.1),
        mouth_width=near(0.05),
        resting=tuple(rng.normal(0, 0.06, len(FACE_AXES)).tolist()),
    )


def _factor(rng: np.random.Generator) -> Callable[[float], float]:
    """Draws about 1 with a given standard deviation, at most two of them away."""
    return lambda sd: float(1 + sd * np.clip(rng.normal(), -2, 2))


def _shifted(rng: np.random.Generator, colour: Colour, sd: float) -> Colour:
    """Lighter or darker by ``sd``, and a little warmer or colder."""
    shift = rng.normal(0, sd) + rng.normal(0, 0.25 * sd, 3)
    red, green, blue = (int(np.clip(c + d, 0, 255)) for c, d in zip(colour, shift, strict=True))
    return red, green, blue
