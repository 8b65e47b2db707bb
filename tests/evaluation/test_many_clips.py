"""Many clips as a table: every clip has a row, and what was computed once is not computed again."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from avemo.base.contracts import AvemoError, ClipFailure, ConfigError, Status
from avemo.cli import main
from avemo.evaluation.clip_list import Asked, asked_for, check_windows, cut, window_starts
from avemo.evaluation.many_clips import CSV, JOURNAL, PARQUET, _failed, answers, table_of
from avemo.evaluation.predictor import Predictor, open_predictor
from avemo.report.timeline import timeline
from avemo.study.study import read_run
from made_run import make_run
from media_factory import write_wav

RATE = 16_000


def tone(seconds: float, hz: float = 220) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "run")


@pytest.fixture
def clips(tmp_path) -> Path:
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    write_wav(folder / "a.wav", tone(1))
    write_wav(folder / "more" / "b.wav", tone(1, 440))
    (folder / "broken.wav").write_bytes(b"RIFF and nothing more")
    write_wav(folder / "short.wav", tone(0.01))
    (folder / "notes.txt").write_text("no media")
    (folder / ".hidden.wav").write_bytes(b"")
    return folder


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Ids of the clips whose features are computed; a file that cannot be opened has none."""
    found: list[str] = []
    real = Predictor.predict

    def predict(self, clip):
        found.append(clip.clip_id)
        return real(self, clip)

    monkeypatch.setattr(Predictor, "predict", predict)
    return found


def avemo(monkeypatch, capsys, *arguments) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["avemo", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out + said.err


def test_a_folder_gives_a_row_a_clip_and_failures_say_what_to_do(
    tmp_path, run, clips, counted, monkeypatch, capsys
):
    out = tmp_path / "out"
    code, said = avemo(monkeypatch, capsys, "predict", clips, "--run", run, "--out", out)
    assert code == 3
    assert "1 files are no media by name" in said
    assert "4 of 4 rows, 0 known before, 2 failed" in said
    table = pd.read_parquet(out / PARQUET).set_index("clip_id")
    assert list(table.index) == ["a.wav", "broken.wav", "more/b.wav", "short.wav"]
    fine = table[table.status == "ok"]
    assert list(fine.index) == ["a.wav", "more/b.wav"]
    assert np.allclose(fine.p_calm + fine.p_loud, 1)
    assert (fine.models == 2).all()
    assert (fine.calibrated == 2).all()
    assert set(fine.modalities) == {"audio"}
    for name, row in fine.iterrows():
        assert row.prediction == max(("calm", "loud"), key=lambda one: row[f"p_{one}"])
        alone = open_predictor(run, read_run(run), "a").predict(Asked("x", clips / name).clip())
        assert alone.values == {"calm": row.p_calm, "loud": row.p_loud}
    lost = table[table.status != "ok"]
    assert lost.prediction.isna().all()
    assert lost.p_calm.isna().all()
    assert (lost.reason.str.len() > 0).all()
    assert (lost.remedy.str.len() > 0).all()
    assert "signal too short" in lost.reason["short.wav"]
    as_csv = pd.read_csv(out / CSV).set_index("clip_id")
    texts = ["reason", "remedy", "modalities", "notes", "caution"]
    as_csv[texts] = as_csv[texts].astype(object).fillna("")
    pd.testing.assert_frame_equal(as_csv, table, check_dtype=False, check_exact=True)


def test_a_rerun_computes_what_is_new_or_changed_alone(tmp_path, run, clips, counted, monkeypatch, capsys):
    arguments = ("predict", clips, "--run", run, "--out", tmp_path / "out")
    avemo(monkeypatch, capsys, *arguments)
    first = pd.read_parquet(tmp_path / "out" / PARQUET).set_index("clip_id")
    counted.clear()
    assert "4 known before" in avemo(monkeypatch, capsys, *arguments)[1]
    assert counted == []
    # Under another name the same bytes are known, and their reason names where they are now.
    shutil.move(clips / "broken.wav", clips / "torn.wav")
    write_wav(clips / "a.wav", tone(1, 300))
    write_wav(clips / "c.wav", tone(1, 500))
    avemo(monkeypatch, capsys, *arguments)
    assert counted == ["a.wav", "c.wav"]
    table = pd.read_parquet(tmp_path / "out" / PARQUET).set_index("clip_id")
    assert table.p_calm["a.wav"] != first.p_calm["a.wav"]
    assert table.p_calm["more/b.wav"] == first.p_calm["more/b.wav"]
    assert str(clips / "torn.wav") in table.reason["torn.wav"]
    counted.clear()
    avemo(monkeypatch, capsys, *arguments, "--system", "b")
    assert counted == ["a.wav", "c.wav", "more/b.wav", "short.wav"]


def test_ctrl_c_keeps_what_is_done(tmp_path, run, clips, counted, monkeypatch, capsys):
    real, arguments = Predictor.predict, ("predict", clips, "--run", run, "--out", tmp_path / "out")

    def interrupted(self, clip):
        if clip.clip_id == "more/b.wav":
            raise KeyboardInterrupt
        return real(self, clip)

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict", interrupted)
        code, said = avemo(patched, capsys, *arguments)
    assert code == 130
    assert "2 of 4 rows" in said
    assert list(pd.read_parquet(tmp_path / "out" / PARQUET).clip_id) == ["a.wav", "broken.wav"]
    counted.clear()
    avemo(monkeypatch, capsys, *arguments)
    assert counted == ["more/b.wav", "short.wav"]
    assert len(pd.read_parquet(tmp_path / "out" / PARQUET)) == 4


def test_a_line_that_a_kill_cut_is_computed_again(tmp_path, run, clips, counted):
    predictor = open_predictor(run, read_run(run), "a")
    asked = asked_for(clips).clips
    first = table_of(list(answers(asked, predictor, tmp_path / "out")), predictor)
    journal = tmp_path / "out" / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-20])
    counted.clear()
    again = table_of(list(answers(asked, predictor, tmp_path / "out")), predictor)
    assert counted == ["short.wav"]
    pd.testing.assert_frame_equal(again, first)


def test_a_file_that_was_not_there_is_looked_for_again(tmp_path, run, counted):
    predictor = open_predictor(run, read_run(run), "a")
    asked = [Asked("late", tmp_path / "late.wav")]
    (row,) = answers(asked, predictor, tmp_path / "out")
    assert row.kept["status"] == "missing_file"
    write_wav(tmp_path / "late.wav", tone(1))
    (row,) = answers(asked, predictor, tmp_path / "out")
    assert row.kept["status"] == "ok"


def test_what_is_less_than_real_stands_in_every_row(tmp_path, clips, monkeypatch, capsys):
    run = make_run(tmp_path / "random", "random-seed-2")
    _code, said = avemo(monkeypatch, capsys, "predict", clips, "--run", run, "--out", tmp_path / "out")
    assert "random weights" in said
    table = pd.read_parquet(tmp_path / "out" / PARQUET)
    assert len(table) == 4
    assert table.caution.str.contains("random weights").all()


@pytest.mark.parametrize(
    ("task", "columns"), [("bits", ["p_calm", "prediction_calm"]), ("attributes", ["prediction_arousal"])]
)
def test_other_tasks_have_columns_of_their_own(tmp_path, clips, task, columns):
    run = make_run(tmp_path / "other", task=task)
    predictor = open_predictor(run, read_run(run), "a")
    table = table_of(list(answers(asked_for(clips).clips, predictor, tmp_path / "out")), predictor)
    assert set(columns) <= set(table)
    fine = table[table.status == "ok"]
    alone = predictor.predict(Asked("x", clips / "a.wav").clip()).values
    assert fine[columns[0]].iloc[0] == alone[predictor.task.names[0]]
    if task == "bits":
        assert fine.prediction_calm.iloc[0] == int(alone["calm"] > 0.5)
        assert table.prediction_calm.isna().sum() == 2


def test_lists_name_files_and_intervals(tmp_path, clips):
    listed = clips / "list.csv"
    listed.write_text("path;start_s;end_s;clip_id\na.wav;0,25;0,75;x\nmore/b.wav;;;y\n")
    assert asked_for(listed).clips == [
        Asked("x", clips / "a.wav", 0.25, 0.75),
        Asked("y", clips / "more/b.wav"),
    ]
    frame = pd.DataFrame({"path": ["a.wav", "more/b.wav"], "start_s": [0.25, None]})
    frame.to_parquet(clips / "list.parquet")
    assert asked_for(clips / "list.parquet").clips == [
        Asked("a.wav", clips / "a.wav", 0.25),
        Asked("more/b.wav", clips / "more/b.wav"),
    ]
    (clips / "list.txt").write_text("a.wav\n\nmore/b.wav\n")
    assert [one.clip_id for one in asked_for(clips / "list.txt").clips] == ["a.wav", "more/b.wav"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path\na.wav\na.wav\n", "expected each clip_id once, found a.wav"),
        ("path,start_s\na.wav,soon\n", "line 2: expected start_s in seconds, found 'soon'"),
        ("path,start_s,end_s\na.wav,2,1\n", "line 2: expected end_s after start_s, found 2.0 to 1.0"),
        ("path,start_s\na.wav,-1\n", "line 2: expected start_s in seconds"),
        ("path,clip_id\n,x\n", "line 2: expected a path, found none"),
        ("file\na.wav\n", "path"),
    ],
)
def test_a_list_that_is_wrong_is_refused_by_line(tmp_path, text, said):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(AvemoError, match=said):
        asked_for(tmp_path / "list.csv")


def test_what_is_wrong_with_a_file_comes_before_what_it_lacks(tmp_path):
    lacking = ClipFailure(Status.no_audio, "c", "no sound")
    torn = ClipFailure(Status.truncated, "c", "torn")
    for failures in ([lacking, torn], [torn, lacking]):
        kept = _failed(failures, Asked("c", tmp_path / "c.mp4"))
        assert kept["status"] == "truncated"
        assert "no_audio: no sound" in kept["reason"]


def test_a_list_in_another_encoding_is_refused_by_line(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.wav\nb\xe9.wav\n")
    with pytest.raises(AvemoError, match="list.txt, line 2: expected UTF-8, found byte 0xe9"):
        asked_for(tmp_path / "list.txt")


def test_a_clip_that_is_not_there_has_a_row(tmp_path, run, clips, monkeypatch, capsys):
    (clips / "list.csv").write_text("path,start_s,end_s\na.wav,,\ngone.wav,,\nmore/b.wav,9,\n")
    out = tmp_path / "out"
    code, said = avemo(monkeypatch, capsys, "predict", clips / "list.csv", "--run", run, "--out", out)
    assert code == 3
    assert "3 of 3 rows, 0 known before, 2 failed" in said
    table = pd.read_parquet(out / PARQUET).set_index("clip_id")
    assert table.status["gone.wav"] == "missing_file"
    assert str(clips / "gone.wav") in table.reason["gone.wav"]
    assert table.status["more/b.wav"] not in ("ok", "missing_file")


def test_folders_behind_links_are_looked_into_once_and_a_link_to_nowhere_has_a_row(tmp_path, run, clips):
    (tmp_path / "else").mkdir()
    write_wav(tmp_path / "else" / "c.wav", tone(1, 330))
    (clips / "link").symlink_to(tmp_path / "else")
    (tmp_path / "else" / "round").symlink_to(clips)
    (clips / "nowhere.wav").symlink_to(tmp_path / "gone.wav")
    names = [one.clip_id for one in asked_for(clips).clips]
    assert names == ["a.wav", "broken.wav", "link/c.wav", "more/b.wav", "nowhere.wav", "short.wav"]
    predictor = open_predictor(run, read_run(run), "a")
    found = {
        one.asked.clip_id: one.kept["status"]
        for one in answers(asked_for(clips).clips, predictor, tmp_path / "o")
    }
    assert found["link/c.wav"] == "ok"
    assert found["nowhere.wav"] == "missing_file"


def test_a_folder_that_is_closed_is_named_and_not_passed_over(clips, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("more"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="clips/more"):
        asked_for(clips)


def test_a_name_that_is_no_text_has_a_row_as_others(tmp_path, run, monkeypatch, capsys):
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    write_wav(folder / "a.wav", tone(1))
    (folder / "a.wav").rename(folder / os.fsdecode(b"\xe9.wav"))
    code, said = avemo(monkeypatch, capsys, "predict", folder, "--run", run, "--out", out)
    assert code == 0, said
    assert list(pd.read_parquet(out / PARQUET).clip_id) == ["\\xe9.wav"]
    assert pd.read_csv(out / CSV).path[0].endswith("clips/\\xe9.wav")


def test_a_folder_without_media_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(AvemoError, match="expected sound or video, found none among 1 files"):
        asked_for(tmp_path)


@pytest.mark.parametrize(
    ("duration_s", "length_s", "step_s"), [(60, 4, 2), (7.3, 3, 1), (3.0005, 3, 3), (61.7, 5, 5)]
)
def test_windows_leave_no_moment_out(duration_s, length_s, step_s):
    found = window_starts(duration_s, length_s, step_s)
    assert found[0] == 0
    assert found[-1] + length_s == pytest.approx(duration_s, abs=1e-3)
    for a, b in itertools.pairwise(found):
        assert 1e-3 < b - a <= step_s + 1e-3


def test_windows_that_are_none_are_refused():
    for length_s, step_s in ((0.0, 1.0), (float("nan"), 1.0), (2.0, 0.0), (2.0, 3.0)):
        with pytest.raises(ConfigError, match="--window|--step"):
            check_windows(length_s, step_s)


def test_a_window_answers_as_the_same_seconds_cut_out(tmp_path, run):
    sound = np.concatenate([tone(1), tone(1, 440), tone(0.5, 880)])
    recording = Asked("r", write_wav(tmp_path / "r.wav", sound))
    parts = cut([recording], 1.0, 1.0)
    assert [(one.start_s, one.end_s) for one in parts] == [(0.0, 1.0), (1.0, 2.0), (1.5, None)]
    predictor = open_predictor(run, read_run(run), "a")
    for one, begin in zip(parts, (0, RATE, 3 * RATE // 2), strict=True):
        alone = write_wav(tmp_path / "alone.wav", sound[begin : begin + RATE])
        expected = predictor.predict(Asked("alone", alone).clip()).values
        assert predictor.predict(one.clip()).values == pytest.approx(expected, abs=1e-6)


def test_windows_of_a_listed_interval_stay_inside_it(tmp_path):
    recording = Asked("r", write_wav(tmp_path / "r.wav", tone(4)), 1.0, 3.5)
    assert [(one.start_s, one.end_s) for one in cut([recording], 1.0, 1.0)] == [
        (1.0, 2.0),
        (2.0, 3.0),
        (2.5, 3.5),
    ]


def test_long_recordings_get_rows_with_times_and_a_figure(tmp_path, run, monkeypatch, capsys):
    write_wav(tmp_path / "r $1.wav", np.concatenate([tone(1), tone(1.5, 440)]))
    out = tmp_path / "out"
    arguments = ("predict", tmp_path / "r $1.wav", "--run", run, "--out", out, "--window", 1)
    code, said = avemo(monkeypatch, capsys, *arguments)
    assert code == 0, said
    table = pd.read_parquet(out / PARQUET)
    assert list(table.start_s) == [0.0, 0.5, 1.0, 1.5]
    assert table.end_s.isna().sum() == 1
    (figure,) = (out / "timelines").iterdir()
    assert figure.name.startswith("r_1-")
    assert "<svg" in figure.read_text()
    assert "4 known before" in avemo(monkeypatch, capsys, *arguments)[1]


def test_a_figure_marks_windows_without_an_answer(tmp_path, run):
    predictor = open_predictor(run, read_run(run), "a")
    sound = write_wav(tmp_path / "r.wav", tone(3))
    parts = [Asked("r", sound, 0, 1), Asked("r", sound, 1, 1.01), Asked("r", sound, 2, None)]
    table = table_of(list(answers(parts, predictor, tmp_path / "out")), predictor)
    assert list(table.status != "ok") == [False, True, False]
    chart = timeline(table, predictor.task, 3.0, [{"kind": "random weights", "text": "x"}])
    assert "1 without an answer" in chart.caption
    assert "random weights" in chart.caption


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--step", "1"), "--step: expected --window with it"),
        ((), "expected --out with a folder"),
        (("--out", "o", "--json"), "--json: expected without --out"),
        (("--out", "o", "--window", "0"), "--window: expected at least 0.1 s"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, clips, monkeypatch, capsys, arguments, said):
    code, told = avemo(monkeypatch, capsys, "predict", clips, "--run", run, *arguments)
    assert code == 2
    assert said in told


def test_a_folder_of_other_things_is_not_written_to(run, clips, monkeypatch, capsys):
    code, said = avemo(monkeypatch, capsys, "predict", clips, "--run", run, "--out", clips)
    assert code == 1
    assert "expected a new or empty folder" in said
    assert not (clips / CSV).exists()


def test_a_bundle_is_made_and_read_by_the_commands(tmp_path, run, clips, monkeypatch, capsys):
    bundle = tmp_path / "b.zip"
    monkeypatch.setattr(sys, "argv", ["avemo", "bundle", "--run", str(run), "--out", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert "README.md in it" in capsys.readouterr().out
    told = [
        json.loads(avemo(monkeypatch, capsys, "predict", clips / "a.wav", "--run", place, "--json")[1])
        for place in (run, bundle)
    ]
    assert told[0] == told[1]
    assert told[0]["models"] == ["split00", "split01"]
    # A run and its bundle know each other's rows.
    out = tmp_path / "out"
    avemo(monkeypatch, capsys, "predict", clips, "--run", run, "--out", out)
    assert "4 known before" in avemo(monkeypatch, capsys, "predict", clips, "--run", bundle, "--out", out)[1]


def test_weights_that_changed_stop_everything_and_are_no_clips_failure(tmp_path, clips):
    run = make_run(tmp_path / "weighted", "file")
    path = tmp_path / "weighted" / "lab" / "network.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    predictor = open_predictor(run, read_run(run), "a")
    with pytest.raises(AvemoError, match="expected the weights that") as caught:
        list(answers(asked_for(clips).clips, predictor, tmp_path / "out"))
    assert not isinstance(caught.value, ClipFailure)
