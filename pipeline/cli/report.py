"""Report commands: the run's config, its tables, its page. All read the run's files alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import Cfg, Out, as_mapping, write_aside

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.report.figures import Chart
    from pipeline.report.writers import Table


def register(app: typer.Typer) -> None:
    for command in (record, tables, report):
        app.command()(command)


def record(cfg: Cfg, out: Out) -> None:
    """Write the run's resolved config, by which `predict` and `report` know the run.

    Example: avemo record --cfg run.json --out results/demo/config.json
    """
    write_aside(out, partial(write_text, text=json.dumps(as_mapping(cfg), indent=1)))


RunFolder = Annotated[
    Path, typer.Option("--run", help="A run's results folder, e.g. results/demo; for tables, a paper's too.")
]


def tables(run: RunFolder) -> None:
    """Write every table of a run, or of a paper's folder, as CSV, LaTeX and HTML, from its records alone.

    A paper's tables stand beside the published ones, with a page of all; cells
    whose runs are unfinished say what they wait for.

    Example: avemo tables --run results/demo
    """
    if (run / "paper.json").is_file():
        from pipeline.cli.paper import write_paper

        write_paper(run)
        return
    for table in _tables(_Run(run)):
        write_table(run / "tables", table)
    typer.echo(f"tables: {run / 'tables'}")


def write_table(folder: Path, table: Table) -> None:
    """One table in its three forms."""
    from pipeline.report.writers import to_csv, to_html, to_latex

    for suffix, write in ((".csv", to_csv), (".tex", to_latex), (".html", to_html)):
        write_aside(folder / f"{table.name}{suffix}", partial(write_text, text=write(table)))


def report(run: RunFolder, out: Out) -> None:
    """Write the run's page: one HTML file that opens offline. Figures lie beside it as SVG.

    Example: avemo report --run results/demo --out results/demo/report.html
    """
    import yaml

    from pipeline.report.figures import save_svg
    from pipeline.report.page import Context, render
    from pipeline.report.scores import honesty_check

    found = _Run(run)
    charts = _charts(found)
    (run / "figures").mkdir(exist_ok=True)
    for chart in charts:
        save_svg(chart, run / "figures" / f"{chart.name}.svg")
    first = next(iter(found.records.values()))
    sheet = found.layout.sheet
    page = render(
        Context(
            run=found.config["run"],
            corpus=found.config["corpus"]["name"],
            order=found.order,
            task=found.labels.task,
            honesty=honesty_check(found.scores, found.labels.task),
            tests=found.tests,
            tables=_tables(found),
            charts=charts,
            notes=found.notes,
            contact_sheet=sheet.read_bytes() if sheet.is_file() else None,
            config_yaml=yaml.safe_dump(found.config, sort_keys=False, allow_unicode=True),
            versions=first["versions"],
            hardware={name: str(value) for name, value in first["hardware"].items()},
            fingerprints=first["inputs"],
            commands=["make demo" if found.config["run"] == "demo" else "snakemake --configfile YOUR.yaml"],
        )
    )
    write_aside(out, partial(write_text, text=page))
    typer.echo(f"report: {out.resolve()}")


def write_text(path: Path, text: str) -> None:
    """For `write_aside`."""
    path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class _Run:
    """A run's files as data frames, systems under their titles."""

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        return json.loads((self.folder / "config.json").read_text())

    @cached_property
    def layout(self) -> Any:
        from pipeline.layout import Layout

        return Layout(self.config)

    @cached_property
    def titles(self) -> dict[str, str]:
        return {name: system["title"] for name, system in self.config["systems"].items()}

    @property
    def order(self) -> list[str]:
        return list(self.titles.values())

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        columns = [name for name in ("system", "reference") if name in frame]
        return frame.assign(**{name: frame[name].replace(self.titles) for name in columns})

    @cached_property
    def scores(self) -> pd.DataFrame:
        import pandas as pd

        names = [*self.titles, "baselines"]
        return self._named(
            pd.concat([pd.read_csv(self.layout.scores(name)) for name in names], ignore_index=True)
        )

    @cached_property
    def tests(self) -> pd.DataFrame:
        import pandas as pd

        return self._named(pd.read_csv(self.layout.tests))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        import pandas as pd

        return self._named(
            pd.concat(
                [pd.read_parquet(self.layout.predictions(name)) for name in self.titles], ignore_index=True
            )
        )

    @cached_property
    def splits(self) -> list[str]:
        return sorted(self.predictions.split.unique())

    @cached_property
    def records(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (name, split): json.loads((self.layout.trained(name, split) / "run.json").read_text())
            for name in self.titles
            for split in self.splits
        }

    @cached_property
    def history(self) -> pd.DataFrame:
        import pandas as pd

        frames = [
            pd.read_csv(self.layout.trained(name, split) / "history.csv").assign(system=title, split=split)
            for name, title in self.titles.items()
            for split in self.splits
        ]
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def labels(self) -> Any:
        from pipeline.dataset.labels import load_labels

        return load_labels(self.layout.labels)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Parameters, and means over splits of training time and memory."""
        import pandas as pd

        rows = [
            {
                "system": self.titles[name],
                "parameters": record["parameters"],
                "train_seconds_mean": record["wall_s"],
                "peak_memory_mb": record["peak_memory_bytes"] / 2**20,
            }
            for (name, _), record in self.records.items()
        ]
        return pd.DataFrame(rows).groupby("system", sort=False).mean().reset_index()

    @cached_property
    def quality(self) -> pd.DataFrame:
        """A row a clip, the worst first."""
        import pandas as pd

        return pd.read_csv(self.layout.quality, dtype={"clip_id": str})

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Status of each clip in each stage."""
        import pandas as pd

        from pipeline.cache.manifest import FeatureSet

        frames = []
        for stage, component in self._components().items():
            with FeatureSet(self.layout.manifest(component)) as stored:
                frames.append(stored.statuses().assign(stage=stage))
        return pd.concat(frames, ignore_index=True)

    def _components(self) -> dict[str, str]:
        from pipeline.study import components_of

        return components_of(self.config)

    @cached_property
    def notes(self) -> list[dict[str, str]]:
        return run_notes(self.config)


def run_notes(config: dict[str, Any]) -> list[dict[str, str]]:
    """What limits a run's numbers, told by its corpus and by the records of the features there are."""
    from pipeline.cache.manifest import FeatureSet
    from pipeline.layout import Layout

    notes = []
    if len(config["features"]) == 1:
        (only,) = config["features"]
        text = f"this run has {only} features alone; what is called audio-visual is {only} only"
        notes.append({"kind": f"{only} only", "text": text})
    if config["corpus"]["synthetic"]:
        text = f"corpus {config['corpus']['name']!r}: generated faces and voices, not people"
        notes.append({"kind": "synthetic corpus", "text": text})
    for section in config["features"].values():
        manifest = Layout(config).manifest(section["id"])
        if not manifest.is_file():
            continue
        with FeatureSet(manifest) as stored:
            provenance = stored.info.get("provenance", {})
        if provenance.get("random_weights"):
            text = (
                f"{section['extractor']}: {provenance.get('weights')}; no training has shaped these features"
            )
            notes.append({"kind": "random weights", "text": text})
    return notes


def _tables(run: _Run) -> list[Table]:
    from pipeline.report import tables as make
    from pipeline.report.quality import summary_table, worst_table

    task = run.labels.task
    return [
        make.main_table(run.scores, run.tests, run.order, task, run.notes),
        make.tests_table(run.tests, run.order, task, run.notes),
        make.missing_modality_table(run.scores, run.order, task, run.notes),
        make.per_class_table(run.predictions, run.scores, run.order, task, run.notes),
        make.costs_table(run.costs, run.order, run.notes),
        make.clip_status_table(run.clips, run.notes),
        make.failed_clips_table(run.clips, run.notes),
        summary_table(run.quality, run.notes),
        worst_table(run.quality, run.notes),
        make.plain_table("labels_counts", "Labels", "Clips by label.", run.labels.counts(), run.notes),
        make.plain_table(
            "splits_balance", "Splits", "Groups and clips of each side.", _balance(run), run.notes
        ),
    ]


def _balance(run: _Run) -> pd.DataFrame:
    from pipeline.dataset.splits import balance, load_splits

    return balance(load_splits(run.layout.splits), run.labels.given, run.labels.groups)


def _charts(run: _Run) -> list[Chart]:
    from pipeline.report import figures as draw

    task = run.labels.task
    charts = [
        draw.systems_comparison(run.scores, run.order, task, run.notes),
        draw.paired_differences(run.scores, run.tests, run.order, task, run.notes),
        draw.missing_modality(run.scores, run.order, task, run.notes),
        draw.training_curves(run.history, run.order, task, run.notes),
    ]
    if task.kind == "classes":
        charts.append(draw.confusion(run.predictions, task.names, run.order, run.notes))
    return charts
