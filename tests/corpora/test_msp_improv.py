"""MSP-IMPROV: names, dyads, consensus; media and notes that do not match."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.corpora.msp_improv import NAME, MspImprov, read_attributes
from avemo.study.config import read_config
from avemo.study.layers import expand

EVALUATION = """UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:4.0; V:2.0; D:3.0 ; N:4.0;
rater_1; Angry; Angry,Frustrated; A:4.0; V:2.0; D:3.0; N:4.0;

UTD-IMPROV-S01A-F01-S-MF02.avi; X; A:4.0; V:2.0; D:NaN ; N:4.0;
UTD-IMPROV-S08H-M02-R-MM01.avi; H; A:4.0; V:2.0; D:3.0 ; N:4.0;
UTD-IMPROV-S08H-M02-T-MF01.avi; O; A:4.0; V:2.0; D:3.0 ; N:4.0;
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Evaluation.txt").write_text(EVALUATION)
    for name in ("session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav", "Video/UTD-IMPROV-S01A-F01-P-FM01.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def corpus(root: Path, **labels) -> MspImprov:
    return MspImprov(MspImprov.Config(root=root), MspImprov.Labels(**labels))


def test_media_are_found_wherever_they_lie_and_expected_where_they_belong(root):
    clips = {clip.clip_id: clip for clip in corpus(root).clips()}
    assert len(clips) == 4
    there = clips["MSP-IMPROV-S01A-F01-P-FM01"]
    assert there.video_path == root / "Video" / "UTD-IMPROV-S01A-F01-P-FM01.avi"
    assert there.audio_path == root / "session1" / "S01A" / "P" / "MSP-IMPROV-S01A-F01-P-FM01.wav"
    absent = clips["MSP-IMPROV-S08H-M02-T-MF01"]
    assert absent.video_path == root / "session2" / "S08H" / "T" / "MSP-IMPROV-S08H-M02-T-MF01.avi"


def test_the_turn_says_who_talks_and_the_dyad_stays_together(root):
    clips = {clip.clip_id: clip for clip in corpus(root).clips()}
    partner = clips["MSP-IMPROV-S01A-F01-S-MF02"]
    assert (partner.speaker, partner.group) == ("M01", "dyad1")
    assert clips["MSP-IMPROV-S01A-F01-P-FM01"].speaker == "F01"
    assert {clip.group for clip in clips.values()} == {"dyad1", "dyad2"}


def test_consensus_and_why_there_is_none(root):
    found = corpus(root)
    labels = {label.clip_id[11:]: label for label in found.labels(found.clips())}
    assert labels["S01A-F01-P-FM01"].label == "angry"
    assert labels["S01A-F01-S-MF02"].reason == "no agreement"
    assert labels["S08H-M02-T-MF01"].reason == "agreed on another emotion"
    assert labels["S08H-M02-R-MM01"].reason.startswith("read speech")


def test_read_speech_counts_when_asked(root):
    found = corpus(root, read_speech=True)
    labels = {label.clip_id[11:]: label.label for label in found.labels(found.clips())}
    assert labels["S08H-M02-R-MM01"] == "happy"


def test_the_auxformer_papers_config_counts_the_turns_that_were_read(repository, tmp_path):
    """Section 3 prints 2,644 + 792 + 3,477 + 885 + 85 + 555 = 8,438, which are all turns, 620 read ones included.

    Turns by recording as VAVL's section 4.1 counts them; which emotions were read is drawn.
    """
    recordings = ["S"] * 4381 + ["P"] * 2785 + ["T"] * 652 + ["R"] * 620
    letters = ["H"] * 2644 + ["A"] * 792 + ["N"] * 3477 + ["S"] * 885 + ["O"] * 85 + ["X"] * 555
    assert len(recordings) == len(letters) == 8438
    lines = [
        f"UTD-IMPROV-S{1 + turn // 500:02}A-F{1 + turn % 6:02}-{recording}-FM{turn % 500:03}.avi; {letter}; A:3.0;"
        for turn, (recording, letter) in enumerate(
            zip(recordings, np.random.default_rng(0).permutation(letters), strict=True)
        )
    ]
    (tmp_path / "Evaluation.txt").write_text("\n".join(lines))
    run = expand(read_config(repository / "config" / "papers" / "auxformer.yaml"))["msp_improv"]
    found = corpus(tmp_path, **run["corpus"]["labels"])
    labels = Counter(label.label or label.reason for label in found.labels(found.clips()))
    assert labels == {
        **{"happy": 2644, "angry": 792, "neutral": 3477, "sad": 885},
        **{"agreed on another emotion": 85, "no agreement": 555},
    }


def test_media_without_notes_keep_their_row(root):
    (root / "session1" / "MSP-IMPROV-S02S-F01-T-FM01.wav").write_bytes(b"x")
    found = corpus(root)
    label = next(label for label in found.labels(found.clips()) if "S02S" in label.clip_id)
    assert (label.label, label.reason) == (None, "not in Evaluation.txt")


def test_another_folder_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(AvemoError, match=r"expected MSP-IMPROV's Evaluation\.txt, found none"):
        corpus(tmp_path).clips()
    (tmp_path / "Evalution.txt").write_text("hello\n")
    with pytest.raises(AvemoError, match=r"Evalution\.txt: expected lines like"):
        corpus(tmp_path).clips()


def test_all_published_names_are_understood(shared_data):
    """8,385 turns; recordings as counted by eye; a target sentence is said by the scene's own actor."""
    table = pd.read_csv(shared_data / "published-partitions" / "msp-improv" / "labels_consensus_1.csv")
    found = [NAME.fullmatch(name.removesuffix(".wav")) for name in table.FileName]
    assert all(found)
    assert len(found) == 8385
    assert Counter(match[3] for match in found) == {"S": 4347, "P": 2768, "T": 650, "R": 620}
    assert all(int(match[2]) == dyad for match, dyad in zip(found, table.SpkrID, strict=True))
    assert all(match[1].split("-")[1][0] == match[4] for match in found if match[3] in "TR")


ATTRIBUTES = "FileName,EmoDom,EmoVal,EmoAct,SpkrID,Gender,Split_Set\nMSP-IMPROV-S01A-F01-P-FM01.wav,3,1,5,1,Female,Train\n"


def test_attributes_are_read_by_name_whatever_their_order(root, tmp_path):
    (tmp_path / "t.csv").write_text(ATTRIBUTES)
    found = corpus(root, rule="attributes", table=tmp_path / "t.csv")
    labels = {label.clip_id[11:]: label for label in found.labels(found.clips())}
    assert (found.task, found.classes) == ("attributes", ("arousal", "valence", "dominance"))
    assert labels["S01A-F01-P-FM01"].label == {"arousal": 1.0, "valence": 0.0, "dominance": 0.5}
    assert labels["S01A-F01-S-MF02"].reason == "not in labels.table"
    assert found.label_files() == [tmp_path / "t.csv"]


def test_a_rating_off_the_scale_is_an_error(root, tmp_path):
    (tmp_path / "t.csv").write_text(ATTRIBUTES.replace(",3,1,5,", ",3,1,0.9,"))
    with pytest.raises(AvemoError, match=r"FM01\.wav: expected EmoAct from 1 to 5, found '0\.9'"):
        read_attributes(tmp_path / "t.csv")


def test_attributes_need_their_table():
    with pytest.raises(ValidationError, match="expected table with rule 'attributes'"):
        MspImprov.Labels(rule="attributes")


def test_published_attributes_are_oriented_high_is_active(shared_data):
    """Mean arousal by target emotion, on the file's scale: happy and angry above sad and neutral."""
    found = read_attributes(shared_data / "published-partitions" / "msp-improv" / "labels_consensus_1.csv")
    assert len(found) == 8385
    mean = {
        emotion: 1 + 4 * np.mean([a["arousal"] for clip, a in found.items() if clip[14] == emotion])
        for emotion in "HASN"
    }
    assert {emotion: round(value, 2) for emotion, value in mean.items()} == {
        "H": 2.81,
        "A": 2.67,
        "S": 2.30,
        "N": 2.24,
    }
