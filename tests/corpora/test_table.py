"""Anybody's CSV."""

from pathlib import Path

import pytest

from pipeline.contracts import AvemoError
from pipeline.corpora.table import TableCorpus


def corpus(tmp_path: Path, text: str, **labels) -> TableCorpus:
    path = tmp_path / "clips.csv"
    path.write_text(text)
    return TableCorpus(TableCorpus.Config(csv=path), TableCorpus.Labels(**labels))


def test_a_row_becomes_a_clip(tmp_path):
    text = "clip_id,path,speaker,label,start_s,end_s,group\na,v/a.mp4,anna,happy,1.5,3,film\n"
    (clip,) = corpus(tmp_path, text).clips()
    assert clip.video_path == tmp_path / "v" / "a.mp4"
    assert (clip.speaker, clip.group, clip.start_s, clip.end_s) == ("anna", "film", 1.5, 3.0)
    assert clip.audio_path is None


def test_sound_alone_is_no_video(tmp_path):
    (clip,) = corpus(tmp_path, "clip_id,path,speaker\na,a.wav,anna\n").clips()
    assert clip.video_path is None
    assert clip.audio_path == tmp_path / "a.wav"


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
