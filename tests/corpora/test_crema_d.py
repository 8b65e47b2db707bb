"""CREMA-D against its own tables."""

import hashlib
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from avemo.base.contracts import AvemoError
from avemo.cli.app import app
from avemo.corpora.crema_d import EMOTIONS, CremaD, read_votes
from avemo.corpora.lfs import declared_sizes


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


def test_ties_can_be_broken_by_ratings_alone_or_not_at_all(clone):
    """What the actor intended is no rating; leaving ties out leaves the 7,022 clips with one leader."""
    alone = {label.clip_id: label for label in labels_of(clone)}
    rated = {label.clip_id: label for label in labels_of(clone, rule="plurality_rated")}
    unbroken = {label.clip_id: label for label in labels_of(clone, rule="plurality_untied")}
    tied = {clip for clip, label in alone.items() if label.reason}
    assert all(rated[clip] == unbroken[clip] == alone[clip] for clip in alone.keys() - tied)
    assert {rated[clip].reason.split(" between")[0] for clip in tied} == {
        "tie, most intense emotion taken",
        "tie",
    }
    assert any(rated[clip].label not in (alone[clip].label, None) for clip in tied)
    assert sum(label.label is not None for label in unbroken.values()) == 7022
    assert all(unbroken[clip].reason.startswith("tie between ") for clip in tied)


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


def test_distribution_is_each_emotion_s_share_of_the_votes(clone):
    labels = labels_of(clone, rule="distribution")
    assert all(sum(label.label.values()) == pytest.approx(1, abs=1e-12) for label in labels)
    plurality = {label.clip_id: label.label for label in labels_of(clone) if not label.reason}
    largest = {label.clip_id: max(label.label, key=label.label.get) for label in labels}
    assert all(largest[clip_id] == emotion for clip_id, emotion in plurality.items())
    votes = next(
        row for row in read_votes(clone / "processedResults" / "tabulatedVotes.csv") if row[""] == "300001"
    )
    share = next(label.label for label in labels if label.clip_id == votes["fileName"])
    assert share["neutral"] == int(votes["N"]) / int(votes["numResponses"])


@pytest.mark.parametrize("mode", ["voice", "face"])
def test_rating_modes_read_their_own_rows(clone, mode):
    labels = labels_of(clone, mode=mode)
    digit = {"voice": "1", "face": "2"}[mode]
    rows = {
        row["fileName"]: row
        for row in read_votes(clone / "processedResults" / "tabulatedVotes.csv")
        if row[""].startswith(digit)
    }
    unique = {label.clip_id: label.label for label in labels if label.label and not label.reason}
    assert len(unique) > 6000
    # The table's own column of winners, made by the corpus' authors.
    assert all(EMOTIONS[rows[clip_id]["emoVote"]] == label for clip_id, label in unique.items())


def test_published_majorities_have_the_paper_s_counts(clone, shared_data):
    for number in (1, 2, 3):
        table = shared_data / "published-partitions" / "crema-d" / f"label_consensus_{number}.csv"
        labels = labels_of(clone, rule="published", table=table)
        assert Counter(label.label for label in labels) == {
            "anger": 885,
            "sadness": 387,
            "disgust": 870,
            "fear": 856,
            "neutral": 1632,
            "happiness": 1190,
            None: 7442 - 5820,
        }


def test_published_needs_its_table():
    with pytest.raises(ValidationError, match="expected table with rule 'published'"):
        CremaD.Labels(rule="published")


def test_what_is_wrong_with_a_clone_is_found_before_anything_runs(miniatures, shared_data, tmp_path):
    root = tmp_path / "clone"
    shutil.copytree(miniatures["crema_d"], root)
    videos = sorted((root / "VideoFlash").iterdir())
    shutil.copy(shared_data / "crema-d" / "lfs-pointer_1001_DFA_ANG_XX.flv", videos[0])
    videos[1].unlink()
    sound = root / "AudioWAV" / f"{videos[3].stem}.wav"
    sound.write_bytes(sound.read_bytes()[:-5000])
    shutil.copy(videos[4], root / "VideoFlash" / "1001_ZZZ_ANG_XX.flv")
    done = CliRunner().invoke(app, ["corpus", "check", "crema_d", "--root", str(root), "--json"])
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert found["media"] == {"ok": 15, "lfs_pointer": 1, "missing_file": 1, "truncated": 1}
    assert len(found["problems"]) == 3
    assert "run `git lfs pull`" in "".join(found["problems"])
    assert found["notes"] == ["1 clips are not in the vote table: 1001_ZZZ_ANG_XX"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_files_are_held_against_the_sizes_the_clone_declares(miniatures, tmp_path):
    """Pointers are committed, as Git LFS does; then media of right and wrong sizes take their place."""
    root = tmp_path / "clone"
    shutil.copytree(miniatures["crema_d"], root)
    media = {path: path.read_bytes() for path in sorted((root / "VideoFlash").iterdir())}
    cut, unpulled = list(media)[:2]
    for path, content in media.items():
        digest = hashlib.sha256(content).hexdigest()
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
        path.write_text(text)
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "pointers"]):
        subprocess.run([*git, *command], check=True)
    for path in set(media) - {unpulled}:
        path.write_bytes(media[path])
    cut.write_bytes(media[cut][:-10])
    assert declared_sizes(root, ("VideoFlash",)) == {path: len(content) for path, content in media.items()}
    size = len(media[cut])
    assert CremaD(CremaD.Config(root=root), CremaD.Labels()).notes() == [
        f"1 files have not the size the clone declares: {cut.name} ({size - 10} of {size} bytes)"
    ]


def test_a_clips_name_says_how_strongly_it_was_to_be_acted(clone):
    asked = Counter(label.intensity for label in labels_of(clone, rule="intended"))
    assert asked == {"low": 455, "medium": 455, "high": 455, "unspecified": 6077}
