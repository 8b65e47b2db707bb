"""The twelve sentences as syllables, and when each is spoken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SENTENCES = {
    "IEO": "ih:s ih l:eh v:ah n:ow k:aa:k",
    "TIE": "dh:ae:t ih:z eh k:z:ae:k t:l:iy w:ah:t h:ae p:ah:n",
    "IOM": "ay:m aa:n m:ay w:ey t:uw dh:ah m:iy t:ih",
    "IWW": "ay w:ah n:d:er w:ah:t dh:ih:s ih:z ah b:aw:t",
    "TAI": "dh:iy eh:r p:l:ey:n ih:z aa:l m:ow:s f:uh:l",
    "MTI": "m:ey b:iy t:ah m:aa r:ow ih:t w:ih:l b:iy k:ow:l",
    "IWL": "ay w:uh:d l:ay:k ah n:uw ah l:aa:r:m k:l:aa:k",
    "ITH": "ay th:ih:k ay h:ae:v ah d:aa:k t:er:z ah p:oy:n",
    "DFA": "d:ow:t f:er g:eh:t ah jh:ae k:eh:t",
    "ITS": "ay th:ih:k ay:v s:iy:n dh:ih:s b:ih f:ao:r",
    "TSI": "dh:ah s:er f:ah:s ih:z s:l:ih:k",
    "WSI": "w:iy:l s:t:aa:p ih:n ah k:ah p:ah:l",
}
"""Each sentence code's syllables, phones parted by colons (ARPAbet-like, simplified)."""

VOWELS = {
    # first three formants at the start and at the end (Hz, adult male), mouth opening 0 to 1
    "iy": ((270, 2290, 3010), (270, 2290, 3010), 0.25),
    "ih": ((390, 1990, 2550), (390, 1990, 2550), 0.35),
    "eh": ((530, 1840, 2480), (530, 1840, 2480), 0.55),
    "ae": ((660, 1720, 2410), (660, 1720, 2410), 0.80),
    "ah": ((520, 1190, 2390), (520, 1190, 2390), 0.50),
    "aa": ((730, 1090, 2440), (730, 1090, 2440), 1.00),
    "ao": ((570, 840, 2410), (570, 840, 2410), 0.75),
    "uh": ((440, 1020, 2240), (440, 1020, 2240), 0.35),
    "uw": ((300, 870, 2240), (300, 870, 2240), 0.20),
    "er": ((490, 1350, 1690), (490, 1350, 1690), 0.40),
    "ow": ((570, 900, 2400), (360, 850, 2300), 0.60),
    "ay": ((730, 1200, 2440), (390, 1990, 2550), 0.85),
    "ey": ((530, 1840, 2480), (330, 2200, 2800), 0.50),
    "aw": ((730, 1200, 2440), (400, 950, 2300), 0.85),
    "oy": ((570, 840, 2410), (390, 1990, 2550), 0.65),
}

HISSES = {
    # band (Hz) and level of the noise of an unvoiced consonant
    "s": (4200, 7600, 0.50),
    "z": (4000, 7500, 0.25),
    "f": (1500, 7000, 0.16),
    "th": (1800, 7200, 0.14),
    "h": (600, 3500, 0.14),
    "jh": (2200, 5500, 0.40),
    "t": (2800, 6500, 0.50),
    "k": (1300, 3200, 0.45),
    "p": (500, 1800, 0.35),
    "d": (2500, 5500, 0.22),
    "b": (400, 1500, 0.18),
    "g": (1000, 2800, 0.22),
}


@dataclass(frozen=True)
class Syllable:
    """One vowel with the consonants about it; ``stress`` scales its length and loudness."""

    start_s: float
    end_s: float
    vowel: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    stress: float


def timeline(sentence: str, duration_s: float, rng: np.random.Generator) -> list[Syllable]:
    """When each syllable of ``sentence`` sounds in a clip of ``duration_s``.

    Silence before and after takes a twelfth each.
    """
    texts = SENTENCES[sentence].split()
    stress = rng.uniform(0.75, 1.25, len(texts))
    stress[-1] *= 1.15
    lead_s = duration_s / 12
    ends_s = lead_s + np.cumsum(stress) / stress.sum() * (duration_s - 2 * lead_s)
    starts_s = np.concatenate([[lead_s], ends_s[:-1]])
    return [_syllable(*row) for row in zip(texts, starts_s, ends_s, stress, strict=True)]


def _syllable(text: str, start_s: float, end_s: float, stress: float) -> Syllable:
    phones = text.split(":")
    at = next(i for i, phone in enumerate(phones) if phone in VOWELS)
    before, after = tuple(phones[:at]), tuple(phones[at + 1 :])
    return Syllable(float(start_s), float(end_s), phones[at], before, after, float(stress))


def opening(syllables: list[Syllable], times_s: np.ndarray) -> np.ndarray:
    """``(frames,)`` how wide speech opens the mouth, 0 to 1, at ``times_s``."""
    total = np.zeros_like(times_s)
    for syllable in syllables:
        phase = np.clip((times_s - syllable.start_s) / (syllable.end_s - syllable.start_s), 0, 1)
        total += VOWELS[syllable.vowel][2] * syllable.stress * np.sin(np.pi * phase) ** 2
    return np.clip(total, 0, 1)
