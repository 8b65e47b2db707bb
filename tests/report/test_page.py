"""The page: complete, escaped, and loading nothing from outside."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from avemo.base.contracts import AvemoError
from avemo.evaluation.audit import Finding
from avemo.report import page
from avemo.report.formatting import signed
from avemo.report.opening import Answer

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
    assert "<script>" not in html
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
    assert sources == [*(chart.svg for chart in context.charts), context.contact_sheet]
    assert len(Reader(html).all("figcaption")) == len(images)


def test_notes_stand_everywhere(html: str, context: page.Context) -> None:
    shown = (
        len(context.tables) + len(context.charts) + 1 + len(context.order)
    )  # and contact sheet, honesty cards
    assert html.count('<span class="note">synthetic corpus · random weights</span>') == shown


def test_provenance_is_complete(html: str) -> None:
    text = Reader(html).text
    for expected in ("2.11.0", "none", "0a1b", "make demo", "Resolved config of the run"):
        assert expected in text


def answers(context: page.Context) -> dict[str, Answer]:
    """What the first screen says, by question."""
    return {answer.question: answer for answer in page._opening(context, {"errors"})}


def test_the_first_screen_answers_what_a_reader_asks(context: page.Context, scores: pd.DataFrame) -> None:
    found = answers(context)
    means = scores.query("modality=='av' and metric=='macro_f1'").groupby("system")["value"].mean()
    assert means["mult"] > means["auxformer"]
    assert found["Which system?"].short == "mult"
    assert f"{100 * means['mult']:.1f} %" in found["Which system?"].sentences[0]
    assert (
        f"auxformer, which tests compare with all others, has {100 * means['auxformer']:.1f} %"
        in (found["Which system?"].sentences[1])
    )
    part = context.tests.query("modality=='av' and metric=='macro_f1'").set_index("system")
    apart = f"+{100 * (means['mult'] - means['auxformer']):.1f} points"
    assert found["How much better?"].short == f"{apart}, could be none"
    assert part.loc["mult", "ci_low"] < 0 < part.loc["mult", "ci_high"]
    interval, tested, above = found["How much better?"].sentences
    low, high = (signed(-100 * part.loc["mult", end]) for end in ("ci_high", "ci_low"))
    assert interval == f"mult less auxformer; 95 % interval {low} to {high}."
    assert f"than {(part['p'] < 0.05).sum()} of 3 others" in tested
    assert tested.endswith(f"than {(part['p_corrected'] < 0.05).sum()}.")
    assert above.startswith(f"{100 * (means['mult'] - means['chance']):.1f} points above the better baseline")
    assert found["Is it real?"].short == "synthetic corpus · random weights"
    assert found["Is it real?"].care
    assert "1 of 20 clips failed in some stage." in found["Can I trust it?"].sentences
    assert found["What next?"].links == [("errors", "The gravest errors")]
    assert found["What next?"].commands[0] == "avemo predict CLIP.mp4 --run results/demo"


def test_a_first_system_that_is_the_best_is_compared_with_the_next(context: page.Context) -> None:
    order = ["mult", "auxformer"]
    mirrored = context.tests[context.tests["system"] == "mult"].copy()
    mirrored[["reference", "system"]] = ["mult", "auxformer"]
    mirrored["mean_difference"] *= -1
    mirrored[["ci_low", "ci_high"]] = -mirrored[["ci_high", "ci_low"]].to_numpy()
    told = answers(replace(context, order=order, tests=mirrored))["How much better?"].sentences[0]
    assert told.startswith("mult less auxformer; 95 % interval ")
    assert ", p = " in told


def test_a_run_without_limits_is_called_real_and_a_leak_is_told(context: page.Context) -> None:
    leak = Finding("groups", "No group is on two sides", "5 splits", ["split00: group b"], ["a warning"])
    found = answers(replace(context, notes=(), audit=[leak]))
    assert found["Is it real?"].short == "Nothing is generated or random"
    assert found["Is it real?"].sentences == ["demo: 20 clips of 4 speakers.", "audio: compare_lld."]
    assert found["Can I trust it?"].short == "The audit is not clean"
    assert found["Can I trust it?"].sentences[0] == "0 of 1 audit checks passed, with 1 warnings."


def test_failed_honesty_is_shown(context: page.Context) -> None:
    rows = [dict(row) for row in context.honesty]
    rows[0] |= {"margin": -0.031, "passed": False}
    poor = replace(context, honesty=rows, notes=(), tests=context.tests.head(0))
    html = page.render(poor)
    assert html.count('class="card failed"') == 1
    assert html.count("✗ not passed") == 1
    assert "No test compares it" in html
    assert "3 of 4 systems lie 10 points or more above every baseline" in html


def test_errors(context: page.Context) -> None:
    with pytest.raises(AvemoError, match="main"):
        page.render(replace(context, tables=[*context.tables, context.tables[0]]))
    with pytest.raises(AvemoError, match="honesty check"):
        page.render(replace(context, order=["vavl"]))
