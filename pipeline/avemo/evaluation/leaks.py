"""Leaks that a run's own records do not show: one recording, one person or one look under two names.

Functions return sentences. What is certain is an offence; what only looks like a leak is a warning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from avemo.base.keys import united_id
from avemo.corpora.near_names import folded, is_missing
from avemo.dataset.splits import Split
from avemo.finetuning.trained_on import Example

NEAR = 0.5
"""Clips count as near-duplicates whose cosine distance is below this share of the median one to the nearest other clip.

A voice that was coded anew, in AAC, MP3 or Opus, lay at 0.3 to 0.5 of its original; one with audible noise cannot be told
so. Of 360 real voices one pair of different people lay at 0.45, so that it is a warning to look, no proof.
"""
MOST_CLIPS = 20_000
"""Near-duplicates are looked for among so many clips at most."""
FEW = 5
"""A group of fewer clips may show one label by chance."""


def on_two_sides(splits: Iterable[Split], first: str, second: str) -> list[str]:
    """Names of the splits that have two clips on different sides, with the sides: ``split00 (train, test)``."""
    found = []
    for split in splits:
        sides = split.sides()
        homes = [
            next((name for name, clips in sides.items() if clip in clips), "") for clip in (first, second)
        ]
        if all(homes) and homes[0] != homes[1]:
            found.append(f"{split.name} ({homes[0]}, {homes[1]})")
    return found


def twice_named(names: Mapping[str, str], splits: Sequence[Split], what: str = "groups") -> Iterator[str]:
    """``what`` on different sides, by clip, whose names differ by case, blanks, accents or punctuation alone."""
    by_fold: dict[str, dict[str, str]] = {}
    for clip, name in names.items():
        by_fold.setdefault(folded(name) or name, {}).setdefault(name, clip)
    for same in by_fold.values():
        for (first, one), (second, other) in combinations(same.items(), 2):
            if where := on_two_sides(splits, one, other):
                yield f"{what} {first!r} and {second!r} have nearly one name, and are apart in {_some(where)}"


def near_duplicates(
    vectors: Mapping[str, np.ndarray],
    clip_ids: Sequence[str],
    groups: Mapping[str, str],
    splits: Sequence[Split],
) -> Iterator[str]:
    """Clips of different groups on different sides that sound or look nearly the same.

    ``vectors`` are `avemo.evaluation.pooled.pooled` statistics ``(clips, dim)`` by modality. They are z-scored, and each
    clip's nearest other one by cosine distance is found; see `NEAR`.
    """
    from sklearn.neighbors import NearestNeighbors

    for modality, given in vectors.items():
        known = np.flatnonzero(~np.isnan(given).any(axis=1))
        if len(known) < 3:
            continue
        x = given[known]
        x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
        far, which = NearestNeighbors(n_neighbors=2, metric="cosine").fit(x).kneighbors(x)
        limit = NEAR * float(np.median(far[:, 1]))
        pairs = {
            tuple(sorted((row, int(column)))): distance
            for row, (column, distance) in enumerate(zip(which[:, 1], far[:, 1], strict=True))
            if distance < limit
        }
        for (a, b), distance in sorted(pairs.items(), key=lambda pair: pair[1]):
            first, second = clip_ids[known[a]], clip_ids[known[b]]
            if groups.get(first) != groups.get(second) and (where := on_two_sides(splits, first, second)):
                share = distance / np.median(far[:, 1])
                yield (
                    f"{modality}: {first} and {second} are nearly the same (distance {share:.2f} of the median to the nearest "
                    f"clip, below {NEAR}), and are apart in {_some(where)}"
                )


def confounded(labels: Mapping[str, str], groups: Mapping[str, str]) -> Iterator[str]:
    """Groups of `FEW` clips or more that show one label alone, where most do: who it is says what it is."""
    shown: dict[str, Counter[str]] = {}
    for clip, label in labels.items():
        shown.setdefault(groups[clip], Counter())[label] += 1
    large = {group: found for group, found in shown.items() if found.total() >= FEW}
    single = [group for group, found in large.items() if len(found) == 1]
    if len(set(labels.values())) > 1 and 2 * len(single) > len(large):
        yield (
            f"{len(single)} of {len(large)} groups of {FEW} clips or more show one label alone, such as {single[0]!r} "
            f"({next(iter(large[single[0]]))}): a system that knows rooms or voices would score"
        )


def telling_names(labels: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    """Parts of file ``names`` by clip that give the label away without being its code: sessions, rooms, days.

    Names are cut at punctuation. A place in them counts where most of its values that `FEW` clips or more have show one
    label alone, as in `confounded`, and where these values are more than the labels: of a code each label has one.
    """
    parts = {clip: [part for part in re.split(r"[\W_]+", name) if part] for clip, name in names.items()}
    for place in range(max(map(len, parts.values()), default=0)):
        at = {
            clip: found[place].casefold()
            for clip, found in parts.items()
            if len(found) > place and clip in labels
        }
        pairs = Counter((value, labels[clip]) for clip, value in at.items())
        shown: dict[str, Counter[str]] = {}
        for (value, label), clips in pairs.items():
            shown.setdefault(value, Counter())[label] = clips
        large = {value: found for value, found in shown.items() if found.total() >= FEW}
        single = {value: next(iter(found)) for value, found in large.items() if len(found) == 1}
        told = set(single.values())
        if len(told) > 1 and 2 * len(single) > len(large) and len(single) > len(told):
            value, label = next(iter(single.items()))
            yield (
                f"part {place + 1} of file names: {len(single)} of {len(large)} values of {FEW} clips or more show one label "
                f"alone, such as {value!r} ({label}), and they are no code of it: a system that knows rooms or days would score"
            )


def tuned_on(
    weights: str,
    examples: Iterable[Example],
    files: Mapping[str, set[Path]],
    speakers: Mapping[str, str],
    held: set[str],
) -> tuple[list[str], list[str]]:
    """What speaks against ``weights`` that were tuned on these examples: offences by file, and warnings by speaker.

    ``files`` and ``speakers`` are those of clips, ``held`` the clips of dev and test sides. Names alone may be of two people.
    """
    listed = list(examples)
    paths, people = (
        {one.path for one in listed},
        {one.speaker for one in listed if not is_missing(one.speaker)},
    )
    same = sorted(clip for clip in held if files.get(clip, set()) & paths)
    known = sorted({speakers[clip] for clip in held if speakers.get(clip) in people})
    offences = (
        [f"{weights} were tuned on {len(same)} clips of dev and test sides: {_some(same)}"] if same else []
    )
    warnings = [
        f"{weights} were tuned on speakers of the same names as on dev and test sides: {_some(known)}"
    ]
    return offences, warnings if known else []


def seen_before(folder: Path, results: Path, tested: set[str], corpus: str = "") -> Iterator[str]:
    """Other runs beside a run's ``folder`` whose models were scored on the same clips.

    ``corpus`` is the id of the run's; "" for one across corpora, whose clips are called by theirs.
    """
    from avemo.base.contracts import AvemoError

    for path in sorted(results.glob("*/data/splits.json")):
        other = path.parent.parent
        if other.resolve() == folder.resolve() or not any((other / ".readings").glob("*.jsonl")):
            continue
        try:
            theirs = _tested(other, path)
        except AvemoError:
            continue
        both = {clip for clip in tested if clip in theirs or (corpus and united_id(corpus, clip) in theirs)}
        if both:
            yield (
                f"{other}: its models were scored on {len(both)} of the {len(tested)} clips that are tested here; "
                "what was chosen after a look at those scores was chosen on test clips"
            )


def _tested(folder: Path, splits: Path) -> set[str]:
    """The clips of a run's test sides; of one corpus also as a run across corpora calls them."""
    from avemo.base.contracts import AvemoError
    from avemo.dataset.splits import load_splits
    from avemo.study.study import read_run

    clips = {clip for split in load_splits(splits) for clip in split.test}
    try:
        corpus = read_run(folder).corpus
    except AvemoError:
        return clips
    return clips if corpus.parts else clips | {united_id(corpus.id, clip) for clip in clips}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
