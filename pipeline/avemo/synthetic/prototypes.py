"""How each emotion looks and sounds: the one table that decides which modality can tell what.

Each emotion shares its face with one neighbour and its voice with another, so
that only both together name it:

==========  ===========  ===========  =========
face        voice high   voice tense  voice low
==========  ===========  ===========  =========
frowning    ANG          DIS
worried                  FEA          SAD
smiling     HAP
at rest                               NEU
==========  ===========  ===========  =========
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")

FACE_AXES = (
    *("brow_inner", "brow_outer", "brow_knit", "lid", "squint", "wrinkle"),
    *("lip_up", "corner", "stretch", "press", "pitch", "roll"),
)
"""Raised inner and outer brow, furrow, lid opening, lower lid, nose wrinkle; raised
upper lip, mouth corner up (smile) or down, wide mouth, pressed lips, head down, head tilt."""

FACE = {
    #       inner  outer  knit   lid    squint wrinkle lip_up corner stretch press pitch  roll
    "ANG": (-0.80, 0.05, 1.00, 0.15, 0.50, 0.30, 0.15, -0.35, 0.05, 0.80, 0.40, 0.00),
    "DIS": (-0.60, -0.25, 0.75, -0.35, 0.75, 0.95, 0.70, -0.45, 0.10, 0.25, 0.10, 0.20),
    "FEA": (0.80, 0.45, 0.45, 0.60, 0.05, 0.05, 0.10, -0.35, 0.60, 0.00, -0.25, 0.00),
    "SAD": (0.85, -0.25, 0.35, -0.35, 0.15, 0.05, 0.00, -0.75, -0.05, 0.25, 0.40, 0.30),
    "HAP": (0.10, 0.20, 0.00, -0.10, 0.60, 0.10, 0.25, 1.00, 0.60, 0.00, -0.15, 0.15),
    "NEU": (0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00),
}

VOICE_AXES = ("pitch", "range", "energy", "rate", "bright", "breath", "rough", "smile")
"""In units of `avemo.synthetic.voice.UNITS`: mean pitch, liveliness of pitch, loudness,
syllable rate, flatness of the source spectrum, aspiration, jitter and shimmer, shortened tract."""

VOICE = {
    #       pitch  range  energy rate  bright breath rough  smile
    "ANG": (0.80, 0.60, 1.00, 0.40, 1.00, -0.20, 0.45, -0.30),
    "HAP": (1.00, 1.00, 0.75, 0.35, 0.60, -0.05, 0.00, 0.60),
    "DIS": (0.05, 0.10, 0.25, -0.50, 0.25, 0.65, 0.90, -0.10),
    "FEA": (0.65, -0.15, 0.15, 0.15, 0.30, 0.90, 0.75, 0.10),
    "SAD": (-0.25, -0.55, -0.65, -0.55, -0.60, 0.35, 0.10, -0.10),
    "NEU": (0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00),
}

FACE_PAIRS = (("ANG", "DIS"), ("FEA", "SAD"))
VOICE_PAIRS = (("ANG", "HAP"), ("DIS", "FEA"), ("SAD", "NEU"))


def face_prototypes(gap: float) -> np.ndarray:
    """``(emotions, face axes)``: the table, its pairs drawn together to ``gap`` of their distance."""
    return _drawn_together(FACE, FACE_PAIRS, gap)


def voice_prototypes(gap: float) -> np.ndarray:
    """``(emotions, voice axes)``: the table, its pairs drawn together to ``gap`` of their distance."""
    return _drawn_together(VOICE, VOICE_PAIRS, gap)


def at_intensity(prototypes: np.ndarray, gain: float) -> np.ndarray:
    """``(emotions, axes)``: each emotion at ``gain`` of its way from neutral; 1 is the table."""
    neutral = prototypes[EMOTIONS.index("NEU")]
    return neutral + gain * (prototypes - neutral)


def _drawn_together(
    table: Mapping[str, tuple[float, ...]], pairs: tuple[tuple[str, str], ...], gap: float
) -> np.ndarray:
    rows = {emotion: np.array(values) for emotion, values in table.items()}
    for pair in pairs:
        middle = (rows[pair[0]] + rows[pair[1]]) / 2
        for emotion in pair:
            rows[emotion] = middle + gap * (rows[emotion] - middle)
    return np.stack([rows[emotion] for emotion in EMOTIONS])
