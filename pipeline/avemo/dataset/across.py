"""Training on some corpora and testing on others: sides by corpus, and labels by a declared map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from avemo.base.contracts import AvemoError
from avemo.base.keys import parted_id, united_id
from avemo.corpora.base import Label
from avemo.dataset.label_map import LabelMap, mapped_names
from avemo.dataset.labels import Labels, value_columns
from avemo.dataset.split_names import split_name
from avemo.dataset.splits import CANDIDATES, Split, SplitConfig, class_counts, imbalance, members_of

CORPUS = "corpus"
"""The column of a label table that says which corpus a clip is of."""
LEFT_OUT = "left out by across.labels:"
"""Begins the reason of a clip whose label the map leaves out."""


def across_splits(known: Labels, config: SplitConfig) -> list[Split]:
    """Splits of labelled clips of several corpora: test, and dev if ``config.dev_on`` names any, are whole corpora.

    Without it dev is drawn anew for each split: the share ``config.dev`` of each train corpus' groups, at least one of
    a corpus that has two, so that no speaker is on two sides. With ``balance`` it is the draw whose train and dev are most
    alike in classes. Raises `AvemoError` for a side without clips, and where no train corpus has two groups.
    """
    corpus_of = dict(zip(known.table.clip_id, known.column(CORPUS), strict=True))
    clips = known.labelled.clip_id.tolist()
    sides = {}
    for side, corpora in (("train", config.train_on), ("dev", config.dev_on), ("test", config.test_on)):
        sides[side] = tuple(sorted(clip for clip in clips if corpus_of[clip] in corpora))
        if lacking := [name for name in corpora if name not in {corpus_of[clip] for clip in sides[side]}]:
            raise AvemoError(
                f"across: expected labelled clips of {', '.join(lacking)} for the {side} side, found none; "
                "correct across.labels, or the labels of its run"
            )
    if config.dev_on:
        return [Split(split_name(0), **sides)]
    drawn = _dev_draws(known, sides["train"], corpus_of, config)
    return [
        Split(
            split_name(number),
            tuple(c for c in sides["train"] if c not in dev),
            tuple(sorted(dev)),
            sides["test"],
        )
        for number, dev in enumerate(drawn)
    ]


def _dev_draws(
    known: Labels, train: Sequence[str], corpus_of: Mapping[str, str], config: SplitConfig
) -> Iterator[set[str]]:
    """The dev clips of each of ``config.n`` splits."""
    together = [known.kept_together[clip] for clip in train]
    members, names = members_of(train, together), sorted(set(together))
    by_corpus: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        by_corpus.setdefault(corpus_of[members[name][0]], []).append(number)
    if all(len(groups) < 2 for groups in by_corpus.values()):
        raise AvemoError(
            f"across: expected two groups in a corpus of train_on, of which dev gets one, found one in each of "
            f"{', '.join(by_corpus)}; name corpora for dev in across.dev_on"
        )
    shown = dict(zip(known.labelled.clip_id, known.labelled.label, strict=True))
    classes = [shown[clip] if known.task.kind == "classes" else "" for clip in train]
    counts = class_counts(names, together, classes)
    for number in range(config.n):
        generator = np.random.default_rng([config.seed, number])
        draws = islice(_draws(by_corpus, config.dev, generator), CANDIDATES[config.balance])
        dev = min(draws, key=lambda groups: imbalance(counts, (groups,)))
        yield {clip for group in dev for clip in members[names[group]]}


def _draws(
    by_corpus: Mapping[str, Sequence[int]], share: float, generator: np.random.Generator
) -> Iterator[tuple[int, ...]]:
    """Group numbers of dev, without end."""
    counts = {
        corpus: min(len(groups) - 1, max(1, round(share * len(groups))))
        for corpus, groups in by_corpus.items()
    }
    while True:
        drawn = [
            generator.permutation(groups)[: counts[corpus]].tolist() for corpus, groups in by_corpus.items()
        ]
        yield tuple(sorted(number for groups in drawn for number in groups))


def united_labels(tables: Mapping[str, Labels], labels: LabelMap) -> tuple[list[Label], tuple[str, ...]]:
    """A label for each clip of all ``tables``, by corpus, under its name among them; and the names of what is predicted.

    Each has the fact `CORPUS`; a column of that name that a corpus has is ``corpus_column``. Shares of classes that are
    called alike add up; those of classes that are left out go to the others in proportion, and a clip goes where its
    largest share is of one of these. Raises `AvemoError` for different tasks, and as `mapped_names` does.
    """
    kinds = {corpus: known.task.kind for corpus, known in tables.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{kind} in {corpus}" for corpus, kind in kinds.items())
        raise AvemoError(
            f"across: expected labels of one kind in all corpora, found {told}; correct corpus.labels"
        )
    names = mapped_names({corpus: known.task.names for corpus, known in tables.items()}, labels)
    if "classes" not in kinds.values():
        _check_columns(tables, labels, names)
    return [
        one for corpus, known in tables.items() for one in _of_corpus(corpus, known, labels, names)
    ], names


def _check_columns(tables: Mapping[str, Labels], labels: LabelMap, names: Sequence[str]) -> None:
    """Raise `AvemoError` where a corpus has not each number once."""
    for corpus, known in tables.items():
        meant = [new for name in known.task.names if (new := labels.get(name, name)) is not None]
        if sorted(meant) != sorted(names):
            raise AvemoError(
                f"across.labels: expected each of {', '.join(names)} once in every corpus, found "
                f"{', '.join(meant) or 'none'} in {corpus}; give columns one name, or null to leave one out"
            )


def _of_corpus(corpus: str, known: Labels, labels: LabelMap, names: Sequence[str]) -> Iterator[Label]:
    columns, values = {name: known.column(name).tolist() for name in known.columns}, value_columns(known.task)
    numbers = known.table[values].to_numpy() if values[0] in known.table else None
    given = known.table[["clip_id", "label", "reason"]].itertuples(index=False)
    for row, (clip_id, label, reason) in enumerate(given):
        facts = {name: each[row] for name, each in columns.items() if each[row]}
        facts = {f"{name}_column" if name == CORPUS else name: fact for name, fact in facts.items()}
        intensity, facts = facts.pop("intensity", ""), {CORPUS: corpus} | facts
        one = Label(united_id(corpus, clip_id), None, reason, intensity, facts=facts)
        if not isinstance(label, str):
            yield one
        elif known.task.kind == "classes" and labels.get(label, label) is None:
            yield replace(one, reason=f"{LEFT_OUT} {label}")
        elif numbers is None:
            yield replace(one, label=labels.get(label, label))
        else:
            yield replace(one, label=_numbers(known, numbers[row], labels, names))


def _numbers(
    known: Labels, values: Sequence[float], labels: LabelMap, names: Sequence[str]
) -> dict[str, float]:
    """A clip's numbers by ``names``; shares of classes add up to 1 again."""
    found = dict.fromkeys(names, 0.0)
    for name, value in zip(known.task.names, values, strict=True):
        new = labels.get(name, name)
        if new is not None:
            found[new] += float(value)
    total = sum(found.values()) if known.task.kind == "classes" else 1.0
    return {name: value / total for name, value in found.items()}


def left_out_counts(known: Labels) -> list[tuple[str, str, int]]:
    """Corpus, label and number of clips of each label that the map leaves out."""
    gone = known.table[known.table.reason.str.startswith(LEFT_OUT)]
    found = Counter(
        (parted_id(clip_id)[0], reason.removeprefix(LEFT_OUT).strip())
        for clip_id, reason in gone[["clip_id", "reason"]].itertuples(index=False)
    )
    return [(corpus, label, clips) for (corpus, label), clips in found.items()]
