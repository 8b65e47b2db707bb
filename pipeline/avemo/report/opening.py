"""What a reader of the page asks first: which system, how much better, is it real, can it be trusted, what next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Task
from avemo.evaluation.audit import Finding
from avemo.report.formatting import p_value
from avemo.report.scores import ALPHA, LINEAR, MODALITIES, WIDE_MARGIN, rows_of, unit_of, verdict
from avemo.report.writers import Notes, note_label

Row = Mapping[str, Any]
"""A system of `avemo.report.scores.honesty_check`."""


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a few words, and the sentences below it; ``care`` marks what lessens the numbers.

    ``links`` lead to parts of the page, as anchor and text; ``commands`` are for a shell.
    """

    question: str
    short: str
    sentences: Sequence[str] = ()
    care: bool = False
    links: Sequence[tuple[str, str]] = ()
    commands: Sequence[str] = ()


@dataclass(frozen=True)
class Basis:
    """What the numbers rest on: clips and speakers, clips that failed in some stage, and features by modality."""

    corpus: str
    clips: int
    speakers: int
    failed: int
    features: Mapping[str, str]


def which(honesty: Sequence[Row], order: Sequence[str], task: Task) -> Answer:
    """The system of the highest mean, and the one that tests compare with all others, where that is another."""
    found = _by_name(honesty, order)
    best, unit = _best(found), unit_of(task)
    name = task.metrics[task.headline[0]]
    among = f"the highest of {len(found)} systems" if len(found) > 1 else "the only system"
    splits = f"{best['splits']} split{'s' * (best['splits'] != 1)}"
    told = [f"{unit.value(best['score'])} audio-visual {name}, {among}; mean over {splits}."]
    if best["system"] != order[0]:
        first = found[order[0]]
        told.append(f"{order[0]}, which tests compare with all others, has {unit.value(first['score'])}.")
    return Answer("Which system?", best["system"], told, links=[("scores", "All scores")])


def how_much(honesty: Sequence[Row], order: Sequence[str], tests: pd.DataFrame, task: Task) -> Answer:
    """The best system less its rival, the first system's tests, and the best one's margin over the blind predictors.

    The rival is the first system; of the first system itself, the next best.
    """
    found = _by_name(honesty, order)
    best, unit, blind = _best(found), unit_of(task), found[order[0]]["blind"]
    base = max(blind, key=lambda name: blind[name])
    side = "above" if best["margin"] >= 0 else "below"
    far = unit.difference(abs(best["margin"])).lstrip("+")
    above = (
        f"{far} {_steps(task)} {side} the better baseline ({task.blind[base]}, {unit.value(blind[base])})."
    )
    rows = [t for t in rows_of(tests) if (t.modality, t.metric) == ("av", task.headline[0])]
    rivals = [test for test in rows if test.system not in (*task.blind, LINEAR)]
    if not rivals:
        short = f"{unit.difference(best['margin'])} {_steps(task)}"
        return Answer("How much better?", short, [above, "No test compares it with another system."])
    ahead, test = _ahead(best, order, rivals)
    open_still = ", could be none" if test.ci_low <= 0 <= test.ci_high else ""
    return Answer(
        "How much better?",
        f"{unit.difference(ahead)} {_steps(task)}{open_still}",
        [_against_the_rival(best, order, rivals, task), _tested(order[0], rivals), above],
        links=[("significance", "All tests")],
    )


def is_real(basis: Basis, notes: Notes) -> Answer:
    """What the notes say against it, or whose clips and whose weights they are."""
    notes = list(notes)
    told = [f"{note['kind']}: {note['text']}." for note in notes]
    told.append(f"{basis.corpus}: {basis.clips:,} clips of {basis.speakers:,} speakers.")
    told += [f"{modality}: {what}." for modality, what in basis.features.items()]
    return Answer(
        "Is it real?", note_label(notes) or "Nothing is generated or random", told, care=bool(notes)
    )


def is_sound(basis: Basis, honesty: Sequence[Row], audit: Sequence[Finding], task: Task) -> Answer:
    """The leakage audit, the honesty check, and the clips that failed."""
    passed, unit = [finding.passed for finding in audit], unit_of(task)
    warned = sum(len(finding.warnings) for finding in audit)
    learned, systems = sum(bool(row["passed"]) for row in honesty), len(honesty)
    margin = f"{unit.factor * WIDE_MARGIN:g} {_steps(task)}"
    told = [
        f"{sum(passed)} of {len(passed)} audit checks passed{f', with {warned} warnings' * bool(warned)}.",
        f"{learned} of {systems} systems lie {margin} or more above every baseline.",
        *_beside_linear(honesty, task),
        f"{basis.failed:,} of {basis.clips:,} clips failed in some stage.",
    ]
    behind = [row["system"] for row in honesty if row["beats_linear"] is False]
    short = "The audit is not clean" if not all(passed) else "Nothing leaked" if passed else "Not audited"
    if learned < systems:
        short += f", {systems - learned} of {systems} learned little"
    if behind:
        short += f", {len(behind)} of {systems} do not beat a linear model"
    links = [("audit", "The audit"), ("honesty", "Baselines"), ("data", "Clips")]
    return Answer(
        "Can I trust it?",
        short,
        told if passed else told[1:],
        care=not all(passed) or not passed or learned < systems or bool(behind),
        links=links if passed else links[1:],
    )


def _beside_linear(honesty: Sequence[Row], task: Task) -> list[str]:
    """Which systems do not beat the linear baseline; nothing in a run without it."""
    against = [row for row in honesty if row["linear"] is not None]
    behind = [row for row in against if not row["beats_linear"]]
    unit = unit_of(task)
    if not against:
        return []
    if not behind:
        return [f"{'All' if len(against) > 1 else 'It'} beat{'s' * (len(against) == 1)} the linear baseline."]
    named = "; ".join(
        f"{row['system']} {unit.value(row['score'])} against {unit.value(row['linear'])} ({MODALITIES[row['linear_input']]})"
        for row in behind
    )
    return [f"Not above the linear baseline: {named}."]


def what_next(anchors: Collection[str], folder: str) -> Answer:
    """Parts of the page that show where it errs, and what to do with the trained systems."""
    where = {
        "errors": "The gravest errors",
        "classes": "Which classes it confuses",
        "modalities": "What one modality gives",
    }
    return Answer(
        "What next?",
        "See where it errs",
        links=[(anchor, text) for anchor, text in where.items() if anchor in anchors],
        commands=[f"avemo predict CLIP.mp4 --run {folder}", f"avemo audit --run {folder}"],
    )


def _by_name(honesty: Sequence[Row], order: Sequence[str]) -> dict[str, Row]:
    found = {row["system"]: row for row in honesty}
    if not order or order[0] not in found:
        raise AvemoError(
            f"report: expected the first system of {list(order)} in the honesty check, "
            f"found {list(found)}; evaluate it first"
        )
    return found


def _best(found: Mapping[str, Row]) -> Row:
    return max(found.values(), key=lambda row: row["score"])


def _steps(task: Task) -> str:
    return "points" if task.percent else "of score"


def _ahead(best: Row, order: Sequence[str], rivals: Sequence[Any]) -> tuple[float, Any]:
    """How far the best system lies above its rival, and the test of the two; it is of the first system less another."""
    if best["system"] == order[0]:
        test = min(rivals, key=lambda test: test.mean_difference)
        return test.mean_difference, test
    test = next(test for test in rivals if test.system == best["system"])
    return -test.mean_difference, test


def _against_the_rival(best: Row, order: Sequence[str], rivals: Sequence[Any], task: Task) -> str:
    first, unit = best["system"] == order[0], unit_of(task)
    _, test = _ahead(best, order, rivals)
    ends = (test.ci_low, test.ci_high) if first else (-test.ci_high, -test.ci_low)
    low, high = (unit.difference(end) for end in ends)
    rival = test.system if first else order[0]
    p = f", p = {p_value(test.p)}".replace("= <", "< ") if first or test.tail == "two-sided" else ""
    return f"{best['system']} less {rival}; 95 % interval {low} to {high}{p}."


def _tested(first: str, rivals: Sequence[Any]) -> str:
    better = [test for test in rivals if verdict(test) > 0]
    corrected = [test for test in better if test.p_corrected < ALPHA]
    return (
        f"{first} is significantly higher than {len(better)} of {len(rivals)} others (matched-pair t-test, "
        f"p < {ALPHA}); corrected for overlapping splits, than {len(corrected)}."
    )
