"""Train, dev and test sides that no group (actor, dyad, source video) straddles.

Made once per corpus and protocol, saved, and used by every system.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError, ComponentConfig, left_out
from avemo.base.paths import InRules
from avemo.dataset.split_names import split_name, split_names

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

CANDIDATES = {"none": 1, "best_of_50": 50}
"""Random partitions compared for each split, by `SplitConfig.balance`."""

ENUMERABLE = 5_000
"""Up to so many possible partitions they are listed rather than drawn, so that none is missed."""

Protocol = Literal["random", "folds", "dyads", "official", "published", "across"]

Partition = tuple[tuple[int, ...], tuple[int, ...]]
"""Group numbers of dev and of test; the others are train."""


class SplitConfig(ComponentConfig):
    """How many splits, how they are made, and how large they are."""

    protocol: Protocol = "random"
    """``random``: shares of the groups. ``folds``: ``k`` parts of the groups, each of which is the test side once.
    ``dyads``: one group in dev and one in test, each of the possible choices at most once. ``official``: as a
    ``column`` of the corpus says. ``published``: as the ``files`` say. ``across``: whole corpora, as a run's ``across``
    says."""
    files: tuple[Annotated[Path, InRules], ...] = ()
    """Published partitions, one a split; see `avemo.dataset.partitions`."""
    k: Annotated[int, Field(ge=2)] | Literal["all"] | None = left_out()
    """Of ``folds``: how many; ``all``: one a group, so that each is left out once."""
    column: str = left_out("split")
    """Of ``official``: the column of the table that names each clip's side."""
    sides: dict[str, Literal["train", "dev", "test"] | None] = left_out({})
    """Of ``official``: what the column's values mean, ``null``: on no side. Known without it are train, training,
    dev, development, val, valid, validation and test, in any case."""
    train_on: tuple[str, ...] = left_out(())
    """Of ``across``: ids of corpora; a run's ``across`` gives them, as the two that follow."""
    dev_on: tuple[str, ...] = left_out(())
    test_on: tuple[str, ...] = left_out(())
    n: int = Field(20, ge=1)
    """Number of splits; of published ones as many as files, of folds ``k``, of ``official`` one. Of ``across`` how
    often dev is drawn, by default 5; one where whole corpora are dev."""
    seeds: int = left_out(1, ge=1)
    """Trainings of each system on each split, with other random numbers. Tests and tables take their mean as the
    split's score; the report shows how far seeds and how far splits differ."""
    balance: Literal["none", "best_of_50"] = "none"
    """``none``: each split is one plain draw, as the papers' are. ``best_of_50``: of 50 draws the one whose sides
    are most alike in classes, for corpora so small that a side may lack one; the splits then differ less
    than random ones, and so do the scores that tests compare."""
    seed: int = Field(0, ge=0)
    """Split i depends on ``(seed, i)`` and the splits before it: a larger ``n`` keeps the first ones."""
    dev: float = Field(0.15, gt=0, lt=1)
    """Share of groups in dev."""
    test: float = Field(0.15, gt=0, lt=1)
    """Share of groups in test."""

    @model_validator(mode="before")
    @classmethod
    def _number_that_follows(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        follows = {
            "published": max(1, len(values.get("files") or ())),
            "official": 1,
            "folds": values.get("k"),
            "across": 1 if values.get("dev_on") else 5,
        }.get(str(values.get("protocol")))
        return {"n": follows, **values} if isinstance(follows, int) else values

    @model_validator(mode="after")
    def _fields_of_protocols(self) -> Self:
        if (self.k is not None) != (self.protocol == "folds"):
            raise ValueError(
                f"k: expected a number, or 'all', with protocol 'folds' and none otherwise, "
                f"found {self.k!r} with protocol {self.protocol!r}"
            )
        given = {"column", "sides"} & self.model_fields_set
        if given and self.protocol != "official":
            raise ValueError(
                f"{' and '.join(sorted(given))}: expected with protocol 'official' alone, found {self.protocol!r}"
            )
        if bool(self.train_on and self.test_on) != (self.protocol == "across"):
            raise ValueError(
                "protocol: expected 'across' in a run that has `across` alone, whose corpora are its sides; "
                f"found {self.protocol!r}"
            )
        wanted = {"official": 1, "folds": self.k, "across": 1 if self.dev_on else None}.get(self.protocol)
        if isinstance(wanted, int) and self.n != wanted:
            raise ValueError(
                f"n: expected {wanted} with protocol {self.protocol!r}, found {self.n}; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _files_of_published(self) -> Self:
        if len(self.files) != (self.n if self.protocol == "published" else 0):
            raise ValueError(
                f"files: expected one a split with protocol 'published' and none otherwise, "
                f"found {len(self.files)} for {self.n} splits of protocol {self.protocol!r}"
            )
        return self

    @model_validator(mode="after")
    def _balance_of_draws(self) -> Self:
        if self.protocol in ("published", "official") and self.balance != "none":
            raise ValueError(
                f"balance: expected 'none' with protocol {self.protocol!r}, as the corpus says it all, "
                f"found {self.balance!r}"
            )
        return self

    @model_validator(mode="after")
    def _leaves_train(self) -> Self:
        if self.dev + self.test >= 1:
            raise ValueError(
                f"dev + test: expected below 1, found {self.dev + self.test}; leave groups to train"
            )
        return self

    @property
    def names(self) -> list[str]:
        """Of the splits, in order, the seeds of one beside each other."""
        return split_names(self.n, self.seeds)


@dataclass(frozen=True)
class Split:
    """Clip ids of the three sides, each sorted."""

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]

    def sides(self) -> dict[str, tuple[str, ...]]:
        """``{"train": …, "dev": …, "test": …}``."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


def make_splits(
    clip_ids: Sequence[str], groups: Sequence[str], labels: Sequence[str] | None, config: SplitConfig
) -> list[Split]:
    """Seeded splits of clips with their ``groups`` and class ``labels`` (parallel lists, any order).

    Each split is a random partition not used before; where partitions run out, they repeat, which is logged.
    With ``balance`` it is the best of several: fewest classes absent from a side, then the least largest gap
    between a class' share on a side and in the corpus; where labels are no classes (None), between a side's
    share of clips and of groups. Groups may be so few that all partitions compete and the seed decides among
    equals only. Raises `AvemoError` for under three groups, repeated ids or unequal lengths.
    """
    labels = labels if labels is not None else [""] * len(clip_ids)
    check_lists(clip_ids, groups, labels)
    names = group_names(groups)
    counts = class_counts(names, groups, labels)
    n_dev, n_test = side_sizes(len(names), config)
    if config.protocol == "dyads" and config.n > (possible := _possible(len(names), 1, 1)):
        raise AvemoError(
            f"splits: expected at most {possible} choices of one dev and one test group of {len(names)}, "
            f"found n: {config.n}; lower splits.n"
        )
    members = members_of(clip_ids, groups)
    splits, used = [], set[Partition]()
    for i in range(config.n):
        if len(used) == _possible(len(names), n_dev, n_test):
            log.warning("splits: all %d partitions are used; split %d and on repeat them", len(used), i)
            used.clear()
        generator = np.random.default_rng([config.seed, i])
        drawn = _candidates(len(names), n_dev, n_test, used, generator)
        chosen = best(counts, islice(drawn, CANDIDATES[config.balance]))
        used.add(chosen)
        splits.append(split_of_groups(split_name(i), chosen, names, members))
    return splits


def group_names(groups: Iterable[str]) -> list[str]:
    """Each once, sorted; raises `AvemoError` for fewer than train, dev and test need."""
    names = sorted(set(groups))
    if len(names) < 3:
        raise AvemoError(
            f"splits: expected at least 3 groups (train, dev, test), found {len(names)}: {names}; "
            "add clips of other speakers, or give a finer `group` column"
        )
    return names


def members_of(clip_ids: Iterable[str], groups: Iterable[str]) -> dict[str, list[str]]:
    """The clips of each group."""
    found: dict[str, list[str]] = {}
    for clip_id, group in zip(clip_ids, groups, strict=True):
        found.setdefault(group, []).append(clip_id)
    return found


def side_sizes(n_groups: int, config: SplitConfig) -> tuple[int, int]:
    """Groups in dev and test: the nearest whole numbers to the shares that leave each side one.

    >>> side_sizes(91, SplitConfig()), side_sizes(6, SplitConfig())  # CREMA-D, MSP-IMPROV
    ((14, 14), (1, 1))
    """
    if config.protocol == "dyads":
        return 1, 1
    dev, test = (max(1, round(share * n_groups)) for share in (config.dev, config.test))
    while dev + test >= n_groups:
        dev, test = (dev - 1, test) if dev >= test else (dev, test - 1)
    return dev, test


def check_disjoint(split: Split, group_of: Mapping[str, str]) -> None:
    """Raise `AvemoError`, naming it, if a group (or a clip) of ``split`` is on two sides."""
    home: dict[str, str] = {}
    seen: set[str] = set()
    for side, clip_ids in split.sides().items():
        for clip_id in clip_ids:
            if clip_id not in group_of:
                raise AvemoError(f"{split.name}: {clip_id}: expected a known clip; make the splits again")
            if clip_id in seen:
                raise AvemoError(
                    f"{split.name}: clip {clip_id}: expected once, found twice; make the splits again"
                )
            seen.add(clip_id)
            if home.setdefault(group_of[clip_id], side) != side:
                raise AvemoError(
                    f"{split.name}: group {group_of[clip_id]!r}: expected on one side, found on "
                    f"{home[group_of[clip_id]]} and {side} (clip {clip_id}); make the splits again"
                )


def balance(
    splits: Iterable[Split], labels: Mapping[str, str | Mapping[str, float]], groups: Mapping[str, str]
) -> pd.DataFrame:
    """One row a split and side: ``split, side, groups, clips`` and the clips of each class.

    ``labels`` and ``groups`` map clip ids. Of labels that are numbers: their means.
    """
    import pandas as pd

    classes = sorted({label for label in labels.values() if isinstance(label, str)})
    rows = []
    for split in splits:
        for side, clip_ids in split.sides().items():
            found = [labels[c] for c in clip_ids]
            row = {"split": split.name, "side": side, "groups": len({groups[c] for c in clip_ids})}
            row |= {"clips": len(clip_ids)} | {name: found.count(name) for name in classes}
            rows.append(row | dict(pd.DataFrame([x for x in found if not isinstance(x, str)]).mean()))
    return pd.DataFrame(rows)


def save_splits(path: Path, splits: Sequence[Split], report: pd.DataFrame | Any = None) -> None:
    """Write JSON at once or not at all. ``report``: the frame of `balance`, or anything JSON-able."""
    rows = report.to_dict("records") if hasattr(report, "to_dict") else report
    text = json.dumps({"splits": [asdict(split) for split in splits], "report": rows}, indent=0)
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load_splits(path: Path) -> list[Split]:
    """What `save_splits` wrote. Raises `AvemoError` for a file that is not that."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        sides = ("train", "dev", "test")
        return [Split(s["name"], *(tuple(map(str, s[side])) for side in sides)) for s in content["splits"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AvemoError(
            f"{path}: expected splits as `avemo splits` writes them, found {error!r}; make them again"
        ) from error


def load_split(path: Path, name: str) -> Split:
    """One split of a file; raises `AvemoError` naming those there are."""
    found = {split.name: split for split in load_splits(path)}
    if name not in found:
        raise AvemoError(f"{path}: expected a split {name!r}, found {', '.join(found)}")
    return found[name]


def check_lists(clip_ids: Sequence[str], groups: Sequence[str], labels: Sequence[str]) -> None:
    """Raise `AvemoError` for repeated ids and lists of unequal lengths."""
    if not len(clip_ids) == len(groups) == len(labels):
        raise AvemoError(
            "splits: expected a group and a label for each clip, "
            f"found {len(clip_ids)} clips, {len(groups)} groups, {len(labels)} labels; drop unlabelled clips"
        )
    clip_id, times = max(Counter(clip_ids).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise AvemoError(f"splits: clip {clip_id}: expected once, found {times} times; give unique ids")


def class_counts(names: Sequence[str], groups: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Clips ``(groups, classes)``."""
    row = {name: i for i, name in enumerate(names)}
    column = {name: i for i, name in enumerate(sorted(set(labels)))}
    counts = np.zeros((len(row), len(column)), dtype=np.int64)
    np.add.at(counts, ([row[g] for g in groups], [column[c] for c in labels]), 1)
    return counts


def _possible(n_groups: int, n_dev: int, n_test: int) -> int:
    return math.comb(n_groups, n_dev) * math.comb(n_groups - n_dev, n_test)


def _candidates(
    n_groups: int, n_dev: int, n_test: int, used: set[Partition], generator: np.random.Generator
) -> Iterator[Partition]:
    """Unused partitions in random order; all of them if they can be listed, else without end."""
    if _possible(n_groups, n_dev, n_test) <= ENUMERABLE:
        listed = [p for p in _all_partitions(n_groups, n_dev, n_test) if p not in used]
        yield from (listed[i] for i in generator.permutation(len(listed)))
        return
    while True:
        order = generator.permutation(n_groups).tolist()
        drawn = tuple(sorted(order[:n_dev])), tuple(sorted(order[n_dev : n_dev + n_test]))
        if drawn not in used:
            yield drawn


def _all_partitions(n_groups: int, n_dev: int, n_test: int) -> Iterator[Partition]:
    for dev in combinations(range(n_groups), n_dev):
        for test in combinations(sorted(set(range(n_groups)) - set(dev)), n_test):
            yield dev, test


def best(counts: np.ndarray, candidates: Iterable[Partition]) -> Partition:
    """The most balanced; among equals the first, which is a random one."""
    return min(candidates, key=lambda partition: imbalance(counts, partition))


def imbalance(counts: np.ndarray, partition: Sequence[Sequence[int]]) -> tuple[int, float]:
    """Classes absent from a side, summed over sides, and the largest gap of a class' share.

    Sides are those of ``partition``, by their groups, and what they leave. One class alone: the largest gap
    between a side's share of clips and its share of groups.
    """
    total = counts.sum(axis=0)
    given = [counts[list(side)].sum(axis=0) for side in partition]
    sides = np.stack([total - sum(given), *given])
    if len(total) == 1:
        sizes = [len(counts) - sum(map(len, partition)), *map(len, partition)]
        return 0, float(np.abs(sides[:, 0] / total - np.array(sizes) / len(counts)).max())
    shares = sides / sides.sum(axis=1, keepdims=True)
    return int((sides == 0).sum()), float(np.abs(shares - total / total.sum()).max())


def split_of_groups(
    name: str, partition: Partition, names: Sequence[str], members: Mapping[str, list[str]]
) -> Split:
    """The split whose dev and test have the clips of these groups, by their numbers in ``names``."""
    dev, test = partition
    train = [i for i in range(len(names)) if i not in {*dev, *test}]

    def clips(side: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(clip for i in side for clip in members[names[i]]))

    return Split(name, clips(train), clips(dev), clips(test))
