"""Fine-tuning corpora: their own files to one table."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.affectnet import EXPRESSIONS
from avemo.corpora.affectnet import examples as affectnet
from avemo.corpora.examples import write_examples
from avemo.corpora.msp_podcast import examples as msp_podcast
from avemo.finetuning.faces import AFFECTNET_7, read_pictures
from avemo.finetuning.speech import read_turns


@pytest.fixture
def podcast(tmp_path: Path) -> Path:
    for folder in ("Labels", "Audios"):
        (tmp_path / folder).mkdir()
    for name in "abcd":
        (tmp_path / "Audios" / f"{name}.wav").write_bytes(b"x")
    (tmp_path / "Labels" / "labels_consensus.csv").write_text(
        "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
        "a.wav,A,7.0,1.0,4.0,1,Male,Train\nb.wav,N,4.0,4.0,2.5,2,Male,Development\n"
        "c.wav,N,4.0,4.0,4.0,3,Male,Test2\nd.wav,N,4.0,4.0,4.0,4,Male,Held\n"
        "gone.wav,N,4.0,4.0,4.0,3,Male,Train\n"
    )
    return tmp_path


def test_podcast_attributes_go_from_0_to_1_in_order(podcast):
    found = msp_podcast(podcast)
    assert found.columns == ("path", "arousal", "valence", "dominance", "split")
    assert [row[1:] for row in found.rows] == [
        (1.0, 0.0, 0.5, "train"),
        (0.5, 0.5, 0.25, "dev"),
        (0.5, 0.5, 0.5, "test"),
    ]
    assert found.left_out == {"Split_Set 'Held'": 1}
    assert found.missing == [podcast / "Audios" / "gone.wav"]


def test_podcast_values_off_the_scale_are_an_error(podcast):
    path = podcast / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text().replace("b.wav,N,4.0", "b.wav,N,0.5"))
    with pytest.raises(AvemoError, match=r"b\.wav: expected EmoAct from 1 to 7, found '0\.5'"):
        msp_podcast(podcast)


def test_podcast_columns_are_read_by_name(podcast):
    path = podcast / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text().replace("EmoVal", "Valence"))
    with pytest.raises(AvemoError, match=r"with columns \['EmoVal'\]"):
        msp_podcast(podcast)


def test_affectnet_lists(miniatures):
    found = affectnet(miniatures["affectnet"])
    assert found.splits == {"train": 14, "dev": 7}
    assert {row[1] for row in found.rows} == set(EXPRESSIONS)
    assert not found.missing
    assert not found.left_out


def test_affectnet_annotations_as_arrays(tmp_path):
    for name, number, expression in (("train_set", 0, "6"), ("train_set", 1, "7"), ("val_set", 0, "0")):
        for folder in ("images", "annotations"):
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "images" / f"{number}.jpg").write_bytes(b"x")
        np.save(tmp_path / name / "annotations" / f"{number}_exp.npy", np.array(expression))
    found = affectnet(tmp_path)
    assert [(row[1], row[-1]) for row in found.rows] == [("anger", "train"), ("neutral", "dev")]
    assert found.left_out == {"expression contempt": 1}


def test_affectnet_boxes_are_corners_and_may_be_absent(miniatures, tmp_path):
    shutil.copytree(miniatures["affectnet"], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "Manually_Annotated_file_lists" / "validation.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace(",0,0,112,112,", ",3,5,100,90,")
    lines[2] = lines[2].replace(",0,0,112,112,", ",-1,-1,-1,-1,")
    path.write_text("\n".join(lines))
    boxes = [row[2:6] for row in affectnet(tmp_path).rows if row[-1] == "dev"]
    assert boxes[:3] == [(3, 5, 103, 95), ("",) * 4, (0, 0, 112, 112)]


def test_the_fine_tuning_stages_read_these_tables(miniatures, tmp_path):
    write_examples(tmp_path / "faces.csv", affectnet(miniatures["affectnet"]))
    pictures = read_pictures(tmp_path / "faces.csv", AFFECTNET_7)
    assert {side: len(found) for side, found in pictures.items()} == {"train": 14, "dev": 7}
    assert pictures["dev"][0].box == (0, 0, 112, 112)
    write_examples(tmp_path / "speech.csv", msp_podcast(miniatures["msp_podcast"]))
    turns = read_turns(tmp_path / "speech.csv")
    assert {side: len(found) for side, found in turns.items()} == {"train": 6, "dev": 6}


def test_affectnet_elsewhere_is_an_error(tmp_path):
    with pytest.raises(AvemoError, match="expected Manually_Annotated_file_lists/training"):
        affectnet(tmp_path)


def test_the_table_has_absolute_paths(miniatures, tmp_path):
    found = msp_podcast(miniatures["msp_podcast"])
    write_examples(tmp_path / "table.csv", found)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    assert all(Path(row["path"]).is_absolute() and Path(row["path"]).is_file() for row in rows)
    assert {row["split"] for row in rows} == {"train", "dev", "test"}
