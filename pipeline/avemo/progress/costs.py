"""What jobs have cost: Snakemake's benchmark files, and how many clips each shard job computed."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from avemo.base.contracts import AvemoError

COMPUTED = re.compile(r"^(\d+) computed, \d+ reused, \d+ failed$", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """Together: wall and CPU seconds of ``jobs`` jobs, and the clips they computed (0 if not shard jobs)."""

    jobs: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    clips: int = 0


def cost_of(benchmarks: Iterable[Path]) -> Cost:
    """The sum over benchmark files. A job's own numbers stand in its last run's file only."""
    found = [row for path in benchmarks for row in _rows(path)]
    return Cost(len(found), sum(wall for wall, _ in found), sum(cpu for _, cpu in found))


def component_cost(corpus: Path, component: str) -> Cost:
    """The cost of a component's shard jobs whose logs say that they computed clips."""
    paths, clips = [], 0
    for path in sorted((corpus / "benchmarks" / component).glob("*.tsv")):
        log = corpus / "logs" / component / f"{path.stem}.log"
        said = COMPUTED.findall(log.read_text(errors="replace")) if log.is_file() else []
        if said and int(said[-1]):
            paths.append(path)
            clips += int(said[-1])
    cost = cost_of(paths)
    return Cost(cost.jobs, cost.wall_s, cost.cpu_s, clips)


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
