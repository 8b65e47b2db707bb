"""A run's progress as people see it, from hand-made rows."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from avemo.cli.overview import draw
from avemo.progress.status import Progress
from avemo.progress.view import MOST_FAILURES, changed, eta_s, failures, lines, table

AUDIO = Progress("audio", "lld-1", 8, 3, 2, 0, {}, 100, 40, 2.0, 30.0, 20.0, 19.0)


def failed(n: int) -> Progress:
    return Progress("train", "mult", 9, 0, 0, n, {f"log{i}": ["CUDA [out] of memory"] for i in range(n)})


def printed(rows, **how) -> str:
    console = Console(file=io.StringIO(), width=110, force_terminal=True, color_system=None, **how)
    console.print(table("demo", rows))
    return console.file.getvalue()


def test_time_left_is_shared_by_the_jobs_at_once():
    assert eta_s(AUDIO) == 15
    text = printed([AUDIO])
    (row,) = [line for line in text.splitlines() if line.startswith("audio")]
    assert row.split()[-6:] == ["40/100", "4.0", "15", "s", "19", "s"]
    assert "3/8" in row


def test_the_end_of_a_failed_log_is_shown_as_it_is():
    text = printed([failed(1)])
    assert "failed: log0" in text
    assert "CUDA [out] of memory" in text


@pytest.mark.parametrize("markup", [True, False])
def test_failures_are_counted_in_their_column(markup):
    (row,) = [line for line in printed([failed(2)], markup=markup).splitlines() if line.startswith("train")]
    assert row.split()[-2:] == ["0/9", "2"]


def test_many_failures_are_counted_not_listed():
    told = list(failures([failed(MOST_FAILURES + 4)]))
    assert len(told) == 2 * MOST_FAILURES + 1
    assert told[-1].startswith("and 4 more failed jobs")


def test_plain_lines_say_the_same():
    (line,) = lines([AUDIO])
    assert line == (
        "  audio lld-1: 3 of 8 done, 2 running, 40 of 100 clips, 2.00 clips/s a job, "
        "15 s left with 2 at once, cost 19 s of CPU"
    )


@pytest.mark.parametrize(("before", "found"), [([], [AUDIO]), ([AUDIO], []), ([failed(1)], [AUDIO])])
def test_only_what_has_changed_is_told_again(before, found):
    assert changed([AUDIO], before) == found
    assert changed([Progress("train", "mult", 9, 0, 0, 0, {})], []) == []


def test_a_picture_shows_the_view_and_fetches_nothing(tmp_path):
    draw(tmp_path / "status.svg", "avemo status", table("demo", [AUDIO]), "a [plain] line")
    picture = (tmp_path / "status.svg").read_text()
    assert "40/100" in picture
    assert "[plain]" in picture
    assert "url(&#" not in picture
    assert "http" not in re.sub(r'xmlns="[^"]*"|<!--.*?-->', "", picture)
