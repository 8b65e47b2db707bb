"""Anybody's CSV."""

import time
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
        ("clip_id,pth,speaker\n", r"with columns \['path'\]; did you mean 'pth'\?"),
        ("clip_id,path,speaker\n,a.mp4,anna\n", "line 2: expected a clip_id, found nothing"),
        ("clip_id,path,speaker\na,,anna\n", "line 2: a: expected a path, found nothing"),
        ("clip_id,path,speaker,start_s\na,a.mp4,anna,one\n", "expected start_s in seconds, found 'one'"),
        ("clip_id,path,speaker,end_s\na,a.mp4,anna,nan\n", "expected end_s in seconds, found 'nan'"),
        ('clip_id,path,speaker,end_s\na,a.mp4,anna,"0,5"\n', "found '0,5'; write a decimal point"),
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


TABLE = "clip_id,path,speaker,label\na,a.mp4,Zoë,happy\nb,b.mp4,ben,sad\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_table_that_can_be_told_apart_is_read(tmp_path, encoding, separator, end):
    (tmp_path / "clips.csv").write_bytes(TABLE.replace(",", separator).replace("\n", end).encode(encoding))
    table = TableCorpus(TableCorpus.Config(csv=tmp_path / "clips.csv"), TableCorpus.Labels())
    clips = table.clips()
    assert [(clip.clip_id, clip.speaker) for clip in clips] == [("a", "Zoë"), ("b", "ben")]
    assert [label.label for label in table.labels(clips)] == ["happy", "sad"]


def test_what_spreadsheets_add_is_read(tmp_path):
    """Their separator's line, decimal commas, empty columns and rows, blanks, and rows cut short."""
    text = (
        "sep=;\n Clip ;;\nclip_id;path;speaker; start_s;end_s;arousal;;\na;a.mp4;anna;0,25;1,5;0,75;;\n"
        ";;;;;;;\n  b ;b.mp4; ben\t;;;-1,0\n"
    ).replace(" Clip ;;\n", "")
    table = corpus(tmp_path, text, task="attributes", columns=("arousal",))
    a, b = table.clips()
    assert (a.start_s, a.end_s) == (0.25, 1.5)
    assert (b.clip_id, b.speaker, b.start_s, b.end_s) == ("b", "ben", 0.0, None)
    assert [label.label for label in table.labels([a, b])] == [{"arousal": 0.75}, {"arousal": -1.0}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            TABLE.encode("latin-1"),
            r"line 2: expected UTF-8, found byte 0xeb, 'ë' in Windows-1252 or Latin-1; save",
        ),
        (TABLE.encode("cp1252") * 200, r"line 2: expected UTF-8, found byte 0xeb"),
        (
            TABLE.replace("a.mp4", "a, take 2.mp4").encode(),
            "line 2: expected 4 cells for 4 columns, found 5 cells",
        ),
        (TABLE.replace("ben", 'b"en').encode(), ""),
        (TABLE.replace("b.mp4", '"b.mp4').encode(), "after line 2: expected cells and whole quotes"),
        (TABLE.replace("ben", "be\0n").encode(), "line 3: expected text, found a NUL character"),
        (
            TABLE.replace("sad", "s" * 200_000).encode(),
            "after line 2: expected cells and whole quotes, found field larger",
        ),
        (b"PK\x03\x04" + bytes(100), "found an Excel workbook or a ZIP archive; save it as text"),
        (TABLE.replace("speaker", "label").encode(), r"with columns \['speaker'\]; found"),
        (TABLE.replace("path,", "path,path,").encode(), "expected one column 'path', found 2"),
        (TABLE.replace(",label", ",label,label").encode(), "expected one column 'label', found 2"),
        (b"", "found nothing"),
    ],
)
def test_what_cannot_be_told_apart_is_named_with_its_line(tmp_path, content, message):
    (tmp_path / "clips.csv").write_bytes(content)
    table = TableCorpus(TableCorpus.Config(csv=tmp_path / "clips.csv"), TableCorpus.Labels())
    if not message:
        assert len(table.clips()) == 2
        return
    with pytest.raises(AvemoError, match=message):
        table.clips()


def test_lines_are_those_of_the_file_also_after_a_cell_of_two_lines(tmp_path):
    text = 'sep=,\nclip_id,path,speaker\na,"a\nb.mp4",anna\nc,c.mp4,\n'
    with pytest.raises(AvemoError, match="line 5: expected a speaker"):
        corpus(tmp_path, text).clips()


def test_blanks_make_no_second_speaker_and_no_second_class(tmp_path):
    """Of any kind: at the ends, that cannot be seen, and letters that are composed or not."""
    text = (
        "clip_id,path,speaker,label,group\na,a.mp4,anna,happy,x\n b,b.mp4,anna ,happy , x\n"
        "c,c.mp4,\xa0anna\u200b,\thappy,\ufeffx\nd,d.mp4,Zoe\u0308,sad,y\ne,e.mp4,Zo\xeb,sad,y\n"
    )
    table = corpus(tmp_path, text)
    clips = table.clips()
    assert {clip.speaker for clip in clips} == {"anna", "Zo\xeb"}
    assert {clip.group for clip in clips} == {"x", "y"}
    assert [clip.clip_id for clip in clips] == list("abcde")
    assert table.classes == ("happy", "sad")
    assert [label.label for label in table.labels(clips)] == ["happy"] * 3 + ["sad"] * 2


@pytest.mark.parametrize(
    "cell", ["", "nan", "NaN", "N/A", "NA", "None", "none", "NULL", "null", "#N/A", "<NA>", " n/a "]
)
def test_a_cell_that_says_nothing_is_no_class(tmp_path, cell):
    table = corpus(tmp_path, f"clip_id,path,speaker,label\na,a.mp4,x,{cell}\nb,b.mp4,y,sad\n")
    assert table.classes == ("sad",)
    a, b = table.labels(table.clips())
    assert (a.label, b.label) == (None, "sad")
    assert a.reason.startswith("no label in the table")
    named = cell.strip()
    if named:
        table = corpus(tmp_path, (tmp_path / "clips.csv").read_text(), classes=("sad", named))
        assert table.labels(table.clips())[0].label == named


@pytest.mark.parametrize("name", ["Label", "LABEL", "label ", "labels", "lable", "Lábel"])
def test_a_label_column_under_a_like_name_is_asked_for(tmp_path, name):
    table = corpus(tmp_path, f"clip_id,path,speaker,{name}\na,a.mp4,x,sad\n")
    if name == "label ":
        assert table.labels(table.clips())[0].label == "sad"
        return
    with pytest.raises(AvemoError, match=f"expected a column 'label' of labels; did you mean '{name}'"):
        table.labels(table.clips())


def test_a_table_need_not_have_labels_unless_the_rule_names_their_column(tmp_path):
    text = "clip_id,path,speaker\na,a.mp4,x\n"
    table = corpus(tmp_path, text)
    assert table.labels(table.clips())[0].reason == "the table has no such column"
    for rule in ({"column": "emotion"}, {"task": "bits", "columns": ("joy",)}):
        table = corpus(tmp_path, text, **rule)
        with pytest.raises(AvemoError, match="expected a column '(emotion|joy)' of labels; found clip_id"):
            table.labels(table.clips())


def test_a_column_that_is_nearly_an_optional_one_is_pointed_out(tmp_path):
    table = corpus(tmp_path, "clip_id,path,speaker,Group,end\na,a.mp4,x,g,1\n")
    assert table.notes() == [
        "column 'Group' is not read; did you mean 'group'?",
        "column 'end' is not read; did you mean 'end_s'?",
    ]


def test_columns_that_nothing_else_reads_are_facts_of_the_clips(tmp_path):
    text = "clip_id,path,speaker,label,sex,split,intensity\na,a.mp4,x,sad, female ,train,low\nb,b.mp4,y,happy,,test,\n"
    table = corpus(tmp_path, text)
    a, b = table.labels(table.clips())
    assert (a.intensity, b.intensity) == ("low", "")
    assert (a.facts, b.facts) == ({"sex": "female", "split": "train"}, {"sex": "", "split": "test"})


HEAD = "clip_id,path,speaker,group,label,start_s\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            f"a,a.mp4,{'x' * 100_000},g,happy,0",
            r"line 2: expected at most 5000 characters in column 'speaker', found 100000",
        ),
        (
            f"a,{'x' * 20_000},s,g,happy,0",
            "line 2: expected at most 5000 characters in column 'path', found 20000",
        ),
        (f"a,a.mp4,s,g,happy,{'1' * 6000}", "line 2: expected at most 5000 characters in column 'start_s'"),
        (
            f"a,a.mp4,{'x' * 201},g,happy,0",
            "line 2: expected a speaker of at most 200 characters in one line",
        ),
        (f"a,a.mp4,s,{'x' * 201},happy,0", "line 2: expected a group of at most 200 characters"),
        (f"a,a.mp4,s,g,{'x' * 201},0", "line 2: expected a label of at most 200 characters"),
        ('a,a.mp4,"s\nt",g,happy,0', "line 3: expected a speaker .*found 3, 's.nt'"),
        ("a,a.mp4,s,g,\x1b[2Jhappy,0", "line 2: expected a label"),
        ("a,a.mp4,s,g\u2028h,happy,0", "expected a group"),
    ],
)
def test_a_cell_that_no_line_can_show_is_refused_by_line_and_column_at_once(tmp_path, row, message):
    begin = time.monotonic()
    with pytest.raises(AvemoError, match=message) as refused:
        corpus(tmp_path, HEAD + row + "\n").clips()
    assert time.monotonic() - begin < 1
    assert len(str(refused.value)) < 500 + len(str(tmp_path))


def test_names_of_any_script_are_names(tmp_path):
    names = ["محمد\u200cرضا", "表情", "Zoë O'Neil-Šmíd", "👩\u200d🔬"]
    rows = "".join(f"{n},a.mp4,{name},g,happy,0\n" for n, name in enumerate(names))
    assert [clip.speaker for clip in corpus(tmp_path, HEAD + rows).clips()] == names


def test_a_table_without_a_row_is_no_corpus(tmp_path):
    for rows in ("", "\n", ",,,,,\n , ,\n"):
        with pytest.raises(
            AvemoError, match="clips.csv: expected a row for each clip, found column names alone"
        ):
            corpus(tmp_path, HEAD + rows).clips()


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04", "an Excel workbook or a ZIP archive"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"PAR1", "a Parquet file"),
    ],
)
def test_a_file_that_is_no_text_is_named_for_what_it_is(tmp_path, head, what):
    table = corpus(tmp_path, "")
    table.path.write_bytes(head + bytes(range(256)))
    with pytest.raises(AvemoError, match=f"clips.csv: expected a text, found {what}"):
        table.clips()
