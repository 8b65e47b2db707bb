"""MELD by the counts that were published, in the layouts that are met."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.meld import Meld
from avemo.dataset.labels import make_labels
from avemo.dataset.protocol import splits_of
from avemo.dataset.splits import SplitConfig

PUBLISHED = {
    "train": {"anger": 1109, "disgust": 271, "fear": 268, "joy": 1743, "neutral": 4710, "sadness": 683, "surprise": 1205},
    "dev": {"anger": 153, "disgust": 22, "fear": 40, "joy": 163, "neutral": 470, "sadness": 111, "surprise": 150},
    "test": {"anger": 345, "disgust": 68, "fear": 50, "joy": 402, "neutral": 1256, "sadness": 208, "surprise": 281},
}  # fmt: skip
"""Utterances by side and emotion, as the authors' page prints them."""
DIALOGUES = {"train": 1038, "dev": 114, "test": 280}
"""As their tables have them; the paper prints 1,039 for train."""
FILMS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
COLUMNS = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
)


def write_tables(root: Path, published: dict[str, dict[str, int]] = PUBLISHED) -> None:
    for side, counts in published.items():
        given = list(Counter(counts).elements())
        with (root / f"{side}_sent_emo.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for at, emotion in enumerate(given):
                dialogue, utterance = at % DIALOGUES[side], at // DIALOGUES[side]
                mood = {"joy": "positive", "neutral": "neutral"}.get(emotion, "negative")
                where = (dialogue, utterance, 1 + dialogue % 10, 1 + dialogue % 24)
                who = ("Joey", "Ross", "Rachel")[at % 3]
                writer.writerow((at + 1, "Oh, well,\nthat’s “it”.", who, emotion, mood, *where))


def at(root: Path, labels: dict | None = None, **config) -> Meld:
    return Meld(Meld.Config(root=root, **config), Meld.Labels(**labels or {}))


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("meld")
    write_tables(root)
    for folder in FILMS.values():
        touch(root / "MELD.Raw" / folder / "dia0_utt0.mp4")
    return root


def test_the_whole_corpus_has_the_published_counts(whole):
    corpus = at(whole, {"wrongly_cut": "keep"})
    clips = corpus.clips()
    labels = corpus.labels(clips)
    assert len(clips) == 13_708
    for side, counts in PUBLISHED.items():
        assert Counter(one.label for one in labels if one.facts["split"] == side) == counts
        groups = {clip.group for clip in clips if clip.clip_id.startswith(side)}
        assert len(groups) == DIALOGUES[side]
    assert Counter(PUBLISHED["train"]).total() == 9989
    assert corpus.notes() == [
        "train_dia125_utt3 does not decode in the release",
        "dev_dia110_utt7 is not there in the release",
    ]
    sentiments = at(whole, {"task": "sentiment", "wrongly_cut": "keep"})
    found = Counter(one.label for one in sentiments.labels(clips))
    assert found == {"negative": 13_708 - 6436 - 2308, "neutral": 6436, "positive": 2308}


def test_films_that_are_known_to_be_wrongly_cut_have_no_label(whole):
    corpus = at(whole)
    without = {one.clip_id: one.reason for one in corpus.labels(corpus.clips()) if one.label is None}
    assert without == {
        "train_dia309_utt0": "its film is wrongly cut, 41 s long",
        "test_dia38_utt4": "its film is wrongly cut, 5 minutes long",
        "test_dia220_utt0": "its film is wrongly cut, 4 minutes long",
    }


def test_the_official_sides_are_the_tables(whole):
    corpus = at(whole)
    clips = corpus.clips()
    known = make_labels(clips, corpus.labels(clips), corpus.task, corpus.classes)
    (split,) = splits_of(known, SplitConfig(protocol="official", column="split"))
    assert (len(split.train), len(split.dev), len(split.test)) == (9988, 1109, 2608)
    shared = at(whole, group="episode")
    known = make_labels(shared.clips(), shared.labels(clips), shared.task, shared.classes)
    with pytest.raises(AvemoError, match="season 1"):
        splits_of(known, SplitConfig(protocol="official", column="split"))


@pytest.mark.parametrize(
    "folders",
    [
        FILMS,
        {
            "train": "MELD-RAW/MELD.Raw/train/train_splits",
            "dev": "MELD-RAW/MELD.Raw/dev",
            "test": "MELD-RAW/Test",
        },
        {"train": "audio/train", "dev": "audio/val", "test": "audio/test"},
    ],
)
def test_a_file_s_side_is_its_folders(tmp_path, folders):
    write_tables(tmp_path, {side: {"joy": 2} for side in PUBLISHED})
    suffix = ".wav" if "audio" in folders["dev"] else ".mp4"
    paths = {side: touch(tmp_path / folder / f"dia0_utt0{suffix}") for side, folder in folders.items()}
    touch(tmp_path / folders["test"] / "final_videos_testdia0_utt0.mp4")
    touch(tmp_path / folders["test"] / "._dia0_utt0.mp4")
    touch(tmp_path / folders["test"] / f"dia66_utt9{suffix}")
    corpus = at(tmp_path)
    clips = {clip.clip_id: clip for clip in corpus.clips()}
    for side, path in paths.items():
        assert clips[f"{side}_dia0_utt0"].audio_path == path
        assert clips[f"{side}_dia0_utt0"].video_path == (path if suffix == ".mp4" else None)
        assert clips[f"{side}_dia1_utt0"].video_path.parent == tmp_path / FILMS[side]
    assert [note.split(":")[0] for note in corpus.notes()] == [
        "1 media files are named otherwise than train_splits/dia0_utt0.mp4 and not used",
        "6 utterances; the whole corpus has 13708",
        "1 films or sounds have no row and are not used",
    ]


def test_what_cannot_be_read_is_named(tmp_path):
    touch(tmp_path / "train" / "dia0_utt0.mp4")
    with pytest.raises(AvemoError, match=r"expected MELD's train_sent_emo\.csv"):
        at(tmp_path).clips()
    write_tables(tmp_path, {"train": {"joy": 1}})
    table = tmp_path / "train_sent_emo.csv"
    text = table.read_text()
    table.write_text(text + text.splitlines(keepends=True)[1] + text.splitlines(keepends=True)[2])
    with pytest.raises(
        AvemoError, match="line 5: expected numbers of a dialogue and an utterance, each pair once"
    ):
        at(tmp_path).clips()
