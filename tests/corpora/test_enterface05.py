"""eNTERFACE'05 by the files of its archive, and in the layouts of mirrors."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.enterface05 import EMOTIONS, Enterface05

MISSING = {(23, "ha", sentence) for sentence in (1, 2, 3)}
PUBLISHED = {**dict.fromkeys(EMOTIONS.values(), 216), "happiness": 213}
"""Films by emotion, uncut ones included: 146 + 70 and 143 + 70 as mcnDatasets counts the archive."""


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def archive_names() -> list[tuple[int, str, int, str]]:
    """Subject, emotion, sentence and file name (without suffix) of all but subject 6, misspelt as EmoBox lists them."""
    found = []
    for who, emotion, sentence in product((*range(1, 6), *range(7, 45)), EMOTIONS, range(1, 6)):
        if (who, emotion, sentence) in MISSING:
            continue
        name = f"s{12 if who == 11 else who}_{emotion}_{sentence}"
        if who == 3 and emotion in ("su", "ha", "sa"):
            name = f"s_3_{emotion}_{sentence}"
        if (who, emotion, sentence) == (16, "su", 3):
            name = "s16_su_3avi"
        found.append((who, emotion, sentence, name))
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("enterface")
    for who, emotion, sentence, name in archive_names():
        folder = root / "enterface database" / f"subject {who}" / EMOTIONS[emotion] / f"sentence {sentence}"
        touch(folder / f"{name}.avi")
    for emotion in EMOTIONS:
        touch(root / "enterface database" / "subject 6" / EMOTIONS[emotion] / f"s6_{emotion}.avi")
    return root


def at(root: Path, labels: dict | None = None, **config) -> Enterface05:
    return Enterface05(Enterface05.Config(root=root, **config), Enterface05.Labels(**labels or {}))


def test_the_archive_has_the_published_counts(archive):
    corpus = at(archive, {"uncut": True})
    clips = corpus.clips()
    assert len(clips) == 1293
    assert Counter(one.label for one in corpus.labels(clips)) == PUBLISHED
    per_person = Counter(Counter(clip.speaker for clip in clips).values())
    assert per_person == {30: 42, 27: 1, 6: 1}
    assert corpus.notes() == []
    assert all(clip.audio_path == clip.video_path for clip in clips)


def test_the_folder_says_who_speaks(archive):
    """Of the 60 files called s12, half are subject 11's."""
    clips = {clip.clip_id: clip for clip in at(archive).clips()}
    assert clips["s11_an_1"].video_path.name == clips["s12_an_1"].video_path.name == "s12_an_1.avi"
    assert (clips["s11_an_1"].group, clips["s12_an_1"].group) == ("s11", "s12")
    assert clips["s16_su_3"].video_path.name == "s16_su_3avi.avi"
    assert clips["s3_su_4"].speaker == "s3"


def test_uncut_films_have_no_label_unless_asked_for(archive):
    corpus = at(archive)
    without = [one for one in corpus.labels(corpus.clips()) if one.label is None]
    assert {one.clip_id for one in without} == {f"s6_{emotion}" for emotion in EMOTIONS}
    assert {one.reason for one in without} == {
        "an uncut film of all five sentences, left out by labels.uncut"
    }


def test_mirrors_with_hyphens_or_of_sound_alone(tmp_path):
    touch(tmp_path / "subject-1" / "anger" / "sentence-1" / "s1_an_1.mp4")
    touch(tmp_path / "wav" / "s2_di_5.wav")
    first, second = at(tmp_path).clips()
    assert (first.clip_id, first.video_path.suffix) == ("s1_an_1", ".mp4")
    assert (second.clip_id, second.video_path) == ("s2_di_5", None)
    assert [clip.video_path for clip in at(tmp_path, media="audio").clips()] == [None, None]
    assert [clip.clip_id for clip in at(tmp_path, media="video").clips()] == ["s1_an_1"]
    assert at(tmp_path).notes() == ["2 clips of 2 people; the whole corpus has 1293 of 44"]


def test_a_folder_without_such_files_is_named(tmp_path):
    touch(tmp_path / "other.avi")
    with pytest.raises(AvemoError, match="expected files of enterface05 such as subject 1"):
        at(tmp_path).clips()
