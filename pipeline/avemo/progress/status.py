"""How far a run is, told from the files on disk, so from any shell and any machine that sees them.

A job is done when its outputs are there. What runs and what has failed is in
Snakemake's journal (`avemo.progress.journal`), clips are counted in shards and
stores, and costs are in benchmark files and the jobs' own records.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avemo.base.made_of import record_path
from avemo.progress.clips import done_clips, indexed_clips
from avemo.progress.costs import Cost, component_cost, cost_of
from avemo.progress.journal import CLOCK_S, FOLDER, Job, unfinished_jobs
from avemo.study.layout import Layout
from avemo.study.run import Run
from avemo.study.study import Study

TAIL_LINES = 5


@dataclass(frozen=True)
class Progress:
    """Outputs of one stage: how many it makes, how many are there, and the jobs that run or have failed.

    Clips are None where no clips are computed.

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


def status(study: Study, run: str, journal: Path = FOLDER) -> list[Progress]:
    """One row a stage of a run, in the order of the data's flow."""
    resolved, layout = study.run(run), Layout(study.run(run))
    jobs = unfinished_jobs(journal)
    shards = resolved.corpus.shards
    rows = [_row("index", resolved.corpus.id, [layout.index], jobs)]
    for stage, component in resolved.components.items():
        if resolved.corpus.parts:
            rows.append(_row(stage, component.id, [layout.manifest(component.id)], jobs))
            continue
        rows.append(_component(layout, stage, component.id, shards, jobs))
    rows += [_row("labels", "", [layout.labels], jobs), _row("splits", "", [layout.splits], jobs)]
    rows += [
        _search(layout, resolved, system, jobs) for system in resolved.systems if resolved.trials(system)
    ]
    rows += [_training(resolved, layout, system, jobs) for system in resolved.systems]
    rows += [_row("evaluate", system, [layout.scores(system)], jobs) for system in resolved.systems]
    return [*rows, _row("report", "", [layout.report], jobs)]


def _component(layout: Layout, stage: str, component: str, shards: int, jobs: Mapping[str, Job]) -> Progress:
    cost = component_cost(layout, component)
    outputs = [layout.shard_record(component, shard) for shard in range(shards)]
    row = _priced(_row(stage, component, outputs, jobs), cost)
    wanted = indexed_clips(layout, shards)
    if wanted is None:
        return row
    total = sum(map(len, wanted))
    done = sum(done_clips(layout, component, shard, shards) for shard in range(shards))
    row = replace(row, clips=total, clips_done=done)
    if not cost.clips or not cost.clips_s:
        return row
    rate = cost.clips / cost.clips_s
    return replace(row, clips_a_s=rate, left_s=(total - done) / rate)


def _search(layout: Layout, run: Run, system: str, jobs: Mapping[str, Job]) -> Progress:
    made = [layout.trial_record(system, study, number) for study, number in run.trials(system)]
    cost = cost_of(layout.trial_benchmarks(system, run.trials(system)))
    row = _priced(_row("search", system, made, jobs), cost)
    return replace(row, left_s=(len(made) - row.done) * cost.wall_s / cost.jobs) if cost.jobs else row


def _training(run: Run, layout: Layout, system: str, jobs: Mapping[str, Job]) -> Progress:
    names = run.split_names
    files = [layout.benchmarks / "train" / f"{system}-{split}.tsv" for split in names]
    cost = cost_of([path for path in files if path.is_file()])
    models = [layout.model(system, split) for split in names]
    # A job trains several splits, and is known by the record of the first.
    known = [str(record_path(layout.model(system, run.first_split(split)))) for split in names]
    jobs = {str(model): jobs[record] for model, record in zip(models, known, strict=True) if record in jobs}
    row = _priced(_row("train", system, models, jobs), cost)
    if not cost.jobs:
        return replace(row, left_s=_left_by_pace(models, jobs))
    trained = min(len(names), cost.jobs * run.speed.splits_per_job)
    return replace(row, left_s=(len(names) - row.done) * cost.wall_s / trained)


def _left_by_pace(outputs: Sequence[Path], jobs: Mapping[str, Job]) -> float | None:
    """Seconds of work left, at the pace of the jobs under way; None while these have no output yet."""
    running = dict.fromkeys(job for path in outputs if (job := jobs.get(str(path))) and job.is_running)
    missing = _missing(outputs, jobs)
    made = sum(path not in missing for path in outputs if jobs.get(str(path)) in running)
    if not made:
        return None
    spent = sum(time.time() - job.at_s for job in running)
    return len(missing) * spent / made


def _priced(row: Progress, cost: Cost) -> Progress:
    return replace(row, wall_s=cost.wall_s, cpu_s=cost.cpu_s) if cost.jobs else row


def _row(stage: str, of: str, outputs: Sequence[Path], jobs: Mapping[str, Job]) -> Progress:
    missing = _missing(outputs, jobs)
    # A job that has several outputs is one job; with all of them there it only has to end.
    found = dict.fromkeys(jobs[str(path)] for path in missing if str(path) in jobs)
    running, failed = [job for job in found if job.is_running], [job for job in found if job.failed]
    counts = (len(outputs), len(outputs) - len(missing), len(running), len(failed))
    ends = {log: last_lines(Path(log)) for job in failed for log in job.log[:1]}
    return Progress(stage, of, *counts, ends)


def _missing(outputs: Sequence[Path], jobs: Mapping[str, Job]) -> list[Path]:
    return [path for path in outputs if not path.is_file() or _is_old(path, jobs.get(str(path)))]


def _is_old(path: Path, job: Job | None) -> bool:
    """Whether a file is left from before a job that makes it anew: models and records of shards stay, or are put back."""
    if job is None:
        return False
    return path.stat().st_mtime < job.at_s + (CLOCK_S if job.failed else -CLOCK_S)


def last_lines(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The end of a log; none if it is gone."""
    return log.read_text(errors="replace").splitlines()[-lines:] if log.is_file() else []
