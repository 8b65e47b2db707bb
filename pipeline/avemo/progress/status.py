"""How far a run is, told from the files on disk, so from any shell and any machine that sees them.

A job is ``done`` when its output is there; ``failed`` when Snakemake's newest
log says so and nothing has been written to the job's own log since;
``running`` when its log, its store's lease or its checkpoints were written to
in the last `RECENT_S` seconds. A training whose epochs take longer looks idle
between them, and what was killed looks busy for as long. Snakemake leaves failures
out of its log where it was told to be quiet about rules (``--quiet rules``, ``all``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from avemo.progress.clips import held_clips, indexed_clips
from avemo.progress.costs import Cost, component_cost, cost_of
from avemo.study.layout import Layout
from avemo.study.study import Study, components_of

RECENT_S = 300.0
TAIL_LINES = 5
ERROR = re.compile(r"^\[(.+?)\]\nError in rule .+\n(?: {4}.*\n)*? {4}log: (.+?) \(check log", re.MULTILINE)
"""One failed job in Snakemake 9.27's log: when, and the job's own log."""


@dataclass(frozen=True)
class Work:
    """One job as its files show it; ``alive`` are files and folders it writes to while it runs."""

    output: Path
    log: Path
    alive: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Jobs of one stage. Clips are None where no clips are computed.

    ``clips_a_s`` is the mean of recorded jobs, ``left_s`` what is left at that
    pace, one job at a time; ``wall_s`` and ``cpu_s`` are what recorded jobs
    have cost. None: no record. ``failures`` are logs with their last lines.
    """

    stage: str
    of: str
    total: int
    done: int
    running: int
    failed: int
    failures: dict[str, list[str]]
    clips: int | None = None
    clips_done: int | None = None
    clips_a_s: float | None = None
    left_s: float | None = None
    wall_s: float | None = None
    cpu_s: float | None = None


def status(study: Study, run: str, snakemake: Path = Path(".snakemake")) -> list[Progress]:
    """One row a stage of a run, in the order of the data's flow."""
    resolved, layout = study.run(run), Layout(study.run(run))
    failed, now = failed_logs(snakemake), time.time()
    shards = resolved.corpus.shards
    index = [Work(layout.index, layout.cache_logs / "index.log")]
    rows = [_row("index", resolved.corpus.id, index, failed, now)]
    for stage, component in components_of(resolved).items():
        rows.append(_component(layout, stage, component, shards, failed, now))
    rows.append(_row("labels", "", [Work(layout.labels, layout.logs / "labels.log")], failed, now))
    rows.append(_row("splits", "", [Work(layout.splits, layout.logs / "splits.log")], failed, now))
    splits, pack = resolved.splits.n, resolved.speed.splits_per_job
    rows += [_training(layout, system, splits, pack, failed, now) for system in resolved.systems]
    for system in resolved.systems:
        scored = [Work(layout.scores(system), layout.logs / f"evaluate-{system}.log")]
        rows.append(_row("evaluate", system, scored, failed, now))
    return [*rows, _row("report", "", [Work(layout.report, layout.logs / "report.log")], failed, now)]


def failed_logs(snakemake: Path) -> dict[str, float]:
    """Logs of the jobs that Snakemake's newest log calls failed, with the time of the last failure."""
    logs = sorted((snakemake / "log").glob("*.snakemake.log"))
    if not logs:
        return {}
    found = ERROR.findall(logs[-1].read_text(errors="replace"))
    # On a cluster the scheduler's own log stands beside the job's.
    return {
        log: datetime.strptime(when, "%a %b %d %H:%M:%S %Y").timestamp()
        for when, several in found
        for log in several.split(", ")
    }


def _component(
    layout: Layout, stage: str, component: str, shards: int, failed: dict[str, float], now: float
) -> Progress:
    works = [
        Work(
            layout.shard(component, shard),
            layout.cache_logs / component / f"{shard:04d}.log",
            tuple(layout.store(component, shard).glob("lock-*")),
        )
        for shard in range(shards)
    ]
    cost = component_cost(layout.corpus, component)
    row = _priced(_row(stage, component, works, failed, now), cost)
    wanted = indexed_clips(layout, shards)
    if wanted is None:
        return row
    total = sum(map(len, wanted))
    done = sum(len(clips & held_clips(layout, component, n)) for n, clips in enumerate(wanted))
    if not cost.clips or not cost.wall_s:
        return replace(row, clips=total, clips_done=done)
    rate = cost.clips / cost.wall_s
    return replace(row, clips=total, clips_done=done, clips_a_s=rate, left_s=(total - done) / rate)


def _training(
    layout: Layout, system: str, splits: int, pack: int, failed: dict[str, float], now: float
) -> Progress:
    names = [f"split{number:02d}" for number in range(splits)]
    works = [
        Work(
            layout.trained(system, split) / "model.safetensors",
            layout.logs / "train" / f"{system}-{split}.log",
            (layout.resume(system, split),),
        )
        for split in names
    ]
    files = [layout.benchmarks / "train" / f"{system}-{split}.tsv" for split in names]
    cost = cost_of([path for path in files if path.is_file()])
    row = _priced(_row("train", system, works, failed, now), cost)
    if not cost.jobs:
        return row
    # A job has one record, however many splits it trained.
    return replace(row, left_s=(splits - row.done) * cost.wall_s / min(splits, cost.jobs * pack))


def _priced(row: Progress, cost: Cost) -> Progress:
    return replace(row, wall_s=cost.wall_s, cpu_s=cost.cpu_s) if cost.jobs else row


def _row(stage: str, of: str, works: list[Work], failed: dict[str, float], now: float) -> Progress:
    states = [_state(work, failed, now) for work in works]
    broken = [work.log for work, state in zip(works, states, strict=True) if state == "failed"]
    counts = (len(works), states.count("done"), states.count("running"), len(broken))
    return Progress(stage, of, *counts, {str(log): last_lines(log) for log in broken})


def _state(work: Work, failed: dict[str, float], now: float) -> str:
    if work.output.is_file():
        return "done"
    written = max(_mtimes((work.log, *work.alive)), default=0.0)
    # A second, since Snakemake's times are whole ones.
    if str(work.log) in failed and max(_mtimes((work.log,)), default=0.0) <= failed[str(work.log)] + 1:
        return "failed"
    return "running" if now - written < RECENT_S else "waiting"


def _mtimes(paths: tuple[Path, ...]) -> Iterator[float]:
    for path in paths:
        if path.exists():
            yield path.stat().st_mtime


def last_lines(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The end of a log; none if it is gone."""
    return log.read_text(errors="replace").splitlines()[-lines:] if log.is_file() else []
