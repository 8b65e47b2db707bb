"""CREMA-D against its own tables."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.contracts import AvemoError
from pipeline.corpora.crema_d import CremaD


@pytest.fixture
def clone(shared_data: Path, tmp_path: Path) -> Path:
    """A clone's folder with the real vote table and no media."""
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults" / "tabulatedVotes.csv").symlink_to(
        shared_data / "crema-d" / "tabulatedVotes.csv"
    )
    return tmp_path


def labels_of(root: Path, **rule: str) -> list:
    corpus = CremaD(CremaD.Config(root=root), CremaD.Labels(**rule))
    return corpus.labels(corpus.clips())


def test_the_real_table_has_7442_clips_of_91_actors(clone):
    clips = CremaD(CremaD.Config(root=clone), CremaD.Labels()).clips()
    assert len(clips) == 7442
    assert len({clip.speaker for clip in clips}) == 91
    assert clips[0].video_path == clone / "VideoFlash" / "1001_DFA_ANG_XX.flv"


def test_plurality_has_the_counts_of_the_public_votes(clone):
    labels = labels_of(clone)
    unique = Counter(label.label for label in labels if not label.reason)
    expected = {
        "neutral": 1972,
        "happiness": 1219,
        "disgust": 1139,
        "fear": 1084,
        "anger": 1019,
        "sadness": 589,
    }
    assert unique == expected
    assert sum(1 for label in labels if label.reason) == 420


def test_majority_keeps_5913_clips_and_says_why_not_the_others(clone):
    labels = labels_of(clone, rule="majority")
    assert sum(1 for label in labels if label.label) == 5913
    assert all("more than half" in label.reason for label in labels if label.label is None)


def test_intended_is_in_the_name(clone):
    labels = {label.clip_id: label.label for label in labels_of(clone, rule="intended")}
    assert labels["1001_DFA_ANG_XX"] == "anger"


def test_media_choice_decides_the_paths(clone):
    video = CremaD(CremaD.Config(root=clone, media="video"), CremaD.Labels()).clips()[0]
    audio = CremaD(CremaD.Config(root=clone, media="audio"), CremaD.Labels()).clips()[0]
    assert video.audio_path is None
    assert audio.video_path is None


def test_another_folder_is_an_error_that_names_the_table(tmp_path):
    with pytest.raises(AvemoError, match=r"tabulatedVotes\.csv: expected CREMA-D's vote table"):
        CremaD(CremaD.Config(root=tmp_path), CremaD.Labels()).clips()
