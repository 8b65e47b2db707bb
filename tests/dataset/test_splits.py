"""Splits: disjoint, plain draws or balanced ones, repeatable, independent of order."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.corpora.crema_d import CremaD
from avemo.dataset.splits import (
    Split,
    SplitConfig,
    balance,
    check_disjoint,
    load_splits,
    make_splits,
    save_splits,
    side_sizes,
)


def corpus(
    n_groups: int, clips: int, classes: int = 4, seed: int = 0
) -> tuple[list[str], list[str], list[str]]:
    """``clips`` clips of each group, with random classes."""
    generator = np.random.default_rng(seed)
    ids = [f"g{g:03d}_c{c:02d}" for g in range(n_groups) for c in range(clips)]
    labels = [f"class{k}" for k in generator.integers(0, classes, len(ids))]
    return ids, [clip_id[:4] for clip_id in ids], labels


@settings(max_examples=40)
@given(
    st.integers(3, 30), st.integers(1, 6), st.integers(0, 99), st.floats(0.05, 0.45), st.floats(0.05, 0.45)
)
def test_every_split_is_a_partition_into_disjoint_sides(n_groups, clips, seed, dev, test):
    ids, groups, labels = corpus(n_groups, clips, seed=seed)
    config = SplitConfig(n=3, seed=seed, dev=dev, test=test)
    group_of = dict(zip(ids, groups, strict=True))
    for split in make_splits(ids, groups, labels, config):
        check_disjoint(split, group_of)
        assert sorted(split.train + split.dev + split.test) == sorted(ids)
        found = [len({group_of[c] for c in side}) for side in split.sides().values()]
        assert min(found) >= 1
        if found[0] > 1:  # otherwise train's last group had to be kept
            assert abs(found[1] - max(1, dev * n_groups)) <= 0.5
            assert abs(found[2] - max(1, test * n_groups)) <= 0.5


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_order_of_input_does_not_matter(random):
    rows = list(zip(*corpus(12, 5), strict=True))
    config = SplitConfig(n=4, balance="best_of_50")
    expected = make_splits(*zip(*rows, strict=True), config)
    random.shuffle(rows)
    assert make_splits(*zip(*rows, strict=True), config) == expected


def test_same_seed_same_splits_and_more_splits_keep_the_first():
    lists = corpus(20, 5)
    five = make_splits(*lists, SplitConfig(n=5, seed=1))
    assert make_splits(*lists, SplitConfig(n=9, seed=1))[:5] == five
    assert make_splits(*lists, SplitConfig(n=5, seed=2)) != five
    assert [split.name for split in five] == ["split00", "split01", "split02", "split03", "split04"]


def test_hash_seed_of_the_process_does_not_matter():
    code = (
        "from avemo.dataset.splits import *; g=[f'g{i%9}' for i in range(90)];"
        "c=[f'c{i}' for i in range(90)]; l=[f'l{i%7}' for i in range(90)];"
        "print(make_splits(c, g, l, SplitConfig(n=3)))"
    )
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_six_dyads_give_twenty_distinct_splits_of_the_thirty(caplog):
    splits = make_splits(*corpus(6, 50), SplitConfig(n=20))
    assert len({(split.dev, split.test) for split in splits}) == 20
    assert not caplog.records
    with_repeats = make_splits(*corpus(6, 50), SplitConfig(n=31))
    assert len({(split.dev, split.test) for split in with_repeats[:30]}) == 30
    assert "all 30 partitions are used; split 30" in caplog.text


def test_best_of_six_dyads_is_the_best_of_all_thirty():
    """The rule, counted again with pandas over every ordered pair of dyads."""
    ids, groups, labels = corpus(6, 9, seed=3)
    table = pd.crosstab(pd.Series(groups), pd.Series(labels))
    gaps = {}
    for dev in table.index:
        for test in table.index.drop(dev):
            sides = [table.drop([dev, test]).sum(), table.loc[dev], table.loc[test]]
            gaps[dev, test] = (
                sum((side == 0).sum() for side in sides),
                max((side / side.sum() - table.sum() / len(ids)).abs().max() for side in sides),
            )
    split = make_splits(ids, groups, labels, SplitConfig(n=1, balance="best_of_50"))[0]
    assert gaps[split.dev[0][:4], split.test[0][:4]] == pytest.approx(min(gaps.values()))


def test_rare_class_reaches_every_side_when_it_is_asked_to():
    ids, groups, labels = corpus(12, 10)
    rare = [i for i, clip_id in enumerate(ids) if clip_id[:4] in ("g000", "g004", "g008")]
    labels = ["rare" if i in rare else label for i, label in enumerate(labels)]
    maps = dict(zip(ids, labels, strict=True)), dict(zip(ids, groups, strict=True))
    asked = balance(make_splits(ids, groups, labels, SplitConfig(n=5, balance="best_of_50")), *maps)
    assert (asked["rare"] > 0).all()
    plain = balance(make_splits(ids, groups, labels, SplitConfig(n=5)), *maps)
    assert (plain["rare"] == 0).any()


def plain_draws(groups: list[str], n: int) -> list[set[str]]:
    """Test sides of 14 of the groups, drawn by another generator with nothing else in mind."""
    names, generator = sorted(set(groups)), np.random.default_rng(7)
    return [set(generator.permutation(names)[:14]) for _ in range(n)]


def test_random_splits_differ_as_much_as_plain_draws_do(shared_data, tmp_path):
    """Neutral's share of the test side, on CREMA-D's public votes: its spread over splits is what tests rest on."""
    (tmp_path / "processedResults").symlink_to(shared_data / "crema-d")
    found = CremaD(CremaD.Config(root=tmp_path), CremaD.Labels())
    clips = found.clips()
    labelled = zip(clips, found.labels(clips), strict=True)
    rows = [(clip.clip_id, clip.group, label.label) for clip, label in labelled if label.label]
    lists = ids, groups, labels = [list(column) for column in zip(*rows, strict=True)]
    group_of, neutral = dict(zip(ids, groups, strict=True)), pd.Series(labels, index=ids) == "neutral"

    def spread(sides) -> float:
        return np.std([neutral[list(side)].mean() for side in sides], ddof=1)

    def drawn(balance: str) -> float:
        return spread(split.test for split in make_splits(*lists, SplitConfig(n=60, balance=balance)))

    sides = [[c for c in ids if group_of[c] in chosen] for chosen in plain_draws(groups, 60)]
    assert drawn("none") == pytest.approx(spread(sides), rel=0.3)
    assert drawn("best_of_50") < 0.5 * spread(sides)
    assert make_splits(*lists, SplitConfig(n=2)) == make_splits(*lists, SplitConfig(n=2, balance="none"))


def test_the_seed_decides_which_dyads_are_tested():
    lists = corpus(6, 50)
    firsts = {
        seed: make_splits(*lists, SplitConfig(protocol="dyads", n=1, seed=seed))[0] for seed in range(60)
    }
    assert len({(split.dev, split.test) for split in firsts.values()}) > 20


def test_published_splits_are_not_balanced_again():
    with pytest.raises(ValidationError, match="expected 'none' with protocol 'published'"):
        SplitConfig(protocol="published", files=("a.csv",), balance="best_of_50")


def test_crema_d_actors_split_63_14_14_and_balanced(shared_data):
    table = pd.read_csv(shared_data / "published-partitions" / "crema-d" / "label_consensus_1.csv")
    classes = ["angry", "sad", "disgust", "fear", "neutral", "happy"]
    ids, groups, labels = table.FileName, table.SpkrID.astype(str), table[classes].idxmax(axis=1)
    splits = make_splits(list(ids), list(groups), list(labels), SplitConfig(balance="best_of_50"))
    found = balance(splits, dict(zip(ids, labels, strict=True)), dict(zip(ids, groups, strict=True)))
    assert (found["groups"].to_numpy().reshape(20, 3) == [63, 14, 14]).all()
    assert (found.groupby("split").clips.sum() == 5820).all()
    shares = found[classes].div(found.clips, axis=0) - labels.value_counts(normalize=True)[classes]
    assert shares.abs().max().max() < 0.05
    assert len({split.test for split in splits}) == 20


def test_published_partitions_are_disjoint(shared_data):
    for path in sorted((shared_data / "published-partitions" / "crema-d").glob("*.csv")):
        table = pd.read_csv(path)
        sides = (tuple(table.FileName[table.Split_Set == s]) for s in ("Train", "Development", "Test"))
        check_disjoint(
            Split(path.stem, *sides), dict(zip(table.FileName, table.SpkrID.astype(str), strict=True))
        )


def test_a_group_on_two_sides_is_named():
    with pytest.raises(
        AvemoError, match=r"group 'anna': expected on one side, found on train and test \(clip c\)"
    ):
        check_disjoint(Split("s", ("a",), ("b",), ("c",)), {"a": "anna", "b": "bo", "c": "anna"})
    with pytest.raises(AvemoError, match="clip a: expected once"):
        check_disjoint(Split("s", ("a",), ("b",), ("a",)), {"a": "anna", "b": "bo"})
    with pytest.raises(AvemoError, match="z: expected a known clip"):
        check_disjoint(Split("s", ("a",), ("b",), ("z",)), {"a": "anna", "b": "bo"})


def test_balance_by_hand():
    split = Split("split00", ("a", "b"), ("c",), ("d",))
    labels = {"a": "sad", "b": "fear", "c": "sad", "d": "sad"}
    found = balance([split], labels, {"a": "1", "b": "1", "c": "2", "d": "3"})
    assert found.to_dict("list") == {
        "split": ["split00"] * 3,
        "side": ["train", "dev", "test"],
        "groups": [1, 1, 1],
        "clips": [2, 1, 1],
        "fear": [1, 0, 0],
        "sad": [1, 1, 1],
    }


def test_saved_splits_come_back_and_leave_nothing_aside(tmp_path):
    ids, groups, labels = corpus(7, 4)
    splits = make_splits(ids, groups, labels, SplitConfig(n=2))
    maps = dict(zip(ids, labels, strict=True)), dict(zip(ids, groups, strict=True))
    path = tmp_path / "splits.json"
    save_splits(path, splits, balance(splits, *maps))
    first = path.read_bytes()
    assert load_splits(path) == splits
    save_splits(path, splits, balance(splits, *maps))
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "[]", '{"splits": [{"name": "a"}]}', '{"splits": 3}', None])
def test_a_file_without_splits_is_refused(tmp_path, text):
    path = tmp_path / "splits.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AvemoError, match=r"splits\.json: expected splits"):
        load_splits(path)


def test_impossible_lists_are_refused():
    with pytest.raises(AvemoError, match="at least 3 groups"):
        make_splits(["a", "b"], ["1", "2"], ["x", "x"], SplitConfig())
    with pytest.raises(AvemoError, match="2 clips, 1 groups"):
        make_splits(["a", "b"], ["1"], ["x", "x"], SplitConfig())
    with pytest.raises(AvemoError, match="clip a: expected once, found 2 times"):
        make_splits(["b", "a", "a"], ["1", "2", "3"], ["x", "x", "x"], SplitConfig())


def test_shares_leave_train_something():
    assert side_sizes(3, SplitConfig(dev=0.49, test=0.49)) == (1, 1)
    with pytest.raises(ValidationError, match="below 1"):
        SplitConfig(dev=0.5, test=0.5)


def test_importing_splits_needs_neither_torch_nor_pandas():
    code = "import sys, avemo.dataset.splits; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_classes_sides_have_their_share_of_the_clips():
    """Twelve groups, one of them half the corpus: the side that holds it cannot be dev or test."""
    groups = [f"g{i:02}" for i in range(12) for _ in range(110 if i == 5 else 10)]
    ids = [f"c{i}" for i in range(len(groups))]
    group_of = dict(zip(ids, groups, strict=True))
    for split in make_splits(ids, groups, None, SplitConfig(n=6, balance="best_of_50")):
        check_disjoint(split, group_of)
        assert "g05" in {group_of[clip] for clip in split.train}
    numbers = {clip: {"arousal": float(i % 2)} for i, clip in enumerate(ids)}
    found = balance([split], numbers, group_of)
    assert found["arousal"].tolist() == [0.5, 0.5, 0.5]
