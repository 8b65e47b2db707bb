"""The page: complete, escaped, and loading nothing from outside."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Classes
from avemo.report import figures, page, tables
from avemo.report.scores import honesty_check

ORDER = ["auxformer", "av_ladder", "mult", "early_fusion"]
CLASSES = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
TASK = Classes(CLASSES)
NOTES = [{"kind": "synthetic", "text": "faces & voices"}, {"kind": "random weights", "text": "seed 0"}]
HOSTILE = "<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\nnot a picture"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """All start tags; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def context(
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    predictions: pd.DataFrame,
    history: pd.DataFrame,
    clips: pd.DataFrame,
    costs: pd.DataFrame,
) -> page.Context:
    hostile = clips.replace({"clip_id": {"c000": HOSTILE}})
    made = [
        tables.main_table(scores, tests, ORDER, TASK, NOTES),
        tables.missing_modality_table(scores, ORDER, TASK, NOTES),
        tables.tests_table(tests, ORDER, TASK, NOTES),
        tables.per_class_table(predictions, scores, ORDER, TASK, NOTES),
        tables.costs_table(costs, ORDER, NOTES),
        tables.clip_status_table(hostile, NOTES),
        tables.failed_clips_table(hostile, NOTES),
        tables.plain_table("an_extra_one", "Extra", "Not in any section.", costs, NOTES),
    ]
    charts = [
        figures.systems_comparison(scores, ORDER, TASK, NOTES),
        figures.training_curves(history, ORDER, TASK, NOTES),
    ]
    return page.Context(
        **{
            "run": f"run {HOSTILE}",
            "corpus": "demo",
            "order": ORDER,
            "task": TASK,
            "honesty": honesty_check(scores, TASK),
        },
        **{"tests": tests, "tables": made, "charts": charts, "notes": NOTES, "contact_sheet": PNG},
        **{"config_yaml": f"run: {HOSTILE}\n", "versions": {"torch": "2.11.0"}, "hardware": {"gpu": "none"}},
        **{"fingerprints": {"splits": "0a1b"}, "commands": ["make demo"]},
    )


@pytest.fixture(scope="module")
def html(context: page.Context) -> str:
    return page.render(context)


def test_nothing_is_loaded_from_outside(html: str) -> None:
    reader = Reader(html)
    for tag, attrs in reader.found:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "srcset", "action", "data"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
    assert "@import" not in html
    assert "url(" not in html


def test_hostile_names_are_text(html: str) -> None:
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # title, heading, config, failed clip
    assert html.count("faces &amp; voices") == 1


def test_every_table_and_chart_appears_once(html: str, context: page.Context) -> None:
    ids = [attrs["id"] for _, attrs in Reader(html).found if "id" in attrs]
    assert len(ids) == len(set(ids))
    expected = {f"table-{table.name}" for table in context.tables}
    expected |= {f"figure-{chart.name}" for chart in context.charts} | {"figure-contact_sheet"}
    assert expected <= set(ids)
    links = {attrs["href"] for attrs in Reader(html).all("a")}
    assert links <= {f"#{name}" for name in ids}


def test_pictures_and_their_words(html: str, context: page.Context) -> None:
    images = Reader(html).all("img")
    assert all(image["alt"] for image in images)
    sources = [base64.b64decode((image["src"] or "").split(",")[1]) for image in images]
    assert sources == [*(chart.svg for chart in context.charts), PNG]
    assert len(Reader(html).all("figcaption")) == len(images)


def test_notes_stand_everywhere(html: str, context: page.Context) -> None:
    shown = len(context.tables) + len(context.charts) + 1 + len(ORDER)  # and contact sheet, honesty cards
    assert html.count('<span class="note">synthetic corpus · random weights</span>') == shown


def test_provenance_is_complete(html: str) -> None:
    text = Reader(html).text
    for expected in ("2.11.0", "none", "0a1b", "make demo", "Resolved config of the run"):
        assert expected in text


def test_summary_counts_wins_and_names_the_better(context: page.Context, scores: pd.DataFrame) -> None:
    found = page.summary(context)
    means = scores.query("modality=='av' and metric=='macro_f1'").groupby("system")["value"].mean()
    assert f"auxformer reaches {100 * means['auxformer']:.1f} %" in found
    assert f"{100 * (means['auxformer'] - means['chance']):.1f} points above" in found
    part = context.tests.query("modality=='av' and metric=='macro_f1'")
    assert f"{(part['p'] < 0.05).sum()} of 3 other systems" in found
    assert f"of {(part['p_corrected'] < 0.05).sum()}." in found
    assert means["mult"] > means["auxformer"]
    assert f"mult scores higher: {100 * means['mult']:.1f} %" in found


def test_failed_honesty_is_shown(context: page.Context) -> None:
    rows = [dict(row) for row in context.honesty]
    rows[0] |= {"margin": -0.031, "passed": False}
    poor = replace(context, honesty=rows, notes=(), tests=context.tests.head(0))
    html = page.render(poor)
    assert html.count('class="card failed"') == 1
    assert html.count("✗ not passed") == 1
    assert "3.1 points below the better baseline" in html
    assert "No test compares it" in html
    assert "Read with care" not in html


def test_errors(context: page.Context) -> None:
    with pytest.raises(AvemoError, match="main"):
        page.render(replace(context, tables=[*context.tables, context.tables[0]]))
    with pytest.raises(AvemoError, match="honesty check"):
        page.render(replace(context, order=["vavl"]))
