"""The label table."""

import pytest

from avemo.base.contracts import AvemoError, Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import load_labels, make_labels, save_labels
from avemo.dataset.protocol import splits_of
from avemo.dataset.splits import SplitConfig


def test_labels_come_back_with_their_classes_in_order(tmp_path):
    clips = [Clip("a", "anna", "film"), Clip("b", "ben", "ben")]
    made = make_labels(clips, [Label("a", "sad"), Label("b", None, "no votes")], "classes", ("sad", "happy"))
    save_labels(made, tmp_path / "labels.parquet")
    loaded = load_labels(tmp_path / "labels.parquet")
    assert (loaded.task.kind, loaded.task.names) == ("classes", ("sad", "happy"))
    assert loaded.targets == {"a": 0}
    assert loaded.groups == {"a": "film", "b": "ben"}
    assert loaded.table.reason.tolist() == ["", "no votes"]


CLIPS = [Clip(name, name, name) for name in "abc"]


def test_levels_of_intensity_come_back_where_a_corpus_has_them(tmp_path):
    given = [
        Label("a", "sad", intensity="high"),
        Label("b", "sad", intensity="low"),
        Label("c", None, "no votes"),
    ]
    save_labels(make_labels(CLIPS, given, "classes", ("sad", "happy")), tmp_path / "l.parquet")
    assert load_labels(tmp_path / "l.parquet").table.intensity.tolist() == ["high", "low", ""]


def test_numbers_come_back_in_the_declared_order(tmp_path):
    given = [Label("a", {"valence": 0.25, "arousal": 0.5}), Label("b", None, "no ratings")]
    given.append(Label("c", {"arousal": 1.0, "valence": 0.0}))
    save_labels(make_labels(CLIPS, given, "attributes", ("arousal", "valence")), tmp_path / "l.parquet")
    loaded = load_labels(tmp_path / "l.parquet")
    assert loaded.targets == {"a": (0.5, 0.25), "c": (1.0, 0.0)}
    assert loaded.given["a"] == {"arousal": 0.5, "valence": 0.25}
    assert loaded.counts()[["label", "clips", "mean"]].to_numpy().tolist() == [
        ["arousal", 2, 0.75],
        ["valence", 2, 0.125],
    ]
    loaded.table[
        ["clip_id", "speaker", "group", "label", "reason", "value_valence", "value_arousal"]
    ].to_parquet(tmp_path / "swapped.parquet")
    with pytest.raises(AvemoError, match="in the order"):
        load_labels(tmp_path / "swapped.parquet")


def test_shares_and_names_of_classes_can_stand_in_one_table(tmp_path):
    given = [Label("a", {"sad": 0.25, "glad": 0.75}), Label("b", "sad"), Label("c", None, "no votes")]
    save_labels(make_labels(CLIPS, given, "classes", ("sad", "glad")), tmp_path / "l.parquet")
    loaded = load_labels(tmp_path / "l.parquet")
    assert loaded.targets == {"a": (0.25, 0.75), "b": (1.0, 0.0)}
    assert loaded.given == {"a": "glad", "b": "sad"}
    assert loaded.counts().to_dict("list") == {"label": ["glad", "sad", "no label"], "clips": [1, 1, 1]}


def test_bits_are_bits():
    with pytest.raises(AvemoError, match="a: expected bits"):
        make_labels(CLIPS[:1], [Label("a", {"happy": 2.0})], "bits", ("happy",))


def test_another_table_is_refused(tmp_path):
    (tmp_path / "labels.parquet").write_text("x")
    with pytest.raises(AvemoError, match="expected a label table"):
        load_labels(tmp_path / "labels.parquet")


def test_drawn_splits_keep_clips_that_share_media_on_one_side(tmp_path):
    names = [f"{group}{n}" for group in "abcdefgh" for n in range(2)]
    clips = [Clip(name, name[0], name[0]) for name in names]
    given = [Label(name, ("sad", "happy")[n % 2]) for n, name in enumerate(names)]
    kept_with = {name: "a" if name[0] == "h" else name[0] for name in names}
    save_labels(make_labels(clips, given, "classes", ("sad", "happy"), kept_with), tmp_path / "l.parquet")
    known = load_labels(tmp_path / "l.parquet")
    assert known.groups["h0"] == "h"
    for balance in ("none", "best_of_50"):
        made = splits_of(known, SplitConfig(n=20, balance=balance))
        for split in made:
            sides = {side for side, ids in split.sides().items() if {"a0", "h0"} & set(ids)}
            assert len(sides) == 1
    few = make_labels(clips[:8], given[:8], "classes", ("sad", "happy"), dict.fromkeys(names, "a"))
    with pytest.raises(AvemoError, match="found 4 of which 3 share media with another"):
        splits_of(few, SplitConfig())


def test_without_shared_media_the_label_table_is_as_it_was():
    given = [Label(clip.clip_id, "sad") for clip in CLIPS]
    same = {clip.clip_id: clip.group for clip in CLIPS}
    made = make_labels(CLIPS, given, "classes", ("sad", "glad"), same)
    assert list(made.table) == ["clip_id", "speaker", "group", "label", "reason"]


@pytest.mark.parametrize("name", ["labelled", "targets", "given", "shown", "groups", "kept_together"])
def test_what_is_asked_for_clip_by_clip_is_made_once(name):
    """Made at each asking, the groups of 13,708 clips took minutes to split by."""
    made = make_labels(CLIPS, [Label(clip.clip_id, "sad") for clip in CLIPS], "classes", ("sad", "happy"))
    assert getattr(made, name) is getattr(made, name)
