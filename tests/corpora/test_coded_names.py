"""RAVDESS, EmoDB and SAVEE by the counts that were published, in the layouts that are met."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.emodb import MEN, EmoDB
from avemo.corpora.ravdess import Ravdess
from avemo.corpora.savee import Savee

EMODB = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "N": 79, "T": 62}
"""Clips by emotion (Burkhardt et al. 2005, the files that were released)."""


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory) -> Path:
    """All 7,356 names, in the folders of the zip files."""
    root = tmp_path_factory.mktemp("ravdess")
    for modality, channel, actor in product((1, 2, 3), (1, 2), range(1, 25)):
        if (channel, actor) == (2, 18):
            continue
        for emotion, intensity, statement, repetition in product(
            range(1, 9 if channel == 1 else 7), (1, 2), (1, 2), (1, 2)
        ):
            if (emotion, intensity) != (1, 2):
                suffix, kind = (".wav", "Audio") if modality == 3 else (".mp4", "Video")
                codes = (modality, channel, emotion, intensity, statement, repetition, actor)
                name = "-".join(f"{code:02d}" for code in codes)
                folder = root / f"{kind}_{('Speech', 'Song')[channel - 1]}_{actor:02d}" / f"Actor_{actor:02d}"
                touch(folder / f"{name}{suffix}")
    return root


def at(kind, root: Path, labels: dict | None = None, **config):
    return kind(kind.Config(root=root, **config), kind.Labels(**labels or {}))


def test_the_whole_corpus_has_the_published_counts(ravdess):
    assert sum(path.is_file() for path in ravdess.rglob("*.*")) == 7356
    for media in ("full", "audio", "video", "both"):
        counts = {
            c: len(at(Ravdess, ravdess, media=media, channel=c).clips()) for c in ("speech", "song", "both")
        }
        assert counts == {"speech": 1440, "song": 1012, "both": 2452}
    speech = at(Ravdess, ravdess)
    found = speech.labels(speech.clips())
    assert Counter(label.label for label in found) == {
        "neutral": 96, **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192)
    }  # fmt: skip
    assert Counter(label.facts["sex"] for label in found) == {"male": 720, "female": 720}
    assert not speech.notes()
    song = at(Ravdess, ravdess, channel="song")
    assert len({clip.group for clip in song.clips()}) == 23
    assert set(song.classes) == {label.label for label in song.labels(song.clips())}


def test_media_are_the_files_that_were_asked_for(ravdess):
    clip = at(Ravdess, ravdess, media="both").clips()[0]
    assert (clip.audio_path.name[:2], clip.video_path.name[:2]) == ("03", "01")
    silent = at(Ravdess, ravdess, media="video").clips()[0]
    assert (silent.audio_path, silent.video_path.name[:2]) == (None, "02")


def test_calm_and_intensities_can_be_left_out(ravdess):
    merged = at(Ravdess, ravdess, {"calm": "neutral"})
    assert Counter(label.label for label in merged.labels(merged.clips()))["neutral"] == 288
    assert "calm" not in merged.classes
    strong = at(Ravdess, ravdess, {"calm": "none", "intensity": "strong"})
    found = strong.labels(strong.clips())
    assert Counter(label.label for label in found)[None] == 1440 - 6 * 96
    assert {label.reason for label in found} == {"", "calm is left out", "intensity normal is left out"}


def test_real_voices_have_the_labels_that_somebody_else_gave(shared_data):
    corpus = at(Ravdess, shared_data / "ravdess" / "wav", media="audio")
    clips = corpus.clips()
    with (shared_data / "ravdess" / "clips.csv").open() as file:
        theirs = {row["clip_id"]: row for row in csv.DictReader(file)}
    assert len(clips) == len(theirs) == 360
    for clip, label in zip(clips, corpus.labels(clips), strict=True):
        row = theirs[clip.clip_id]
        assert (label.label, label.facts["sex"], label.intensity) == (
            row["label"],
            row["sex"],
            row["intensity"],
        )
        assert int(clip.speaker) == int(row["speaker"])
    assert corpus.notes() == ["360 clips; the whole corpus has 1440 of this channel"]


def test_a_mirror_that_has_all_twice_is_read_once(tmp_path):
    for folder in ("Actor_01", "audio_speech_actors_01-24/Actor_01"):
        touch(tmp_path / folder / "03-01-05-01-01-01-01.wav")
    touch(tmp_path / "Actor_01" / "._03-01-05-01-01-01-01.wav")
    touch(tmp_path / "Actor_01" / "notes.wav")
    corpus = at(Ravdess, tmp_path, media="audio")
    (clip,) = corpus.clips()
    assert clip.audio_path.parent.name == "Actor_01"
    assert [note.split(":")[0] for note in corpus.notes()[:2]] == [
        "1 names are there twice; the first in order of path is used, the others not",
        "1 media files are named otherwise than 03-01-05-01-02-01-12.wav and not used",
    ]


@pytest.mark.parametrize("kind", [Ravdess, EmoDB, Savee])
def test_a_folder_without_such_files_is_named(tmp_path, kind):
    with pytest.raises(AvemoError, match="expected files of .* such as .*found none"):
        at(kind, tmp_path).clips()
    with pytest.raises(AvemoError, match="expected the folder of"):
        at(kind, tmp_path / "none").clips()


def test_emodb_has_the_published_counts(tmp_path):
    speakers = sorted((*MEN, "08", "09", "13", "14", "16"))
    for letter, count in EMODB.items():
        for number in range(count):
            who, rest = speakers[number % 10], number // 10
            touch(tmp_path / "wav" / f"{who}{'ab'[rest % 2]}0{1 + rest // 2}{letter}a.wav")
    corpus = at(EmoDB, tmp_path)
    found = Counter(label.label for label in corpus.labels(corpus.clips()))
    assert sum(found.values()) == 535
    assert found == {
        **{"anger": 127, "boredom": 81, "disgust": 46, "fear": 69},
        **{"happiness": 71, "neutral": 79, "sadness": 62},
    }
    assert len({clip.speaker for clip in corpus.clips()}) == 10
    assert not corpus.notes()


def savee_names() -> list[tuple[str, str]]:
    counts = {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}
    each = [f"{letter}{i:02d}" for letter, n in counts.items() for i in range(1, n + 1)]
    return [(speaker, name) for speaker in ("DC", "JE", "JK", "KL") for name in each]


@pytest.mark.parametrize("flat", [False, True])
def test_savee_has_the_published_counts_in_both_layouts(tmp_path, flat):
    for speaker, name in savee_names():
        if flat:
            touch(tmp_path / "ALL" / f"{speaker}_{name}.wav")
        else:
            touch(tmp_path / "AudioData" / speaker / f"{name}.wav")
            touch(tmp_path / "AudioVisualClip" / speaker / f"{name}.avi")
    corpus = at(Savee, tmp_path)
    clips = corpus.clips()
    assert len(clips) == 480
    found = Counter(label.label for label in corpus.labels(clips))
    assert found == {
        "neutral": 120,
        **dict.fromkeys(("anger", "disgust", "fear", "happiness", "sadness", "surprise"), 60),
    }
    assert all((clip.video_path is None) == flat for clip in clips)
    assert Counter(clip.speaker for clip in clips) == dict.fromkeys(("DC", "JE", "JK", "KL"), 120)
    assert not corpus.notes()
