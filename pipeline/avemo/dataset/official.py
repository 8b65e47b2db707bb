"""The official partition of a corpus: a column of its table names each clip's side."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from avemo.base.contracts import AvemoError
from avemo.base.registry import nearest
from avemo.dataset.labels import Labels
from avemo.dataset.split_names import split_name
from avemo.dataset.splits import Split, SplitConfig

log = logging.getLogger(__name__)

SIDES = {
    **{"train": "train", "training": "train", "test": "test"},
    **dict.fromkeys(("dev", "development", "val", "valid", "validation"), "dev"),
}
"""What values of the column mean, in small letters, where a config does not say otherwise."""


def official_split(known: Labels, config: SplitConfig) -> Split:
    """The sides of the labelled clips by ``config.column``; where it names no dev, a share of the train groups.

    Clips without a value are on no side, and logged. Raises `AvemoError` for a column that the corpus has not, a
    value that means no side, and an empty side.
    """
    table = known.labelled
    if config.column not in known.columns:
        raise AvemoError(
            f"splits.column: expected a column of the corpus, found {config.column!r}"
            f"{nearest(config.column, known.columns)}; it has {', '.join(known.columns) or 'none'} (of tables, columns "
            "that are read for nothing else). Was it added lately? Then delete data/labels.parquet of the run's folder"
        )
    values = dict(zip(table.clip_id, known.column(config.column)[table.index], strict=True))
    sides = {clip: _side(value, config) for clip, value in values.items() if value}
    left_out = len(values) - sum(side is not None for side in sides.values())
    if left_out:
        log.warning("splits: %d labelled clips are on no side by the column %r", left_out, config.column)
    found = {side: {clip for clip in sides if sides[clip] == side} for side in ("train", "dev", "test")}
    if not found["dev"]:
        found["dev"] = _dev_of(found["train"], known, config)
        found["train"] -= found["dev"]
    for side, clips in found.items():
        if not clips:
            counts = ", ".join(f"{name or 'empty'} {n}" for name, n in Counter(values.values()).items())
            raise AvemoError(
                f"splits: expected clips on the {side} side by the column {config.column!r}, found none; its values "
                f"are {counts}; correct the column, or say in splits.sides what its values mean"
            )
    return Split(split_name(0), *(tuple(sorted(clips)) for clips in found.values()))


def _side(value: str, config: SplitConfig) -> str | None:
    known = {**SIDES, **config.sides}
    for name in (value, value.lower()):
        if name in known:
            return known[name]
    raise AvemoError(
        f"splits: expected the column {config.column!r} to name a side, found {value!r}{nearest(value, known)}; say in "
        f"splits.sides what it means, such as {{{value}: test}}"
    )


def _dev_of(train: set[str], known: Labels, config: SplitConfig) -> set[str]:
    """The clips of ``config.dev`` of the train groups, drawn by the seed; none of fewer than two groups."""
    groups = sorted({known.groups[clip] for clip in train})
    if len(groups) < 2:
        return set()
    count = min(len(groups) - 1, max(1, round(config.dev * len(groups))))
    drawn = set(np.random.default_rng(config.seed).permutation(groups)[:count].tolist())
    return {clip for clip in train if known.groups[clip] in drawn}
