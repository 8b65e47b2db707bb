"""What a run would do, stage by stage, before it is started: jobs, clips, hours, disk, and why.

Jobs and causes are Snakemake's; clips are counted in the stores by their keys; hours and disk
are means of what the same component or system has cost before. Where there is
no such record a similar one is taken, and the row's ``basis`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo.base.contracts import AvemoError
from avemo.progress.clips import done_clips, held_pairs, indexed_clips
from avemo.progress.costs import Cost, component_cost, cost_of
from avemo.progress.dryrun import PlannedJob
from avemo.progress.reasons import siblings
from avemo.study.layout import Layout
from avemo.study.makings import RunMakings, older, paper_making
from avemo.study.resolve import corpus_of
from avemo.study.study import Study

MOST_REASONS = 6


@dataclass(frozen=True)
class Stage:
    """The jobs of one rule on one thing. None: not known, or not a matter of clips.

    ``cpu_h`` are CPU hours, ``gpu_h`` hours of a held GPU, ``bytes`` disk to be
    filled; ``basis`` says what the three were estimated from.
    """

    rule: str
    of: str
    jobs: int
    compute: int | None
    cached: int | None
    cpu_h: float | None
    gpu_h: float | None
    bytes: int | None
    basis: str
    why: list[str]


def make_plan(study: Study, jobs: Sequence[PlannedJob]) -> list[Stage]:
    """One row for each rule and corpus, component, run or system, in Snakemake's order."""
    stages: dict[tuple[str, str], list[PlannedJob]] = {}
    for job in jobs:
        stages.setdefault((job.rule, _of(job)), []).append(job)
    return [_stage(study, rule, of, group) for (rule, of), group in stages.items()]


def older_code(study: Study) -> list[str]:
    """What was made by other code than there is now, and in which files it differs: where a run wants to be told."""
    told = [
        sentence if len(study.runs) == 1 else f"{name}: {sentence}"
        for name, run in study.runs.items()
        if run.code_changes == "warn" and not study.reruns_for_code
        for sentence in RunMakings(run).older_code()
    ]
    if (
        study.paper
        and not study.reruns_for_code
        and any(run.code_changes == "warn" for run in study.runs.values())
    ):
        told += older("tables of the paper", [paper_making(study)])
    return list(dict.fromkeys(told))


def is_open(jobs: Iterable[PlannedJob]) -> bool:
    """Whether a clip table is to be made, after which Snakemake looks again at all that reads it."""
    return any(job.rule == "index" for job in jobs)


def _of(job: PlannedJob) -> str:
    names = ("corpus", "component", "run", "system")
    return "/".join(job.wildcards[name] for name in names if name in job.wildcards)


def _stage(study: Study, rule: str, of: str, jobs: list[PlannedJob]) -> Stage:
    compute = cached = None
    estimate: Estimate = (Cost(), None, "")
    if "shard" in jobs[0].wildcards:
        compute, cached = _clips(study, jobs)
        estimate = _shard_estimate(study, jobs, compute)
    elif rule == "train":
        estimate = _training_estimate(study, jobs)
    elif rule == "trial":
        estimate = _trial_estimate(study, jobs)
    cost, size, basis = estimate
    gpu = jobs[0].resources.get("gpu", 0)
    known = cost.jobs > 0 or compute == 0
    return Stage(
        *(rule, of, len(jobs), compute, cached),
        cost.cpu_s / 3600 if known else None,
        gpu * cost.wall_s / 3600 if known else None,
        *(size, basis, _why(study, jobs)),
    )


def _why(study: Study, jobs: list[PlannedJob]) -> list[str]:
    told = Counter(reason for job in jobs for reason in job.why)
    found = [
        f"{reason} ({n} of {len(jobs)})" if n < len(jobs) else reason for reason, n in told.most_common()
    ]
    more = [f"and {len(found) - MOST_REASONS} other causes"] if len(found) > MOST_REASONS else []
    return found[:MOST_REASONS] + more + (_listed(study, jobs[0]) if jobs[0].rule == "index" else [])


def _listed(study: Study, job: PlannedJob) -> list[str]:
    """New and gone clips, by the corpus' own list."""
    run = study.corpora[job.wildcards["corpus"]]
    known = indexed_clips(Layout(run), run.corpus.shards)
    if known is None or run.corpus.parts:
        return []
    try:
        now = {clip.clip_id for clip in corpus_of(run.corpus).clips()}
    except AvemoError as error:
        return [f"its clips cannot be counted: {error}"]
    before: set[str] = set().union(*known)
    counts = {"new clips": len(now - before), "clips gone": len(before - now)}
    return [f"{count} {what}" for what, count in counts.items() if count]


def _clips(study: Study, jobs: list[PlannedJob]) -> tuple[int | None, int | None]:
    """Clips of these shards to compute, and held already."""
    run = study.corpora[jobs[0].wildcards["corpus"]]
    layout, component = Layout(run), jobs[0].wildcards["component"]
    wanted = indexed_clips(layout, run.corpus.shards)
    if wanted is None:
        return None, None
    numbers = [int(job.wildcards["shard"]) for job in jobs]
    cached = sum(done_clips(layout, component, number, len(wanted)) for number in numbers)
    return sum(len(wanted[number]) for number in numbers) - cached, cached


Estimate = tuple[Cost, int | None, str]
"""Seconds, bytes, and what they were taken from; ``jobs`` is 0 where nothing is known."""


def _shard_estimate(study: Study, jobs: list[PlannedJob], compute: int | None) -> Estimate:
    layout = Layout(study.corpora[jobs[0].wildcards["corpus"]])
    component = jobs[0].wildcards["component"]
    if compute is None:
        return Cost(), None, "no clip table yet"
    if compute == 0:
        return Cost(), 0, "nothing to compute"
    folder = layout.corpus / component
    for source in (folder, *siblings(folder)):
        past = component_cost(layout, source.name)
        if past.clips:
            share = compute / past.clips
            guess = "" if source == folder else "guess: "
            basis = f"{guess}{past.clips} clips of {source.name}"
            estimated = Cost(past.jobs, past.wall_s * share, past.cpu_s * share, compute)
            return estimated, _bytes_a_clip(source, compute), basis
    return Cost(), None, _at_most(jobs)


def _bytes_a_clip(component: Path, clips: int) -> int | None:
    files = list(component.glob("*.h5"))
    held = sum(len(held_pairs(path)) for path in files)
    return round(clips * sum(path.stat().st_size for path in files) / held) if held else None


def _training_estimate(study: Study, jobs: list[PlannedJob]) -> Estimate:
    run, system = jobs[0].wildcards["run"], jobs[0].wildcards["system"]
    folder = study.layouts[run].benchmarks / "train"
    return _by_record(jobs, "trainings", folder.glob(f"{system}-split*.tsv"), folder)


def _trial_estimate(study: Study, jobs: list[PlannedJob]) -> Estimate:
    run, system = jobs[0].wildcards["run"], jobs[0].wildcards["system"]
    layout = study.layouts[run]
    own = layout.trial_benchmarks(system, study.runs[run].trials(system))
    return _by_record(jobs, "trials", own, layout.benchmarks / "search")


def _by_record(jobs: list[PlannedJob], what: str, own: Iterable[Path], folder: Path) -> Estimate:
    """By what jobs of the same system have cost, or of any whose records lie in the folder."""
    system = jobs[0].wildcards["system"]
    found = {f"{what} of {system}": own, f"guess: {what} of any system": folder.glob("*.tsv")}
    for basis, paths in found.items():
        past = cost_of(paths)
        if past.jobs:
            share = len(jobs) / past.jobs
            cost = Cost(past.jobs, past.wall_s * share, past.cpu_s * share)
            return cost, None, f"{basis}, {past.jobs} recorded"
    return Cost(), None, _at_most(jobs)


def _at_most(jobs: list[PlannedJob]) -> str:
    minutes: list[Any] = [job.resources["runtime"] for job in jobs if "runtime" in job.resources]
    return f"no record; at most {sum(minutes) / 60:.1f} h as requested" if minutes else "no record"
