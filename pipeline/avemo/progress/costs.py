"""What jobs have cost: Snakemake's benchmark files, and what each shard job says that it computed."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.progress.shard_records import Counts, read_record
from avemo.study.layout import Layout


@dataclass(frozen=True)
class Cost:
    """Together: wall and CPU seconds of ``jobs`` jobs; the clips that shard jobs computed, and the seconds these took."""

    jobs: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    clips: int = 0
    clips_s: float = 0.0


def cost_of(benchmarks: Iterable[Path]) -> Cost:
    """The sum over benchmark files. A job's own numbers stand in its last run's file only."""
    found = [row for path in benchmarks for row in _rows(path)]
    return Cost(len(found), sum(wall for wall, _ in found), sum(cpu for _, cpu in found))


def component_cost(layout: Layout, component: str) -> Cost:
    """The cost of a component's shard jobs that computed clips when they last ran."""
    paths, done = [], []
    for path in sorted((layout.cache_benchmarks / component).glob("*.tsv")):
        counts = read_record(layout.store(component, path.stem), Counts)
        if counts and counts.computed:
            paths.append(path)
            done.append(counts)
    cost = cost_of(paths)
    clips, seconds = sum(each.computed for each in done), sum(each.seconds for each in done)
    return Cost(cost.jobs, cost.wall_s, cost.cpu_s, clips, seconds)


def _rows(path: Path) -> list[tuple[float, float]]:
    """Wall and CPU seconds; a job too short for Snakemake to sample has no CPU time and counts its wall time."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        return [(float(row["s"]), _number(row["cpu_time"], float(row["s"]))) for row in rows]
    except (KeyError, ValueError) as error:
        raise AvemoError(f"{path}: expected Snakemake's benchmark, found {error}; delete it") from error


def _number(text: str, otherwise: float) -> float:
    return otherwise if text in ("-", "NA", "") else float(text)
