"""Folds: the groups in ``k`` parts, each the test side once; dev comes from what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from avemo.base.contracts import AvemoError
from avemo.dataset.split_names import split_name
from avemo.dataset.splits import (
    CANDIDATES,
    Partition,
    Split,
    SplitConfig,
    best,
    check_lists,
    class_counts,
    group_names,
    imbalance,
    members_of,
    side_sizes,
    split_of_groups,
)

Folds = list[tuple[int, ...]]
"""Group numbers of each fold."""


def fold_splits(
    clip_ids: Sequence[str], groups: Sequence[str], labels: Sequence[str] | None, config: SplitConfig
) -> list[Split]:
    """``config.k`` splits of clips with their ``groups`` and class ``labels`` (parallel lists, any order).

    Folds differ by one group at most. Dev has its share of all groups, drawn from those that are not tested. With
    ``balance`` the folds are the best of several draws: those whose worst fold is most like the corpus in classes;
    and dev likewise. Raises `AvemoError` for fewer groups than folds, or folds that leave no two groups.
    """
    labels = labels if labels is not None else [""] * len(clip_ids)
    check_lists(clip_ids, groups, labels)
    names = group_names(groups)
    k = _number(names, config)
    counts, draws = class_counts(names, groups, labels), CANDIDATES[config.balance]
    drawn = islice(_folds(len(names), k, np.random.default_rng(config.seed)), draws)
    folds = min(drawn, key=lambda folds: max(imbalance(counts, (fold,)) for fold in folds))
    n_dev = min(side_sizes(len(names), config)[0], len(names) - max(map(len, folds)) - 1)
    members, splits = members_of(clip_ids, groups), []
    for number, test in enumerate(folds):
        generator = np.random.default_rng([config.seed, number])
        devs = _devs([i for i in range(len(names)) if i not in test], n_dev, test, generator)
        splits.append(split_of_groups(split_name(number), best(counts, islice(devs, draws)), names, members))
    return splits


def _number(names: Sequence[str], config: SplitConfig) -> int:
    """How many folds; raises `AvemoError` where the groups do not reach."""
    k = len(names) if config.k == "all" else config.n
    if config.k == "all" and "n" in config.model_fields_set and config.n != k:
        raise AvemoError(
            f"splits: expected {config.n} groups, as many as when the config was read, found {k} that have labelled "
            f"clips (groups that share media count as one); start the run again, or write k: {k}"
        )
    if len(names) < k or len(names) - -(-len(names) // k) < 2:
        raise AvemoError(
            f"splits: expected groups for {k} folds, and two more than the largest of them has, for train and dev; "
            f"found {len(names)} groups; lower splits.k, or give a finer `group` column"
        )
    return k


def _folds(n_groups: int, k: int, generator: np.random.Generator) -> Iterator[Folds]:
    """Draws without end."""
    while True:
        parts = np.array_split(generator.permutation(n_groups), k)
        yield [tuple(sorted(part.tolist())) for part in parts]


def _devs(
    left: Sequence[int], n_dev: int, test: tuple[int, ...], generator: np.random.Generator
) -> Iterator[Partition]:
    """Draws of dev beside a test side, without end."""
    while True:
        yield tuple(sorted(generator.permutation(left)[:n_dev].tolist())), test
