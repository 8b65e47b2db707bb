"""Scores across corpora as a matrix: rows trained on, columns tested on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from avemo.base.keys import parted_id
from avemo.dataset.label_map import LabelMap
from avemo.dataset.labels import Labels, load_labels
from avemo.dataset.split_names import sides_of
from avemo.dataset.splits import Split, load_splits
from avemo.dataset.tasks import Task
from avemo.evaluation.baselines import blind_scores
from avemo.report.clustered import Speakers, interval
from avemo.report.figures import INK, RULE, WIDTH_IN, Chart, finish
from avemo.report.formatting import plus_minus
from avemo.report.people import DRAWN, METRICS
from avemo.report.scores import LINEAR, LINEAR_TITLE, rows_of, unit_of
from avemo.report.tables import plain_table, table_of
from avemo.report.writers import ABSENT, LACKING, Notes, Table
from avemo.study.layout import ACROSS, Layout
from avemo.study.run import Run
from avemo.study.study import Study

OTHER = "†"
"""Behind a score of a run that predicts other labels than the runs across corpora."""
BETWEEN = " + "


@dataclass(frozen=True)
class Matrix:
    """``cells``: a row a system, trained corpora, tested corpus and metric, with ``mean, sd`` over splits, ``low, high``
    over speakers, and whether a class is absent from the test side (``lacking``) or the labels are others (``other``).

    ``within`` are the rows whose corpus is tested too; ``task`` is that of the runs across corpora.
    """

    cells: pd.DataFrame
    task: Task

    @property
    def trained_on(self) -> list[str]:
        """Rows, single corpora first."""
        names = list(dict.fromkeys(self.cells["trained_on"]))
        return sorted(names, key=lambda name: name.count(BETWEEN))

    @property
    def tested_on(self) -> list[str]:
        """Columns, in the order of the rows where they are rows too."""
        names = list(dict.fromkeys(self.cells["tested_on"]))
        rows = self.trained_on
        return sorted(names, key=lambda name: rows.index(name) if name in rows else len(rows))

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(self.cells["system"]))


def matrices(study: Study) -> list[Matrix]:
    """One for each kind of task that runs across corpora have; all of their runs are finished."""
    found: dict[str, tuple[Task, list[pd.DataFrame]]] = {}
    taken: set[tuple[str, str]] = set()
    runs = {name: study.runs[name] for name in study.across}
    for name, run in sorted(runs.items(), key=lambda item: not item[1].corpus.parts):
        known = load_labels(Layout(run).labels)
        if not run.corpus.parts and known.task.kind not in found:
            continue
        task, parts = found.setdefault(known.task.kind, (known.task, []))
        cells = _cells(run, known)
        here = set(zip(cells["trained_on"], cells["tested_on"], strict=True))
        if here & taken:
            cells["trained_on"] += f" ({name})"
        taken |= here
        parts.append(cells.assign(run=name, other=set(known.task.names) != set(task.names)))
    return [Matrix(pd.concat(parts, ignore_index=True), task) for task, parts in found.values()]


def _cells(run: Run, known: Labels) -> pd.DataFrame:
    """Those of one run, whose corpora are tested each for itself."""
    layout, splits = Layout(run), load_splits(Layout(run).splits)
    titles = {name: run.systems[name].title for name in run.compared} | {LINEAR: LINEAR_TITLE}
    frames = [pd.read_parquet(layout.predictions(name)) for name in titles]
    predictions = pd.concat(frames, ignore_index=True)
    predictions["system"] = predictions["system"].map(titles)
    speakers = Speakers(predictions, known.task)
    trained = BETWEEN.join(run.splits.train_on) or run.corpus.id
    rows = []
    for tested in run.splits.test_on or [run.corpus.id]:
        inside = speakers.predictions["clip_id"].map(lambda clip, at=tested: _is_of(run, clip, at))
        part = speakers.predictions[inside]
        shown = [
            Split(split.name, split.train, split.dev, tuple(c for c in split.test if _is_of(run, c, tested)))
            for split in splits
        ]
        counts = {"clips": part["clip_id"].nunique(), "speakers": part["speaker"].nunique()}
        lacking = _lessened(shown, known)
        values = pd.concat([_by_split(part, known.task), _blind(shown, known)], ignore_index=True)
        for (system, metric), each in values.groupby(["system", "metric"], sort=False)["value"]:
            blind = system in known.task.blind.values()
            drawn = None if blind else interval(speakers.scores(str(system), str(metric), inside))
            rows.append(
                {"system": system, "trained_on": trained, "tested_on": tested, "metric": metric}
                | {"mean": each.mean(), "sd": each.std(), "splits": len(each), **counts}
                | {"low": drawn.low if drawn else np.nan, "high": drawn.high if drawn else np.nan}
                | {"lacking": metric in lacking, "within": not run.corpus.parts}
            )
    return pd.DataFrame(rows)


def _is_of(run: Run, clip: str, corpus: str) -> bool:
    return not run.corpus.parts or parted_id(clip)[0] == corpus


def _by_split(predictions: pd.DataFrame, task: Task) -> pd.DataFrame:
    """``system, metric, value`` of each split, the mean of its seeds."""
    rows = [
        {"system": system, "split": sides_of(str(split)), "metric": metric, "value": values[metric]}
        for (system, split), part in predictions.groupby(["system", "split"], sort=False)
        for values in [task.score(part)]
        for metric in METRICS[task.kind]
    ]
    keys = ["system", "split", "metric"]
    return pd.DataFrame(rows).groupby(keys, sort=False)["value"].mean().reset_index()


def _blind(splits: Sequence[Split], known: Labels) -> pd.DataFrame:
    """The same of what sees no input, once for the seeds of a split."""
    once = [split for split in splits if sides_of(split.name) == split.name]
    found = blind_scores(known, once)
    found = found[found["metric"].isin(METRICS[known.task.kind])]
    return found.assign(system=found["system"].map(known.task.blind))


def _lessened(splits: Sequence[Split], known: Labels) -> set[str]:
    """Scores in which a class counts as 0, as no test clip of a split shows it."""
    shown = known.shown
    found: set[str] = set()
    for split in splits if known.task.kind != "attributes" else ():
        there = {name for clip in split.test for name in shown[clip]}
        found |= known.task.lessened([name for name in known.task.names if name not in there])
    return found


def matrix_table(matrix: Matrix, notes: Notes = ()) -> Table:
    """A row a system and training set, a column a metric and tested corpus."""
    task, unit = matrix.task, unit_of(matrix.task)
    metrics, tested = METRICS[task.kind], matrix.tested_on
    found = {(row.system, row.trained_on, row.tested_on, row.metric): row for row in rows_of(matrix.cells)}

    def cell(system: str, trained: str, corpus: str, metric: str) -> str:
        row = found.get((system, trained, corpus, metric))
        if row is None:
            return ABSENT
        text = plus_minus(unit.factor * row.mean, unit.factor * row.sd, unit.digits)
        return text + LACKING * row.lacking + OTHER * row.other

    rows: list[list[str]] = []
    breaks = []
    for system in matrix.systems:
        breaks.append(len(rows))
        for trained in matrix.trained_on:
            cells = [cell(system, trained, corpus, metric) for metric in metrics for corpus in tested]
            if set(cells) != {ABSENT}:
                rows.append([system, trained, *cells])
    header = [("", "system"), ("", "trained on")]
    header += [(f"{task.metrics[metric]}, tested on", corpus) for metric in metrics for corpus in tested]
    others = f" {OTHER}: that run predicts other labels." if matrix.cells["other"].any() else ""
    absent = (
        f" {LACKING}: no test clip of a split shows some class, which counts as 0."
        if matrix.cells["lacking"].any()
        else ""
    )
    caption = (
        f"Audio-visual, in {unit.scale}; mean ± sample standard deviation over splits. A corpus that is trained on and "
        f"tested on is that run's own, whose splits part its speakers; all other cells are of whole corpora.{absent}{others} "
        f"The CSV file has intervals too. {DRAWN}"
    )
    name = ACROSS if task.kind == "classes" else f"{ACROSS}_{task.kind}"
    table = table_of(name, "Across corpora", caption, rows, header, matrix.cells, notes)
    return Table(**{**vars(table), "rule_before": tuple(breaks[1:])})


def matrix_chart(matrix: Matrix, notes: Notes = ()) -> Chart:
    """The headline score of each system and of the linear baseline, a panel each, same corpora framed."""
    task, unit, metric = matrix.task, unit_of(matrix.task), METRICS[matrix.task.kind][-1]
    order = [system for system in matrix.systems if system not in task.blind.values()]
    rows, columns = matrix.trained_on, matrix.tested_on
    wide = min(3, len(order))
    high = -(-len(order) // wide)
    figure = Figure(figsize=(WIDTH_IN, high * (1.1 + 0.34 * len(rows)) + 0.4), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False, sharey=True).ravel()
    shown = matrix.cells[matrix.cells["metric"] == metric]
    for panel, system in zip(panels, order, strict=False):
        own = shown[shown["system"] == system].set_index(["trained_on", "tested_on"])["mean"]
        values = np.array([[own.get((row, column), np.nan) for column in columns] for row in rows])
        _panel(
            panel, unit.factor * values, rows, columns, unit.digits if unit.factor == 1 else 0, unit.factor
        )
        panel.set_title(system.replace("$", r"\$"), fontsize=10, color=INK, loc="left")
    for panel in panels[len(order) :]:
        panel.set_visible(False)
    best = ", ".join(
        f"{row.system} trained on {row.trained_on}, tested on {row.tested_on}: {unit.value(row.mean)}"
        for row in rows_of(shown[shown["system"].isin(order)])
    )
    caption = (
        f"Audio-visual {task.metrics[metric]} in {unit.scale}, mean over splits. Rows: trained on; columns: tested on. "
        "Framed: one corpus, its speakers parted."
    )
    name = ACROSS if task.kind == "classes" else f"{ACROSS}_{task.kind}"
    return finish(name, "Trained on one corpus, tested on another", caption, best, figure, notes)


def _panel(
    axes: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], digits: int, top: float
) -> None:
    axes.imshow(np.ma.masked_invalid(values), cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = ABSENT if np.isnan(value) else f"{value:.{digits}f}"
        axes.text(
            j, i, text, ha="center", va="center", fontsize=9, color="white" if value > 0.55 * top else INK
        )
        if rows[i] == columns[j]:
            axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, fill=False, ec=INK, lw=1.2))
    axes.set_xticks(range(len(columns)), labels=[name.replace("$", r"\$") for name in columns])
    axes.set_yticks(range(len(rows)), labels=[name.replace("$", r"\$") for name in rows])
    axes.tick_params(colors=INK, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_color(RULE)


def labels_table(study: Study, notes: Notes = ()) -> Table:
    """What each corpus' labels are called in each run across corpora, and how many clips that is."""
    rows = [row for name in study.across for row in _label_rows(study, study.runs[name])]
    columns = ["run", "corpus", "label", "called", "clips"]
    caption = (
        "Labels of each corpus, and what runs across corpora call them; a dash: their clips are left out."
    )
    frame = pd.DataFrame(rows, columns=columns)
    return plain_table("across_labels", "Labels across corpora", caption, frame, notes)


def _label_rows(study: Study, run: Run) -> Iterator[tuple[str, str, str, str, int]]:
    labels: LabelMap = run.corpus.labels.get("map", {}) if run.corpus.parts else {}
    for corpus, member in run.corpus.label_runs.items():
        known = load_labels(study.layouts[member].labels)
        counts = known.labelled["label"].value_counts()
        for name in known.task.names:
            clips = int(counts.get(name, 0)) if known.task.kind == "classes" else len(known.labelled)
            yield run.run, corpus, name, labels.get(name, name) or ABSENT, clips
