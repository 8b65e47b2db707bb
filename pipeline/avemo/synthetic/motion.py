"""From a take to the pose of its face in every frame: onset, apex, offset, speech, blinks, drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avemo.synthetic.prototypes import FACE_AXES
from avemo.synthetic.syllables import Syllable, opening
from avemo.synthetic.takes import Take

STRENGTH = 1.3
"""How strongly a face shows one unit of the prototype table."""
BLINK_S = 0.09
"""Half the time from open to open."""


@dataclass(frozen=True)
class Pose:
    """One frame's face: ``FACE_AXES`` by name in ``axes``, and what speech and chance add.

    ``jaw`` and ``lids`` are 0 (closed) to 1 (as open as can be); ``yaw`` and the
    gaze are fractions of half a face; ``x``, ``y`` the head's shift in head heights.
    """

    axes: dict[str, float]
    jaw: float
    lids: float
    yaw: float
    gaze_x: float
    gaze_y: float
    x: float
    y: float


def poses(take: Take, syllables: list[Syllable], times_s: np.ndarray) -> list[Pose]:
    """One pose per frame time."""
    rng = take.rng(1)
    axes = expression(take, times_s, rng)
    jaw = opening(syllables, times_s) * rng.uniform(0.7, 1.0)
    lids = 1 - blinking(times_s, take.duration_s, rng)
    drift = np.stack([_drift(times_s, rng) for _ in range(5)], axis=1) * (0.14, 0.09, 0.08, 0.03, 0.025)
    drift[:, 0] += rng.normal(0, 0.10)
    return [
        Pose(dict(zip(FACE_AXES, row.tolist(), strict=True)), float(j), float(o), *map(float, d))
        for row, j, o, d in zip(axes, jaw, lids, drift, strict=True)
    ]


def expression(take: Take, times_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``(frames, face axes)``: the take's expression rising to its apex and half-way back, on a resting face."""
    phase = times_s / take.duration_s
    onset, offset = rng.uniform(0.12, 0.25), rng.uniform(0.75, 0.9)
    envelope = _smoothstep((phase - onset + 0.15) / 0.3) * (1 - 0.5 * _smoothstep((phase - offset) / 0.2))
    flutter = np.stack([_drift(times_s, rng) for _ in FACE_AXES], axis=1) * 0.06
    return np.array(take.actor.look.resting) + STRENGTH * envelope[:, None] * take.face + flutter


def blinking(times_s: np.ndarray, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """``(frames,)`` how far blinks close the lids, 0 to 1; about one blink in two seconds."""
    starts = rng.uniform(0, duration_s, rng.poisson(duration_s / 2))
    closed = [np.clip(1 - np.abs(times_s - start) / BLINK_S, 0, 1) for start in starts]
    return np.max(closed, axis=0) if closed else np.zeros_like(times_s)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _drift(times_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A slow wander of about unit size: two sines below 1.6 Hz."""
    rates_hz, phases = rng.uniform(0.2, 1.6, 2), rng.uniform(0, 2 * np.pi, 2)
    return np.sin(2 * np.pi * times_s[:, None] * rates_hz + phases).mean(axis=1)
