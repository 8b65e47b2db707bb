"""Published partitions: splits that somebody else made, read from their own files.

Two formats are known. VAVL's CSV files (github.com/ilucasgoncalves/VAVL) name
clips: columns ``FileName`` and ``Split_Set``. The CMU SDK's
``cmu_mosei_std_folds.py`` names source videos, that is groups, in three lists.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.corpora.csv_file import read_csv
from avemo.dataset.split_names import split_name
from avemo.dataset.splits import Split, SplitConfig, check_disjoint

log = logging.getLogger(__name__)

SIDES = {"train": "train", "development": "dev", "validation": "dev", "test": "test"}
FOLDS = {"standard_train_fold": "train", "standard_valid_fold": "dev", "standard_test_fold": "test"}
"""The SDK's names of the lists."""


def published_splits(clip_ids: Sequence[str], groups: Sequence[str], config: SplitConfig) -> list[Split]:
    """One split a file of ``config.files``, of the clips that are labelled (parallel lists, any order).

    What a file names and the corpus has no label for, and the reverse, is left
    out and logged with its count. Raises `AvemoError` if a side stays empty or
    a group is on two sides.
    """
    group_of = dict(zip(clip_ids, groups, strict=True))
    splits = []
    for number, path in enumerate(config.files):
        named, by_group = read_partition(path)
        sides = {clip: named.get(group if by_group else clip) for clip, group in group_of.items()}
        unnamed = sum(side is None for side in sides.values())
        absent = len(named.keys() - set(groups if by_group else clip_ids))
        if unnamed or absent:
            log.warning(
                "%s: %d labelled clips are on no side; %d of %d %s it names have no labelled clip",
                *(path, unnamed, absent, len(named), "groups" if by_group else "clips"),
            )
        splits.append(_split(split_name(number), sides, path))
        check_disjoint(splits[-1], group_of)
    return splits


def _split(name: str, sides: dict[str, str | None], path: Path) -> Split:
    found = {
        wanted: sorted(clip for clip, side in sides.items() if side == wanted) for wanted in FOLDS.values()
    }
    for side, clips in found.items():
        if not clips:
            raise AvemoError(
                f"{path}: expected clips of this corpus on the {side} side, found none; "
                "use a partition of this corpus, or correct splits.files"
            )
    return Split(name, *(tuple(clips) for clips in found.values()))


def read_partition(path: Path) -> tuple[dict[str, str], bool]:
    """``{name: "train" | "dev" | "test"}``, and whether names are groups rather than clips."""
    if not path.is_file():
        raise AvemoError(f"{path}: expected a published partition, found no file; correct splits.files")
    if path.suffix == ".py":
        return _once(path, _fold_pairs(path)), True
    return _once(path, _csv_pairs(path)), False


def _once(path: Path, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, side in pairs:
        if found.setdefault(name, side) != side:
            raise AvemoError(f"{path}: {name}: expected on one side, found on {found[name]} and {side}")
    return found


def _csv_pairs(path: Path) -> Iterable[tuple[str, str]]:
    for row in read_csv(path, ("FileName", "Split_Set"), "a published partition", "correct splits.files"):
        side = SIDES.get(row["Split_Set"].lower())
        if side is None:
            raise AvemoError(
                f"{path}: {row['FileName']}: expected Train, Development or Test, found {row['Split_Set']!r}"
            )
        yield Path(row["FileName"]).stem, side


def _fold_pairs(path: Path) -> Iterable[tuple[str, str]]:
    """The three lists of strings, read without running the file."""
    try:
        assigned = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if node.targets[0].id in FOLDS
        }
    except (SyntaxError, ValueError) as error:
        raise AvemoError(f"{path}: expected lists of video names, found {error}") from error
    if missing := FOLDS.keys() - assigned.keys():
        raise AvemoError(f"{path}: expected the lists {sorted(FOLDS)}, found no {', '.join(sorted(missing))}")
    return [(str(name), side) for variable, side in FOLDS.items() for name in assigned[variable]]
