"""Progress, curves and traces of a training under way."""

from __future__ import annotations

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from avemo.cli import watching
from avemo.cli.watching import Lines
from avemo.training.profiled import ProfiledData
from training_standins import SHORT, TASK, ToyData, run_tiny

ROW = {"epoch": 1, "lr": 0.1, "train_total": 1.5, "dev_loss": 1.25, "dev_macro_f1": 0.5, "seconds": 2.0}


def test_lines_say_how_long_it_still_takes(capsys):
    lines = Lines(TASK)
    lines(1, 4, ROW)
    lines(2, 4, ROW | {"seconds": 4.0})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "epoch 1 of 4: train 1.5000, dev loss 1.2500, dev macro-F1 0.500, 2.0 s, 6 s left"
    assert second.endswith("4.0 s, 6 s left")


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(watching.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    with watching.watching("mult, split00", TASK) as tell:
        tell(1, 4, ROW)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "mult, split00" in shown.err
    assert "1/4" in shown.err
    assert "dev macro-F1 0.500" in shown.err


def test_curves_hold_every_number_of_the_history(tmp_path):
    with watching.watching("tiny", TASK, tmp_path / "curves") as tell:
        _, result = run_tiny(tmp_path / "run", progress=tell)
    curves = EventAccumulator(str(tmp_path / "curves")).Reload()
    for tag, column in (("dev/loss", "dev_loss"), ("train/total", "train_total"), ("lr", "lr")):
        found = [(event.step, event.value) for event in curves.Scalars(tag)]
        assert [step for step, _ in found] == [1, 2, 3, 4, 5]
        assert [value for _, value in found] == pytest.approx([row[column] for row in result.history])


def test_trace_shows_the_operators_and_changes_no_number(tmp_path):
    _, plain = run_tiny(tmp_path / "plain")
    _, profiled = run_tiny(tmp_path / "profiled", SHORT, ProfiledData(ToyData(), tmp_path / "trace.json"))
    assert [row["dev_loss"] for row in plain.history] == [row["dev_loss"] for row in profiled.history]
    names = {event.get("name") for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]}
    assert {"aten::linear", "Optimizer.step#Adam.step"} <= names
