"""MSP-Podcast as a run's corpus, by the counts that were published; `test_examples` has the fine-tuning's table."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.msp_podcast import MspPodcast
from avemo.dataset.labels import make_labels
from avemo.dataset.protocol import splits_of
from avemo.dataset.splits import SplitConfig

CLASSES = {
    **{"N": 26_009, "H": 14_285, "X": 14_199, "U": 4084, "C": 3644, "A": 3218},
    **{"S": 2649, "D": 2593, "F": 1544, "O": 817},
}
"""Turns of release 1.8 by agreed emotion, as EmoBox (Ma et al. 2024) lists them."""
SETS = {"Train": 44_879, "Validation": 7800, "Test1": 15_326, "Test2": 5037}
"""The same 73,042 by set."""
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")


def rows() -> list[tuple[object, ...]]:
    """Which set an emotion is in is drawn; the release names no dev side "Validation" and later ones "Development"."""
    sets = list(Counter(SETS).elements())
    emotions = list(Counter(CLASSES).elements())
    order = [(at * 7919) % len(sets) for at in range(len(sets))]
    return [
        (
            f"MSP-PODCAST_{at // 50:04d}_{at % 50:04d}.wav",
            emotions[order[at]],
            4.0,
            3.0,
            2.5,
            f"{side}{at % 40}",
            "Female",
            side,
        )
        for at, side in enumerate(sets)
    ]


def write_csv(root: Path, listed: list[tuple[object, ...]]) -> Path:
    path = root / "Labels" / "labels_consensus.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *listed])
    return path


def at(root: Path, labels: dict | None = None) -> MspPodcast:
    return MspPodcast(MspPodcast.Config(root=root), MspPodcast.Labels(**labels or {}))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("podcast")
    write_csv(root, rows())
    return root


def test_a_release_has_the_published_counts(whole):
    corpus = at(whole)
    labels = corpus.labels(corpus.clips())
    found = Counter(one.label or one.reason for one in labels)
    assert found == {
        **{
            "neutral": 26_009,
            "happy": 14_285,
            "surprise": 4084,
            "contempt": 3644,
            "angry": 3218,
            "sad": 2649,
        },
        **{"disgust": 2593, "fear": 1544, "no agreement": 14_199, "another emotion": 817},
    }
    assert Counter(one.facts["split"] for one in labels) == SETS
    assert found.total() == 73_042
    assert corpus.notes() == ["sets: Test1 15326, Test2 5037, Train 44879, Validation 7800"]


@pytest.mark.parametrize(("classes", "count"), [("four", 46_161), ("five", 48_754), ("eight", 58_026)])
def test_conventions_take_the_first_classes(whole, classes, count):
    corpus = at(whole, {"classes": classes})
    labelled = [one for one in corpus.labels(corpus.clips()) if one.label]
    assert len(labelled) == count
    assert {one.label for one in labelled} == set(corpus.classes)


def test_the_official_sets_are_a_split(whole):
    corpus = at(whole, {"rule": "attributes"})
    clips = corpus.clips()
    known = make_labels(clips, corpus.labels(clips), corpus.task, corpus.classes)
    sides = {"Train": "train", "Validation": "dev", "Test1": "test", "Test2": None}
    (split,) = splits_of(known, SplitConfig(protocol="official", column="split", sides=sides))
    assert (len(split.train), len(split.dev), len(split.test)) == (44_879, 7800, 15_326)
    assert known.given[clips[0].clip_id] == {
        "arousal": 0.5,
        "valence": pytest.approx(1 / 3),
        "dominance": 0.25,
    }


def small(root: Path) -> list[tuple[object, ...]]:
    listed = [
        ("MSP-PODCAST_0001_0008.wav", "A", 7, 1, 4, "Unknown", "Unknown", "Train"),
        ("MSP-PODCAST_0002_0033_0001.wav", "H", 7, 1, 4, "17", "Male", "Development"),
    ]
    (root / "Partitions.txt").write_text(
        "Train; MSP-PODCAST_0001_0008.wav\n\nTest3; MSP-PODCAST_test3_0001.wav\n"
    )
    return listed


def test_turns_without_labels_and_without_speakers(tmp_path):
    write_csv(tmp_path, small(tmp_path))
    corpus = at(tmp_path, {"unknown_speakers": "none"})
    clips = corpus.clips()
    assert [(clip.clip_id[12:], clip.speaker) for clip in clips] == [
        ("0001_0008", "podcast 0001, unknown"),
        ("0002_0033_0001", "17"),
        ("test3_0001", "podcast test3, unknown"),
    ]
    assert {clip.audio_path.parent for clip in clips} == {tmp_path / "Audios"}
    labels = corpus.labels(clips)
    assert [(one.label, one.reason) for one in labels] == [
        (None, "nobody knows who speaks"),
        ("happy", ""),
        (None, "the lab keeps the labels of Test3"),
    ]
    assert [one.facts for one in labels][:2] == [
        {"split": "Train", "sex": ""},
        {"split": "Development", "sex": "male"},
    ]
    assert at(tmp_path).labels(clips)[0].label == "angry"
    assert corpus.notes()[1] == "2 turns have an unknown speaker; the podcast is their group"


@pytest.mark.parametrize("name", ["Labels/labels_consensus.json", "label/labels_concensus.json"])
def test_json_says_the_same_as_csv(tmp_path, name):
    listed = small(tmp_path)
    by_file = {row[0]: dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in listed}
    (tmp_path / "one" / name).parent.mkdir(parents=True)
    (tmp_path / "one" / name).write_text(json.dumps(by_file))
    (tmp_path / "one" / "Audio").mkdir()
    write_csv(tmp_path / "two", listed)
    one, two = at(tmp_path / "one"), at(tmp_path / "two")
    assert one.labels(one.clips()) == two.labels(two.clips())
    assert one.clips()[0].audio_path.parent.name == "Audio"


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(
        AvemoError, match=r"labels_consensus\.csv: expected MSP-Podcast's consensus labels, found no"
    ):
        at(tmp_path).clips()
    path = write_csv(tmp_path, [(*small(tmp_path)[0][:2], 9, *small(tmp_path)[0][3:])])
    corpus = at(tmp_path, {"rule": "attributes"})
    with pytest.raises(AvemoError, match="0008.wav: expected EmoAct from 1 to 7, found '9'"):
        corpus.labels(corpus.clips())
    (tmp_path / "Partitions.txt").write_text("Test3 MSP-PODCAST_test3_0001.wav\n")
    with pytest.raises(AvemoError, match="Partitions.txt, line 1"):
        at(tmp_path).clips()
    path.unlink()
    path.with_suffix(".json").write_text('{"a.wav": {"EmoClass": "A"}}')
    with pytest.raises(AvemoError, match=r"expected MSP-Podcast's consensus labels with \['EmoAct'"):
        at(tmp_path).clips()
