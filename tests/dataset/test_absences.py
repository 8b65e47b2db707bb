"""Classes that a side of a split lacks: found by split and side, and which scores count them as 0."""

from __future__ import annotations

import pytest

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.absences import absences, lessened
from avemo.dataset.labels import Labels, make_labels
from avemo.dataset.splits import Split

SPLIT = Split("split00", ("a", "b"), ("c",), ("d",))


def labels_of(kind: str, names: tuple[str, ...], given: list) -> Labels:
    clips = [Clip(name, speaker=name, group=name) for name in "abcd"]
    return make_labels(clips, [Label(c.clip_id, g) for c, g in zip(clips, given, strict=True)], kind, names)


def test_classes_by_side():
    known = labels_of("classes", ("sad", "happy", "fear"), ["sad", "happy", "happy", "fear"])
    found = list(absences([SPLIT], known))
    assert list(map(str, found)) == [
        "split00: no clip of fear on train",
        "split00: no clip of sad, fear on dev",
        "split00: no clip of sad, happy on test",
    ]
    assert lessened(found, known.task) == {
        "split00": {"macro_precision", "macro_recall", "macro_f1", "f1_sad", "f1_happy"}
    }


def test_shares_of_classes_count_by_the_largest():
    shares = [{"sad": 0.6, "happy": 0.4}, {"sad": 0.2, "happy": 0.8}, {"sad": 1.0, "happy": 0.0}]
    known = labels_of("classes", ("sad", "happy"), [*shares, shares[0]])
    assert [(one.side, one.names) for one in absences([SPLIT], known)] == [
        ("dev", ("happy",)),
        ("test", ("happy",)),
    ]


def test_bits_that_no_clip_of_a_side_has():
    bits = [{"sad": 1, "happy": 0}, {"sad": 0, "happy": 1}, {"sad": 1, "happy": 1}, {"sad": 1, "happy": 0}]
    known = labels_of("bits", ("sad", "happy"), bits)
    found = list(absences([SPLIT], known))
    assert list(map(str, found)) == ["split00: no clip of happy on test"]
    assert lessened(found, known.task) == {"split00": {"mf1", "mf1_happy"}}


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_attributes_are_on_every_side(value):
    known = labels_of("attributes", ("arousal",), [{"arousal": value}] * 4)
    assert list(absences([SPLIT], known)) == []
