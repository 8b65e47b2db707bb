"""Speech by source and filter: a glottal pulse train and noise through moving formants.

The source is Rosenberg's pulse (J. Acoust. Soc. Am. 49(2B), 1971, form C),
differentiated for the lips' radiation; the filter a cascade of second-order
resonators as in Klatt's synthesiser (J. Acoust. Soc. Am. 67(3), 1980).
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from avemo.synthetic.prototypes import VOICE_AXES
from avemo.synthetic.syllables import HISSES, VOWELS, Syllable
from avemo.synthetic.takes import Take

RATE_HZ = 16_000
BLOCK = 128  # samples between two updates of the filter
UNITS = {
    "pitch": 6.0,
    "range": 0.6,
    "energy": 7.0,
    "rate": 0.4,
    "bright": 1.0,
    "breath": 1.0,
    "rough": 1.0,
    "smile": 0.06,
}
"""One unit of each voice axis: semitones, share of the pitch range, dB, octaves of syllable
rate, then shares of the settings in `source`, and the share by which formants rise."""
BANDWIDTHS_HZ = (70.0, 95.0, 140.0, 220.0)
FOURTH_HZ = 3500.0
NOISE_DB = -52.0
FULL_DB = -27.0
"""Level of background noise and of an average actor's neutral speech, re full scale."""


def speak(take: Take, syllables: list[Syllable]) -> np.ndarray:
    """``(samples,)`` float32 in [-1, 1] at `RATE_HZ`, of the take's duration."""
    rng = take.rng(2)
    axes = dict(zip(VOICE_AXES, take.voice.tolist(), strict=True))
    times_s = np.arange(round(take.duration_s * RATE_HZ)) / RATE_HZ
    loud = loudness(syllables, times_s)
    voiced = source(melody(take, syllables, times_s, rng), axes, rng) * loud
    spoken = formants(voiced, syllables, take.actor.tract * (1 + UNITS["smile"] * axes["smile"]))
    spoken /= np.sqrt(np.mean(spoken**2)) + 1e-9
    spoken = spoken + 1.3 * hisses(syllables, len(times_s), rng)
    level_db = FULL_DB + take.actor.loudness_db + UNITS["energy"] * axes["energy"]
    room = 10 ** (NOISE_DB / 20) * rng.standard_normal(len(times_s))
    return np.tanh(10 ** (level_db / 20) * spoken + room).astype(np.float32)


def melody(
    take: Take, syllables: list[Syllable], times_s: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """``(samples,)`` fundamental frequency in Hz: declining, with an accent on each stressed syllable."""
    pitch, liveliness = take.voice[0], max(0.1, 1 + UNITS["range"] * take.voice[1])
    semitones = UNITS["pitch"] * pitch + 1.5 * liveliness * (0.5 - times_s / take.duration_s)
    for syllable in syllables:
        middle, width = (syllable.start_s + syllable.end_s) / 2, (syllable.end_s - syllable.start_s) / 2
        accent = 2.2 * liveliness * (syllable.stress - 0.85) * rng.uniform(0.6, 1.4)
        semitones = semitones + accent * np.exp(-(((times_s - middle) / width) ** 2))
    return take.actor.f0_hz * 2 ** (semitones / 12)


def loudness(syllables: list[Syllable], times_s: np.ndarray) -> np.ndarray:
    """``(samples,)`` envelope of voicing, 0 to about 1.25."""
    total = np.zeros_like(times_s)
    for syllable in syllables:
        phase = np.clip((times_s - syllable.start_s) / (syllable.end_s - syllable.start_s), 0, 1)
        total += syllable.stress * np.sqrt(np.sin(np.pi * phase))
    return total


def source(f0_hz: np.ndarray, axes: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """``(samples,)`` pulses with jitter, shimmer, spectral tilt and aspiration as ``axes`` ask."""
    rough, bright, breath = (max(0.0, axes["rough"]), axes["bright"], max(-0.25, axes["breath"]))
    jitter = 0.006 + 0.022 * rough
    steps = rng.standard_normal(int(f0_hz.sum() / RATE_HZ) + 2)
    cycle = np.cumsum(f0_hz) / RATE_HZ
    cycle = cycle + np.interp(cycle, np.arange(len(steps)), steps) * jitter
    number, phase = np.floor(cycle).astype(int), cycle % 1
    height = 1 + (0.03 + 0.12 * rough) * rng.standard_normal(number.max() + 2)[number]
    pulses = np.diff(height * rosenberg(phase, 0.62 - 0.12 * np.tanh(bright)), prepend=0)
    pulses /= np.sqrt(np.mean(pulses**2))
    air = rng.standard_normal(len(f0_hz)) * (0.5 + rosenberg(phase, 0.7))
    mixture = pulses + (0.06 + 0.22 * (breath + 0.25)) * air
    pole = np.clip(0.55 - 0.28 * bright, 0.05, 0.92)
    return lfilter([1 - pole], [1, -pole], mixture)


def rosenberg(phase: np.ndarray, open_share: float) -> np.ndarray:
    """Glottal flow at ``phase`` of the cycle: rising for two thirds of ``open_share``, then falling."""
    rise, fall = 2 / 3 * open_share, open_share / 3
    rising = 0.5 * (1 - np.cos(np.pi * phase / rise))
    falling = np.cos(np.pi / 2 * (phase - rise) / fall)
    return np.where(phase < rise, rising, np.where(phase < open_share, falling, 0.0))


def formants(signal: np.ndarray, syllables: list[Syllable], tract: float) -> np.ndarray:
    """``signal`` through four resonators that glide from vowel to vowel; ``tract`` scales their frequencies."""
    starts = np.arange(0, len(signal), BLOCK)
    tracks_hz = formant_tracks(syllables, (starts + BLOCK / 2) / RATE_HZ) * tract
    state = np.zeros((tracks_hz.shape[1], 2))
    filtered = np.empty_like(signal)
    for start, row_hz in zip(starts, tracks_hz, strict=True):
        part = slice(start, start + BLOCK)
        filtered[part], state = sosfilt(_resonators(row_hz), signal[part], zi=state)
    return filtered


def formant_tracks(syllables: list[Syllable], times_s: np.ndarray) -> np.ndarray:
    """``(times, 4)`` Hz, straight lines between each vowel's start and end targets."""
    knots_s, targets = [], []
    for syllable in syllables:
        span_s = syllable.end_s - syllable.start_s
        for share, target in zip((0.3, 0.75), VOWELS[syllable.vowel][:2], strict=True):
            knots_s.append(syllable.start_s + share * span_s)
            targets.append((*target, FOURTH_HZ))
    return np.stack([np.interp(times_s, knots_s, column) for column in np.array(targets).T], axis=1)


def _resonators(frequencies_hz: np.ndarray) -> np.ndarray:
    """Second-order sections with unit gain at 0 Hz, one per formant (Klatt 1980, eq. 1 and 2)."""
    radius = np.exp(-np.pi * np.array(BANDWIDTHS_HZ) / RATE_HZ)
    b = 2 * radius * np.cos(2 * np.pi * np.minimum(frequencies_hz, 0.47 * RATE_HZ) / RATE_HZ)
    c = -(radius**2)
    zero, one = np.zeros_like(b), np.ones_like(b)
    return np.stack([1 - b - c, zero, zero, one, -b, -c], axis=1)


def hisses(syllables: list[Syllable], n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """``(n_samples,)`` the noise of the unvoiced consonants at the edges of their syllables."""
    total = np.zeros(n_samples)
    for syllable in syllables:
        for phones, at_s in ((syllable.before, syllable.start_s), (syllable.after, syllable.end_s)):
            for i, phone in enumerate(phone for phone in phones if phone in HISSES):
                _add_hiss(total, phone, at_s + 0.03 * (i - len(phones) / 2), syllable.stress, rng)
    return total


def _add_hiss(total: np.ndarray, phone: str, at_s: float, stress: float, rng: np.random.Generator) -> None:
    low_hz, high_hz, level = HISSES[phone]
    length = int((0.03 if phone in "tkpdbg" else 0.08) * RATE_HZ)
    start = max(0, round(at_s * RATE_HZ) - length // 2)
    length = min(length, len(total) - start)
    if length > 0:
        band = butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos")
        noise = sosfilt(band, rng.standard_normal(length)) * np.hanning(length)
        total[start : start + length] += level * stress * noise / (np.sqrt(np.mean(noise**2)) + 1e-9)
