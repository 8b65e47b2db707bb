"""Folds and official sides: each group in test once, sides as the table says, errors that count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import LeaveOneGroupOut

from avemo.base.contracts import AvemoError, Clip
from avemo.corpora.base import Label
from avemo.dataset.folds import fold_splits
from avemo.dataset.labels import Labels, make_labels
from avemo.dataset.protocol import splits_of
from avemo.dataset.split_names import sides_of
from avemo.dataset.splits import SplitConfig, check_disjoint
from avemo.training.shares import train_share


def corpus(n_groups: int, clips: int = 4) -> tuple[list[str], list[str], list[str]]:
    generator = np.random.default_rng(n_groups)
    ids = [f"g{g:03d}_c{c:02d}" for g in range(n_groups) for c in range(clips)]
    return ids, [clip[:4] for clip in ids], [f"class{k}" for k in generator.integers(0, 4, len(ids))]


@settings(max_examples=40)
@given(st.integers(4, 30), st.integers(2, 10), st.integers(0, 9), st.sampled_from(["none", "best_of_50"]))
def test_each_group_is_tested_once_and_no_side_shares_one(n_groups, k, seed, balance):
    ids, groups, labels = corpus(n_groups)
    if k > n_groups:
        k = n_groups
    splits = fold_splits(ids, groups, labels, SplitConfig(protocol="folds", k=k, seed=seed, balance=balance))
    group_of = dict(zip(ids, groups, strict=True))
    assert sorted(clip for split in splits for clip in split.test) == sorted(ids)
    sizes = {len({group_of[clip] for clip in split.test}) for split in splits}
    assert max(sizes) - min(sizes) <= 1
    for split in splits:
        check_disjoint(split, group_of)
        assert split.train
        assert split.dev
        assert sorted(split.train + split.dev + split.test) == sorted(ids)


def test_k_all_leaves_one_group_out_as_scikit_learn_does():
    ids, groups, labels = corpus(9)
    splits = fold_splits(ids, groups, labels, SplitConfig(protocol="folds", k="all"))
    theirs = LeaveOneGroupOut().split(ids, groups=groups)
    assert {frozenset(ids[i] for i in test) for _, test in theirs} == {frozenset(s.test) for s in splits}
    assert [split.name for split in splits] == [f"split{i:02d}" for i in range(9)]


def test_balance_makes_the_worst_fold_more_like_the_corpus():
    ids, groups, _ = corpus(20, 6)
    labels = ["rare" if group in ("g000", "g007", "g013", "g019") else "common" for group in groups]
    label_of = dict(zip(ids, labels, strict=True))

    def folds_without(balance: str, seed: int) -> int:
        config = SplitConfig(protocol="folds", k=4, balance=balance, seed=seed)
        found = fold_splits(ids, groups, labels, config)
        return sum("rare" not in {label_of[clip] for clip in split.test} for split in found)

    plain, balanced = (sum(folds_without(b, seed) for seed in range(10)) for b in ("none", "best_of_50"))
    assert (plain > 0, balanced) == (True, 0)


@pytest.mark.parametrize(("groups", "k"), [(4, 5), (3, 2)])
def test_too_few_groups_are_counted(groups, k):
    with pytest.raises(AvemoError, match=rf"groups for {k} folds.* found {groups} groups"):
        fold_splits(*corpus(groups), SplitConfig(protocol="folds", k=k))


def test_groups_that_came_since_the_config_was_read_are_counted():
    with pytest.raises(AvemoError, match="expected 8 groups, .* found 9"):
        fold_splits(*corpus(9), SplitConfig(protocol="folds", k="all", n=8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": 5}, "k: expected a number, or 'all', with protocol 'folds' and none otherwise"),
        ({"protocol": "folds"}, "k: expected a number"),
        ({"protocol": "folds", "k": 5, "n": 20}, "n: expected 5 with protocol 'folds', found 20"),
        ({"column": "side"}, "column: expected with protocol 'official' alone"),
        ({"protocol": "official", "n": 3}, "n: expected 1"),
    ],
)
def test_fields_of_another_protocol_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        SplitConfig(**fields)


def test_settings_of_before_keep_their_text():
    """They are part of a rule's params: with another text every training would run again."""
    assert set(SplitConfig(n=5).model_dump()) == {"protocol", "files", "n", "balance", "seed", "dev", "test"}


def labelled(column: list[str], name: str = "split") -> Labels:
    """A clip a value, each of a speaker of its own."""
    clips = [Clip(f"c{i}", f"s{i}", f"s{i}") for i in range(len(column))]
    given = [
        Label(clip.clip_id, "xy"[i % 2], facts={name: column[i]} if column[i] else {})
        for i, clip in enumerate(clips)
    ]
    return make_labels(clips, given, "classes", ["x", "y"])


def test_official_sides_are_the_columns():
    known = labelled(["Train", "train", "dev", "Validation", "TEST", ""])
    (split,) = splits_of(known, SplitConfig(protocol="official"))
    assert split.sides() == {"train": ("c0", "c1"), "dev": ("c2", "c3"), "test": ("c4",)}


def test_values_of_ones_own_and_a_dev_side_from_train():
    known = labelled(["T"] * 20 + ["Test1", "Test2"], name="part")
    config = SplitConfig(
        protocol="official", column="part", sides={"T": "train", "Test1": "test", "Test2": None}
    )
    (split,) = splits_of(known, config)
    assert (len(split.train), len(split.dev), split.test) == (17, 3, ("c20",))
    assert splits_of(known, config) == [split]


@pytest.mark.parametrize(
    ("column", "name", "message"),
    [
        (["train", "dev", "tset"], "split", "found 'tset'; did you mean 'test'"),
        (["train", "dev", "dev"], "split", "on the test side .* found none; its values are train 1, dev 2"),
        (["train", "dev", "test"], "splitt", "found 'split'; did you mean 'splitt'"),
    ],
)
def test_columns_that_name_no_sides_are_refused(column, name, message):
    with pytest.raises(AvemoError, match=message):
        splits_of(labelled(column, name), SplitConfig(protocol="official"))


def test_an_official_side_that_shares_a_group_is_refused():
    known = labelled(["train", "dev", "test"])
    known.table["group"] = "one"
    with pytest.raises(AvemoError, match="group 'one': expected on one side"):
        splits_of(known, SplitConfig(protocol="official"))


def test_seeds_repeat_the_sides_under_names_of_their_own():
    ids, groups, labels = corpus(12)
    given = [Label(clip, label) for clip, label in zip(ids, labels, strict=True)]
    clips = [Clip(clip, group, group) for clip, group in zip(ids, groups, strict=True)]
    known = make_labels(clips, given, "classes", sorted(set(labels)))
    config = SplitConfig(protocol="folds", k=3, seeds=2)
    splits = splits_of(known, config)
    assert [split.name for split in splits] == config.names
    assert config.names[:3] == ["split00", "split00_seed1", "split01"]
    for first, second in zip(splits[::2], splits[1::2], strict=True):
        assert first.sides() == second.sides()
        assert sides_of(second.name) == first.name
        assert train_share(first, 0.5) == train_share(second, 0.5)
    assert pd.Series([split.test for split in splits]).nunique() == 3
