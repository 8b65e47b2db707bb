"""The run's page and a paper's, in Chromium: on a desk, a phone, in the dark and in print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from avemo.cli.paper import write_paper
from avemo.report import page
from avemo.study.config import read_config
from avemo.study.study import resolve_study
from browser import Browser, started
from page_checks import ACROSS, DESK, PHONE, faults

FIRST_SCREEN = 900
"""Height of a laptop's window in CSS pixels."""
QUESTIONS = ["Which system?", "How much better?", "Is it real?", "Can I trust it?", "What next?"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def report(context: page.Context, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run") / "report.html"
    path.write_text(page.render(context))
    return path


@pytest.fixture(scope="module")
def paper(repository, tmp_path_factory) -> Path:
    """AuxFormer's paper, of which nothing is done: its tables are the widest."""
    folder = tmp_path_factory.mktemp("paper")
    study = resolve_study(
        read_config(repository / "config" / "papers" / "auxformer.yaml") | {"results": str(folder)}
    )
    study.folder.mkdir()
    (study.folder / "paper.json").write_text(json.dumps(study.record()))
    write_paper(study.folder)
    return study.folder / "paper.html"


@pytest.mark.parametrize("which", ["report", "paper"])
def test_a_page_is_whole_and_can_be_read_on_a_desk_a_phone_in_the_dark_and_in_print(browser, request, which):
    assert faults(browser, request.getfixturevalue(which), ACROSS) == []


def test_tables_that_are_too_wide_for_a_phone_scroll_by_themselves(browser, paper):
    browser.show_as()
    browser.open(paper)
    browser.resize(PHONE)
    wide = browser.run(
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => { e.scrollLeft = 50; return e.scrollLeft; })"
    )
    assert wide
    assert set(wide) == {50}


def test_the_first_screen_holds_the_five_answers(browser, report):
    browser.show_as()
    browser.resize(DESK, FIRST_SCREEN)
    browser.open(report)
    assert browser.run("[...document.querySelectorAll('.answer h2')].map(e => e.textContent)") == QUESTIONS
    lowest = browser.run(
        "Math.max(...[...document.querySelectorAll('.answer')].map(e => e.getBoundingClientRect().bottom))"
    )
    assert lowest <= FIRST_SCREEN


def test_a_page_prints(browser, report):
    browser.show_as()
    browser.open(report)
    assert browser.pdf().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script>nothing.here()</script>", "ReferenceError"),
        ("<img src='absent.png' alt='x'>", "not loaded"),
        ("<a href='#nowhere'>x</a>", "#nowhere"),
        ("<a href='other.html#there'>x</a>", "other.html#there"),
        ("<p style='color: #aaa'>faint</p>", "faint"),
        ("<table><tr><td style='min-width: 900px'>wide</td></tr></table>", "wide"),
        (
            "<style>@media (prefers-color-scheme: dark) { body { background: #222 } }</style><p>dark on dark</p>",
            "dark on",
        ),
    ],
)
def test_the_checks_find_what_is_wrong(browser, tmp_path, html, complaint):
    path = tmp_path / "page.html"
    path.write_text(f"<!DOCTYPE html><html lang=en><meta charset=utf-8><body><main>{html}</main>")
    assert any(complaint in fault for fault in faults(browser, path))
