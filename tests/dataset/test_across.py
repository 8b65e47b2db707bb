"""Whole corpora as sides, dev drawn apart by speakers, and a declared map of labels: against plain pandas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from avemo.base.contracts import AvemoError, Clip
from avemo.corpora.base import Label
from avemo.dataset.across import across_splits, left_out_counts, mapped_names, united_labels
from avemo.dataset.labels import Labels, make_labels
from avemo.dataset.protocol import splits_of
from avemo.dataset.splits import SplitConfig, check_disjoint

MAP = {"happiness": "happy", "boredom": None}


def corpus(
    names: tuple[str, ...], speakers: int = 6, each: int = 8, seed: int = 0, kind: str = "classes"
) -> Labels:
    """Speakers s0, s1, … with clips of these labels in turn; every ninth has none."""
    clips = [Clip(f"s{s}_c{c}", f"s{s}", f"s{s}") for s in range(speakers) for c in range(each)]
    drawn = np.random.default_rng(seed).integers(0, len(names), len(clips))
    labels = [
        Label(
            clip.clip_id,
            None if n % 9 == 8 else names[k],
            "nobody agreed" if n % 9 == 8 else "",
            facts={"sex": "f"},
        )
        for n, (clip, k) in enumerate(zip(clips, drawn, strict=True))
    ]
    return make_labels(clips, labels, kind, names)


def united(tables: Mapping[str, Labels], labels: Mapping[str, str | None] = MAP) -> Labels:
    found, names = united_labels(tables, labels)
    clips = []
    for name, known in tables.items():
        clips += [
            Clip(f"{name}:{row.clip_id}", f"{name}:{row.speaker}", f"{name}:{row.group}")
            for row in known.table.itertuples(index=False)
        ]
    kind = next(iter(tables.values())).task.kind
    return make_labels(clips, found, kind, names)


@pytest.fixture
def both() -> dict[str, Labels]:
    return {
        "one": corpus(("happy", "sad", "neutral")),
        "two": corpus(("boredom", "happiness", "neutral", "sad"), speakers=5, seed=1),
    }


def test_labels_are_those_that_pandas_makes_by_the_map(both):
    known = united(both)
    assert known.task.names == ("happy", "sad", "neutral")
    expected = pd.concat(
        table.table.assign(clip_id=name + ":" + table.table.clip_id, corpus=name)
        for name, table in both.items()
    )
    expected["label"] = expected["label"].replace({"happiness": "happy", "boredom": pd.NA})
    found = known.table.set_index("clip_id")
    expected = expected.set_index("clip_id").loc[found.index]
    assert found["label"].fillna("").tolist() == expected["label"].fillna("").tolist()
    assert known.column("corpus").tolist() == expected["corpus"].tolist()
    assert known.column("sex").tolist() == ["f"] * len(found)
    bored = int((both["two"].table["label"] == "boredom").sum())
    assert bored > 0
    assert left_out_counts(known) == [("two", "boredom", bored)]
    unlabelled = found[found["label"].isna()]
    assert set(unlabelled["reason"]) == {"nobody agreed", "left out by across.labels: boredom"}


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"happiness": "happy"}, r"boredom \(not in one\)"),
        ({}, r"happy \(not in two\); boredom \(not in one\); happiness \(not in one\)"),
        ({**MAP, "hapiness": "happy"}, "found 'hapiness'; did you mean 'happiness'"),
    ],
)
def test_each_label_that_some_corpora_lack_has_to_be_named(both, labels, told):
    with pytest.raises(AvemoError, match=told):
        united(both, labels)


def test_a_label_may_be_kept_that_one_corpus_lacks_and_a_map_may_join_two():
    names = {"a": ("x", "y"), "b": ("x", "z", "w")}
    assert mapped_names(names, {"y": "y", "z": "x", "w": None}) == ("x", "y")


def test_shares_of_classes_that_are_called_alike_add_up_and_others_are_in_proportion():
    shares = [(0.5, 0.1, 0.4), (0.2, 0.7, 0.1), (0.25, 0.25, 0.5)]
    clips = [Clip(f"c{n}", "s", "s") for n in range(3)]
    names = ("happy", "boredom", "joy")
    given = [Label(c.clip_id, dict(zip(names, s, strict=True))) for c, s in zip(clips, shares, strict=True)]
    soft = make_labels(clips, given, "classes", names)
    hard = corpus(("happy", "sad"))
    labels = {"boredom": None, "joy": "happy", "sad": "sad"}
    known = united({"soft": soft, "hard": hard}, labels)
    assert known.task.names == ("happy", "sad")
    # The second clip shows boredom most.
    assert "soft:c1" not in known.targets
    assert known.targets["soft:c0"] == pytest.approx((1, 0))
    assert known.targets["soft:c2"] == pytest.approx((1, 0))
    assert set(known.labelled[known.column("corpus")[known.labelled.index] == "hard"]["label"]) == {
        "happy",
        "sad",
    }


def numbers(names: tuple[str, ...], kind: str) -> Labels:
    clips = [Clip(f"c{n}", f"s{n}", f"s{n}") for n in range(4)]
    return make_labels(
        clips,
        [Label(c.clip_id, {name: float(n % 2) for n, name in enumerate(names)}) for c in clips],
        kind,
        names,
    )


@pytest.mark.parametrize("kind", ["attributes", "bits"])
def test_columns_of_numbers_are_renamed_and_left_out(kind):
    tables = {
        "a": numbers(("arousal", "valence"), kind),
        "b": numbers(("activation", "valence", "control"), kind),
    }
    labels = {"activation": "arousal", "control": None}
    known = united(tables, labels)
    assert known.task.names == ("arousal", "valence")
    assert known.targets["b:c0"] == (0.0, 1.0)
    with pytest.raises(
        AvemoError, match=r"expected each of arousal, valence, control once in every corpus.* in a"
    ):
        united(tables, {"activation": "arousal", "control": "control"})


def test_labels_of_two_kinds_do_not_go_together(both):
    with pytest.raises(AvemoError, match="one kind in all corpora, found classes in one, attributes in x"):
        united_labels({"one": both["one"], "x": numbers(("a", "b"), "attributes")}, {})


def config(**values: object) -> SplitConfig:
    return SplitConfig.model_validate(
        {"protocol": "across", "train_on": ["one"], "test_on": ["two"], **values}
    )


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(0, 9), st.sampled_from(["none", "best_of_50"]), st.floats(0.1, 0.6))
def test_test_is_the_whole_corpus_and_dev_has_speakers_of_its_own(speakers, seed, balance, share):
    tables = {
        "one": corpus(("happy", "sad", "neutral"), speakers=speakers),
        "two": corpus(("boredom", "happiness", "neutral", "sad"), speakers=4, seed=1),
    }
    known = united(tables)
    made = splits_of(known, config(n=3, seed=seed, balance=balance, dev=share))
    table = known.labelled.assign(corpus=known.column("corpus")[known.labelled.index])
    for split in made:
        check_disjoint(split, known.groups)
        assert list(split.test) == sorted(table[table.corpus == "two"].clip_id)
        assert sorted(split.train + split.dev) == sorted(table[table.corpus == "one"].clip_id)
        people = table.set_index("clip_id").loc[list(split.dev)].speaker.nunique()
        assert people == min(speakers - 1, max(1, round(share * speakers)))
    assert made == splits_of(known, config(n=3, seed=seed, balance=balance, dev=share))
    assert made[:2] == splits_of(known, config(n=2, seed=seed, balance=balance, dev=share))


def test_speakers_of_one_name_in_two_corpora_are_two(both):
    known = united(both)
    assert {"one:s0", "two:s0"} <= set(known.groups.values())
    for split in across_splits(known, config(n=2)):
        check_disjoint(split, known.groups)


def test_of_several_train_corpora_each_gives_dev_its_share(both):
    three = {**both, "three": corpus(("happy", "sad", "neutral"), speakers=20, seed=3)}
    known = united(three)
    wanted = {"train_on": ["one", "three"], "n": 4, "dev": 0.2}
    corpus_of = dict(zip(known.table.clip_id, known.column("corpus"), strict=True))
    for split in splits_of(known, config(**wanted)):
        groups = {known.groups[clip] for clip in split.dev}
        assert {corpus_of[clip] for clip in split.test} == {"two"}
        assert sorted(group.partition(":")[0] for group in groups) == ["one"] + ["three"] * 4


def test_a_corpus_may_be_the_whole_dev_side(both):
    three = {**both, "three": corpus(("happy", "sad", "neutral"), speakers=3, seed=3)}
    known = united(three)
    (split,) = splits_of(known, config(dev_on=["three"]))
    assert {clip.partition(":")[0] for clip in split.dev} == {"three"}
    assert {clip.partition(":")[0] for clip in split.train} == {"one"}


def test_a_corpus_of_one_speaker_gives_dev_nobody(both):
    known = united({**both, "alone": corpus(("happy", "sad", "neutral"), speakers=1)})
    for split in splits_of(known, config(train_on=["alone", "one"], n=2)):
        assert {clip.partition(":")[0] for clip in split.dev} == {"one"}
    with pytest.raises(AvemoError, match=r"two groups in a corpus of train_on.*across.dev_on"):
        splits_of(known, config(train_on=["alone"]))


def test_a_side_without_clips_is_an_error(both):
    nobody = united({**both, "x": corpus(("odd",))}, {**MAP, "odd": None, "sad": "sad", "neutral": "neutral"})
    with pytest.raises(AvemoError, match="expected labelled clips of x for the test side, found none"):
        splits_of(nobody, config(test_on=["x"]))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"n": 3, "dev_on": ["three"]}, "expected 1 with protocol 'across', found 3"),
        ({"test_on": []}, "expected 'across' in a run that has `across` alone"),
        ({"protocol": "random"}, "expected 'across' in a run that has `across` alone"),
        ({"k": 3}, "k: expected a number"),
    ],
)
def test_what_does_not_go_with_the_protocol_is_refused(values, told):
    with pytest.raises(ValidationError, match=told):
        config(**values)


def test_dev_is_drawn_five_times_unless_the_config_says_otherwise():
    assert (config().n, config(dev_on=["three"]).n, config(n=2).n) == (5, 1, 2)
    assert "train_on" not in SplitConfig().model_dump()
