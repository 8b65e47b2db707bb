"""A paper's tables beside ours, from the records of its runs, finished or not; `avemo tables` calls it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo.cli.audit import audited
from avemo.cli.options import write_aside, write_text
from avemo.cli.report import write_table
from avemo.cli.run_files import run_notes

if TYPE_CHECKING:
    from avemo.dataset.splits import Split
    from avemo.report.paper_tables import Findings, Method
    from avemo.study.study import Study


def write_paper(folder: Path) -> None:
    """Tables and figures of the paper in ``folder``, and ``paper.html``, which has them all."""
    from avemo.report.definitions import read_paper
    from avemo.report.figures import save_svg
    from avemo.report.paper_figures import paper_chart
    from avemo.report.paper_page import render_paper
    from avemo.report.paper_tables import paper_table

    study = _study(folder)
    found = _Findings(study)
    published, findings, parts = read_paper(study.tables or ""), found.findings, []
    (folder / "figures").mkdir(exist_ok=True)
    for definition in published.tables:
        table, tests = paper_table(definition, findings)
        for made in filter(None, (table, tests)):
            write_table(folder / "tables", made)
        chart = paper_chart(definition, table, findings.notes) if definition.chart else None
        if chart:
            save_svg(chart, folder / "figures" / f"{chart.name}.svg")
        parts.append((definition, table, tests, chart))
    open_runs = {run for run, _ in found.waiting}
    audits = {run: audited(config) for run, config in study.runs.items() if run not in open_runs}
    page = render_paper(published.paper, study.paper or "", parts, found.waiting, audits, findings.notes)
    write_aside(folder / "paper.html", partial(write_text, text=page))
    print(f"paper: {(folder / 'paper.html').resolve()}")


def _study(folder: Path) -> Study:
    """The paper as `avemo record` kept it."""
    from avemo.study.study import read_record

    return read_record(folder / "paper.json")


@dataclass(frozen=True)
class _Findings:
    """What the runs' files hold so far."""

    study: Study

    @cached_property
    def waiting(self) -> dict[tuple[str, str], str]:
        """What each (run, system) without scores waits for; (run, "") stands for labels and splits."""
        from avemo.study.study import waits_for

        pairs = [
            (run, system) for run, config in self.study.runs.items() for system in ("", *config["systems"])
        ]
        found = {(run, system): waits_for(self.study.runs[run], system) for run, system in pairs}
        return {pair: text for pair, text in found.items() if text}

    @cached_property
    def findings(self) -> Findings:
        """What all runs have found; runs and systems that are not finished are left out."""
        import pandas as pd

        from avemo.report.paper_tables import Findings

        scores = [frame for run in self.study.runs for frame in self._scores(run)]
        empty = pd.DataFrame(columns=["run", "system", "split", "modality", "metric", "value"])
        counts = pd.DataFrame(
            [row for run in self.study.runs for row in self._counts(run)],
            columns=["run", "split", "side", "label", "clips"],
        )
        methods = {run: self._method(run) for run in self.study.runs}
        notes = {note["text"]: note for run in self.study.runs.values() for note in run_notes(run)}
        return Findings(
            pd.concat(scores, ignore_index=True) if scores else empty,
            *(counts, self.waiting, methods, list(notes.values())),
        )

    def _scores(self, run: str) -> Iterator[Any]:
        import pandas as pd

        for system in self.study.runs[run]["systems"]:
            path = self.study.layouts[run].scores(system)
            if path.is_file():
                yield pd.read_csv(path).assign(run=run)

    def _splits(self, run: str) -> list[Split]:
        from avemo.dataset.splits import load_splits

        path = self.study.layouts[run].splits
        return load_splits(path) if path.is_file() else []

    def _counts(self, run: str) -> Iterator[dict[str, Any]]:
        """Clips of each label on each side of each split."""
        from avemo.dataset.labels import load_labels

        splits = self._splits(run)
        given = load_labels(self.study.layouts[run].labels).given if splits else {}
        for split in splits:
            for side, clips in split.sides().items():
                tally: dict[str, int] = {}
                for clip in clips:
                    for label in _labels_of(given[clip]):
                        tally[label] = tally.get(label, 0) + 1
                for label, count in tally.items():
                    yield {"run": run, "split": split.name, "side": side, "label": label, "clips": count}

    def _method(self, run: str) -> Method:
        from avemo.report.paper_tables import Method

        splits = self._splits(run)
        ratios = [len(split.test) / len(split.train) for split in splits]
        how = Method(**self.study.runs[run]["tests"])
        return replace(how, ratio=sum(ratios) / len(ratios)) if ratios else how


def _labels_of(given: str | dict[str, float]) -> list[str]:
    """A clip's class, or the names of its bits that are set."""
    return [given] if isinstance(given, str) else [name for name, value in given.items() if value == 1]
