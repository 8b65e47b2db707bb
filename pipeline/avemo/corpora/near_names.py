"""Names that may be meant to be one, alike but for case, accents and blanks or but for one letter, or to be none."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping

LONG = 4
"""Names of letters alone, from so many on, are compared letter by letter; numbered ones differ by design."""

MISSING = {"", "nan", "-nan", "n/a", "na", "#n/a", "#na", "none", "null", "<na>", "nil"}
"""What stands for nothing, in any case, as spreadsheets and pandas write it."""


def is_missing(name: str) -> bool:
    """Whether a name says that there is none."""
    return name.casefold() in MISSING


def folded(name: str) -> str:
    """A name without case, accents, blanks and punctuation.

    >>> folded("André  B."), folded("andre_b")
    ('andreb', 'andreb')
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def close(name: str, known: Iterable[str]) -> str:
    """The one of ``known`` that is nearly ``name`` and not it; nothing where none is."""
    by_fold = {folded(one): one for one in known if one != name}
    found = difflib.get_close_matches(folded(name), list(by_fold), n=1, cutoff=0.75)
    return by_fold[found[0]] if found else ""


def near_names(clips: Mapping[str, int]) -> list[str]:
    """Pairs of near-equal names, in words; ``clips`` says how many clips each has."""
    by_fold: dict[str, list[str]] = {}
    for name in sorted(clips):
        by_fold.setdefault(folded(name) or name, []).append(name)
    pairs = [(same[0], other, "alike") for same in by_fold.values() for other in same[1:]]
    shorter: dict[str, list[str]] = {}
    for fold in by_fold:
        if len(fold) >= LONG and fold.isalpha():
            # Two words that differ in one letter are equal without one of theirs.
            for word in dict.fromkeys([fold, *(fold[:at] + fold[at + 1 :] for at in range(len(fold)))]):
                shorter.setdefault(word, []).append(fold)
    letters = {(a, b) for same in shorter.values() for a in same for b in same if a < b and _one_letter(a, b)}
    pairs += [(by_fold[a][0], by_fold[b][0], "but for one letter") for a, b in sorted(letters)]
    return [f"{a!r} ({clips[a]}) and {b!r} ({clips[b]}) are {_said(how)}" for a, b, how in pairs]


def _said(how: str) -> str:
    return "alike" if how == "alike" else f"alike {how}"


def _one_letter(a: str, b: str) -> bool:
    """Whether one letter changed, added or left out makes ``b`` of ``a``."""
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    long, short = (a, b) if len(a) > len(b) else (b, a)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
