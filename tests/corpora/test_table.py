"""Anybody's CSV."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.corpora.table import TableCorpus


def corpus(tmp_path: Path, text: str, **labels) -> TableCorpus:
    path = tmp_path / "clips.csv"
    path.write_text(text)
    return TableCorpus(TableCorpus.Config(csv=path), TableCorpus.Labels(**labels))


def test_a_row_becomes_a_clip(tmp_path):
    text = "clip_id,path,speaker,label,start_s,end_s,group\na,v/a.mp4,anna,happy,1.5,3,film\n"
    (clip,) = corpus(tmp_path, text).clips()
    assert clip.video_path == tmp_path / "v" / "a.mp4"
    assert (clip.speaker, clip.group, clip.start_s, clip.end_s) == ("anna", "film", 1.5, 3.0)
    assert clip.audio_path == clip.video_path


def test_whether_a_path_is_sound_alone_is_for_its_streams_to_say(tmp_path):
    (clip,) = corpus(tmp_path, "clip_id,path,speaker\na,a.wav,anna\n").clips()
    assert clip.audio_path == clip.video_path == tmp_path / "a.wav"


def test_a_label_outside_the_class_list_is_named_with_the_nearest(tmp_path):
    table = corpus(
        tmp_path, "clip_id,path,speaker,label\na,a.mp4,anna,hapy\nb,b.mp4,ben,\n", classes=("happy", "sad")
    )
    wrong, absent = table.labels(table.clips())
    assert wrong.label is None
    assert "'hapy' is not in the class list (happy, sad); did you mean 'happy'?" in wrong.reason
    assert absent.reason == "no label in the table"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,pth,speaker\n", r"expected a column 'path'; did you mean 'pth'\?"),
        ("clip_id,path,speaker\n,a.mp4,anna\n", "line 2: expected a clip_id, found nothing"),
        ("clip_id,path,speaker\na,,anna\n", "line 2: a: expected a path, found nothing"),
        ("clip_id,path,speaker,start_s\na,a.mp4,anna,-1\n", "expected start_s in seconds >= 0, found '-1'"),
        ("clip_id,path,speaker,end_s\na,a.mp4,anna,nan\n", "expected end_s in seconds >= 0, found 'nan'"),
    ],
)
def test_a_bad_table_says_where_and_what(tmp_path, text, message):
    with pytest.raises(AvemoError, match=message):
        corpus(tmp_path, text).clips()


def test_classes_default_to_the_sorted_values(tmp_path):
    table = corpus(tmp_path, "clip_id,path,speaker,label\na,a.mp4,x,sad\nb,b.mp4,y,happy\nc,c.mp4,z,sad\n")
    assert table.classes == ("happy", "sad")


def test_columns_of_numbers_are_attributes_in_the_order_asked_for(tmp_path):
    text = "clip_id,path,speaker,arousal,valence\na,a.mp4,x,0.25,-1\nb,b.mp4,y,,1\nc,c.mp4,z,nan,0\n"
    table = corpus(tmp_path, text, task="attributes", columns=("valence", "arousal"))
    a, b, c = table.labels(table.clips())
    assert (table.task, table.classes) == ("attributes", ("valence", "arousal"))
    assert a.label == {"arousal": 0.25, "valence": -1.0}
    assert (b.label, b.reason) == (None, "arousal: expected a number, found ''")
    assert (c.label, c.reason) == (None, "arousal: expected a finite number, found 'nan'")


def test_bits_are_0_or_1(tmp_path):
    text = "clip_id,path,speaker,joy,fear\na,a.mp4,x,1,0\nb,b.mp4,y,0.5,0\n"
    table = corpus(tmp_path, text, task="bits", columns=("joy", "fear"))
    a, b = table.labels(table.clips())
    assert a.label == {"joy": 1.0, "fear": 0.0}
    assert (b.label, b.reason) == (None, "joy: expected 0 or 1, found '0.5'")


def test_numbers_need_columns(tmp_path):
    with pytest.raises(ValidationError, match="expected columns with task 'attributes' or 'bits'"):
        corpus(tmp_path, "", task="bits")
