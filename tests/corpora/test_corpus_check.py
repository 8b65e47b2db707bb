"""`avemo corpus check`, `miniature` and `examples`, as people call them."""

import csv
import json

import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

from avemo.cli.app import app
from avemo.corpora import EXAMPLES
from avemo.corpora.base import MARKER
from avemo.synthetic.miniatures import MINIATURES
from media_clips import RATE, noise
from media_factory import muxed, write_sound, write_wav


def call(*arguments):
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)])


@pytest.mark.parametrize("name", sorted(MINIATURES))
def test_a_sound_folder_is_called_right_in_one_screen(miniatures, name):
    done = call("check", name, "--root", miniatures[name])
    assert done.exit_code == 0, done.output
    assert "right: all that is listed can be read" in done.output
    assert "synthetic  True" in done.output
    assert len(done.stdout.splitlines()) < 24


def test_labels_that_are_numbers_are_summed_up(miniatures):
    root = miniatures["msp_improv"]
    rule = json.dumps({"rule": "attributes", "table": str(root / "partitions" / "labels_consensus_1.csv")})
    found = json.loads(call("check", "msp_improv", "--root", root, "--labels", rule, "--json").stdout)
    with (root / "partitions" / "labels_consensus_1.csv").open() as file:
        said = [float(row["EmoAct"]) for row in csv.DictReader(file) if "-T-" in row["FileName"]]
    assert found["task"] == "attributes"
    assert found["labels"]["mean arousal"] == pytest.approx((sum(said) / len(said) - 1) / 4, abs=1e-4)
    assert found["unlabelled"] == {"read speech, left out by labels.read_speech": 6}


def test_a_class_that_the_splits_would_leave_off_a_side_is_noted(tmp_path):
    """Fear is shown by one of three speakers, so two sides of each split lack it."""
    rows = [
        f"{who}{n},{who}{n}.mp4,{who},{label}" for who in "abc" for n, label in enumerate(["sad", "calm"])
    ]
    table = tmp_path / "clips.csv"
    table.write_text("\n".join(["clip_id,path,speaker,label", *rows, "a9,a9.mp4,a,fear"]))
    run = {"run": "mine", "corpus": {"name": "table", "config": {"csv": str(table)}}, "splits": {"n": 2}}
    run |= {"features": {"audio": {"extractor": "compare_lld"}}, "systems": {"mult": {"model": "mult"}}}
    config = tmp_path / "mine.yaml"
    config.write_text(json.dumps(run))
    notes = json.loads(call("check", "--config", config, "--json").stdout)["notes"]
    assert len(notes) == 4
    assert {note.split(": ")[1].rsplit(" ", 1)[0] for note in notes} == {"no clip of fear on"}
    assert "no clip of fear on" in call("check", "--config", config).stdout


def test_examples_that_are_not_there_are_listed(miniatures, tmp_path):
    (tmp_path / "Labels").mkdir()
    table = (miniatures["msp_podcast"] / "Labels" / "labels_consensus.csv").read_text()
    (tmp_path / "Labels" / "labels_consensus.csv").write_text(table)
    done = call("check", "msp_podcast", "--root", tmp_path)
    assert done.exit_code == 3
    assert "18 clips or files cannot be read" in done.stdout
    assert "... and 6 more; --json lists all" in done.stdout


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_become_a_table(miniatures, tmp_path, name):
    done = call("examples", name, "--root", miniatures[name], "--out", tmp_path / "made" / "table.csv")
    assert done.exit_code == 0, done.output
    with (tmp_path / "made" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} rows" in done.stdout
    assert {"train", "dev"} <= {row["split"] for row in rows}


def test_a_miniature_is_made_by_one_command(tmp_path):
    done = call("miniature", "msp_podcast", "--out", tmp_path / "mini", "--speakers", 3)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mini" / MARKER).is_file()
    assert len(list((tmp_path / "mini" / "Audios").iterdir())) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "crema_dd", "--root", "."), "did you mean 'crema_d'"),
        (("check", "crema_d"), "corpus.config.root: expected a value, found none"),
        (("check", "crema_d", "--root", ".", "--labels", '{"rul": 1}'), "did you mean 'rule'"),
        (("check", "affectnet"), "--root: expected the folder of affectnet"),
        (("miniature", "crema", "--out", "x"), "did you mean 'crema_d'"),
    ],
)
def test_a_wrong_call_says_what_was_expected(arguments, message):
    assert message in str(call(*arguments).exception)


def test_what_is_odd_about_media_is_said(tmp_path):
    """Choices and damage as notes, what cannot be used as a problem; without decoding, damage is not looked for."""
    takes = [write_sound(tmp_path / f"{n}.mka", noise(1, seed=n), RATE, "pcm_s16le") for n in range(2)]
    muxed(tmp_path / "two.mka", *takes, default=(1,))
    wavfile.write(tmp_path / "loud.wav", RATE, noise(1) * 32767)
    wavfile.write(tmp_path / "apart.wav", RATE, np.stack([noise(1), -noise(1)], axis=1))
    table = tmp_path / "clips.csv"
    names = ("two.mka", "loud.wav", "apart.wav")
    table.write_text("clip_id,path,speaker\n" + "".join(f"{name[:3]},{name},{name}\n" for name in names))
    done = call("check", "table", "--root", table)
    assert done.exit_code == 3
    assert "note       1 clip: sound: stream 2 of 2, the default (two)" in done.stdout
    assert "note       1 clip: channels in antiphase: their mean keeps 0% of their level (apa)" in done.stdout
    assert "problem    lou: wrong_scale: expected samples from -1 to 1" in done.stdout
    assert "decoded    3 clips" in done.stdout
    headers = call("check", "table", "--root", table, "--decode", 0)
    assert headers.exit_code == 0
    assert "antiphase" not in headers.stdout
    assert "stream 2 of 2" in headers.stdout


def test_names_that_may_be_one_or_none_are_pointed_out(tmp_path):
    write_wav(tmp_path / "a.wav", noise(0.5))
    rows = [("ben", "happy"), ("Ben ", "Happy"), ("nan", "hapy"), ("anna", "sad")]
    cells = "".join(f"c{n},a.wav,{speaker},{label}\n" for n, (speaker, label) in enumerate(rows))
    (tmp_path / "clips.csv").write_text("clip_id,path,speaker,label\n" + cells)
    said = json.loads(call("check", "table", "--root", tmp_path / "clips.csv", "--json").stdout)["notes"]
    assert "speaker: 'Ben' (1) and 'ben' (1) are alike" in said
    assert "class: 'Happy' (1) and 'happy' (1) are alike" in said
    assert "class: 'Happy' (1) and 'hapy' (1) are alike but for one letter" in said
    assert "speaker: 'nan' (1) reads like an empty cell" in said


def test_one_file_under_several_ids_and_paths_is_named(tmp_path):
    for n in range(3):
        write_wav(tmp_path / f"{n}.wav", noise(0.5, seed=n))
    (tmp_path / "copy.wav").write_bytes((tmp_path / "0.wav").read_bytes())
    rows = ["a1,0.wav,anna,x", "b1,copy.wav,ben,y", "c1,1.wav,cem,x", "c2,1.wav,cem,y", "d1,2.wav,dia,x"]
    (tmp_path / "clips.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]))
    notes = json.loads(call("check", "table", "--root", tmp_path / "clips.csv", "--json").stdout)["notes"]
    said = [note for note in notes if "the same media" in note]
    assert said == [
        "2 clips have the same media, speakers 'anna', 'ben': a1, b1; drawn splits keep them on one side",
        "2 clips have the same media, speaker 'cem': c1, c2; drawn splits keep them on one side",
    ]
