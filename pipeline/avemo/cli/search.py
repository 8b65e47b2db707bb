"""Search commands: one trial of a search, and taking over the best one's models."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avemo.cli.options import (
    Cfg,
    GpuMb,
    Out,
    Run,
    Settings,
    Threads,
    as_mapping,
    as_spec,
    use_threads,
    write_aside,
    write_text,
)
from avemo.cli.training import (
    AudioFiles,
    Bench,
    LabelFile,
    SplitFile,
    System,
    TrialFiles,
    VisualFiles,
    begun,
    bench_of,
    keep,
)

if TYPE_CHECKING:
    from avemo.training.one_split import Trained
    from avemo.training.recipe import TrainSpec
    from avemo.training.search import Outcome, Trial


def register(app: typer.Typer) -> None:
    app.command()(trial)


def trial(
    cfg: Cfg,
    system: System,
    study: Annotated[str, typer.Option(help="The study: a split's name, or all.")],
    number: Annotated[int, typer.Option(min=0, help="The trial's number, from 0.")],
    split: Annotated[list[str], typer.Option(help="The split's name; again for each that the trial trains.")],
    labels: LabelFile,
    splits: SplitFile,
    resume: Annotated[Path, typer.Option(help="Folder of checkpoints that survive a kill.")],
    out: Out,
    trial: TrialFiles = None,
    audio: AudioFiles = None,
    visual: VisualFiles = None,
    run: Run = "",
    settings: Settings = "{}",
    threads: Threads = 1,
    gpu_mb: GpuMb = 0,
) -> None:
    """Train a system with the values that one trial of its search tries. Dev judges it; no test clip is read.

    Killed, the same command goes on after the last checkpoint's epoch, and a trial that is there already is left as it
    is. Writes trial.json, and beside it a folder with model, history and record for each split. A loss that is no
    number, and values of TPE that do not fit each other, are noted there, and are no errors.

    Example: avemo trial --cfg searched.json --system auxformer --study split00 --number 3 --split split00
    --labels labels.parquet --splits splits.json --audio a.json --resume resume --out search/0003/trial.json
    """
    use_threads(threads)
    from avemo.base.contracts import ConfigError, digest
    from avemo.base.made_of import checked, note, write_made
    from avemo.study.searched import searching_code, trial_name, trial_spec
    from avemo.study.specs import as_cfg
    from avemo.training.recipe import TrainSpec
    from avemo.training.search import Trial, propose, read_trial, shown

    started, given = time.time(), as_spec(TrainSpec, cfg)
    if given.search is None:
        raise ConfigError("config: search: expected what the trial tries, found none; give a searched system")
    spec = trial_spec(given, number)
    assert spec.search
    own, before = as_mapping(as_cfg(spec)), {path: read_trial(path) for path in trial or []}
    values = propose(spec.search, system, study, number, list(before.values()))
    typer.echo(f"{study}, trial {number}: {shown(values)}")
    tried, failed = _fitting(system, spec, values)
    code = searching_code(spec)
    behind = {trial_name(one.trial): checked(path) for path, one in before.items()}
    sides, manifests = (labels, splits), (audio, visual)
    with bench_of(tried, run, system, sides, manifests, settings, threads, gpu_mb) as bench:
        read = bench.read | behind
        key = digest([own, read, study, sorted(split)])
        done = _made_before(out, key)
        if done and (done.code == code or not bench.rerun_for_code):
            note(out, own, read, code=done.code)
            typer.echo(f"{out}: made before")
            return
        made_by = {name: begun(resume / name, code, bench.rerun_for_code) for name in split}
        outcomes: dict[str, Outcome] = {}
        if not failed:
            outcomes, failed = _trained(bench, number, splits, resume, out.parent, own, made_by)
    found = Trial(
        study=study,
        trial=number,
        values=values,
        splits=outcomes,
        metric=bench.job.known.task.headline[0],
        failed=failed,
        ended=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        wall_s=time.time() - started,
        optuna=_optuna() if spec.search.sampler == "tpe" else "",
        key=key,
        code=made_by[split[0]],
    )
    write_made(out, partial(write_text, text=found.model_dump_json(indent=1)), own, read, found.code)
    # Not before all are done, as those of splits that are done are asked for again after a kill.
    shutil.rmtree(resume, ignore_errors=True)


def _fitting(system: str, spec: TrainSpec, values: Mapping[str, Any]) -> tuple[TrainSpec, str]:
    """What trains with these values; where those that TPE takes do not fit each other, the system itself, and why.

    Raises `ConfigError` for a value that fits none of the others.
    """
    from avemo.base.contracts import ConfigError
    from avemo.study.searched import is_sequential, searched, with_values

    try:
        return with_values(system, spec, values), ""
    except ConfigError as error:
        if not is_sequential(spec):
            raise
        list(searched(system, spec))
        return spec, str(error)


def _trained(
    bench: Bench,
    number: int,
    splits: Path,
    resume: Path,
    folder: Path,
    cfg: Any,
    made_by: Mapping[str, dict[str, str]],
) -> tuple[dict[str, Outcome], str]:
    """Outcomes of the splits that ``made_by`` names, kept under ``folder``; none, and why, where a loss is no number."""
    from avemo.cli.watching import watching
    from avemo.dataset.splits import load_split
    from avemo.training.one_split import train_on
    from avemo.training.watch import Diverged

    outcomes, job = {}, bench.job
    try:
        for name, code in made_by.items():
            with watching(f"{job.system}, {name}, trial {number}", job.known.task, None) as tell:
                part = load_split(splits, name)
                trained = train_on(job, bench.data, part, bench.data, resume / name, tell)
            outcomes[name] = _kept(folder / name, trained, cfg, bench, code)
    except Diverged as error:
        return {}, str(error)
    return outcomes, ""


def _made_before(out: Path, key: str) -> Trial | None:
    """The trial of this key where it is there, as of a job that was killed after its work."""
    from avemo.base.contracts import AvemoError
    from avemo.training.search import read_trial

    try:
        found = read_trial(out)
    except AvemoError:
        return None
    return found if found.key == key else None


def _kept(folder: Path, trained: Trained, cfg: Any, bench: Bench, code: dict[str, str]) -> Outcome:
    """Keep a trained model, and say how dev judged it."""
    from avemo.base.file_hashes import sha256_of
    from avemo.study.layout import MODEL
    from avemo.training.search import Outcome

    model = folder / MODEL
    keep(model, trained, cfg, bench.read, code)
    row, metric = trained.result.history[trained.result.best_epoch - 1], bench.job.known.task.headline[0]
    return Outcome(loss=row["dev_loss"], score=row[f"dev_{metric}"], model=sha256_of(model))


def _optuna() -> str:
    from importlib.metadata import version

    return version("optuna")


def take_over(spec: TrainSpec, cfg: Any, outs: Mapping[str, Path], files: Sequence[Path]) -> None:
    """Copy what the best trial of each split's study has left of it to the places ``outs``, by split.

    Raises `AvemoError` where a trial is missing, or its model is another than it tells of.
    """
    from avemo.base.made_of import checked
    from avemo.study.searched import together, trial_name
    from avemo.study.stage_code import stage_code
    from avemo.training.search import best, read_trial, shown

    assert spec.search
    known = {path: read_trial(path) for path in files}
    for split, out in outs.items():
        study = spec.search.study_of(split)
        own = {one.trial: path for path, one in known.items() if one.study == study}
        _require_all(own, study, spec.search.count)
        chosen = best([known[path] for path in own.values()], spec.search.by)
        behind = {trial_name(number): checked(own[number]) for number in sorted(own)}
        code = together([*(known[path].code for path in own.values()), stage_code("choice")])
        _copy(own[chosen.trial].parent / split, chosen, split, out, cfg, behind, code)
        typer.echo(f"{split}: trial {chosen.trial} of {len(own)} by dev: {shown(chosen.values)}")


def _require_all(own: Mapping[int, Path], study: str, count: int) -> None:
    from avemo.base.contracts import AvemoError

    if sorted(own) != list(range(count)):
        raise AvemoError(
            f"search, {study}: expected its {count} trials, found {', '.join(map(str, sorted(own))) or 'none'}; give "
            "the trial.json of each by --trial"
        )


def _copy(
    folder: Path, chosen: Trial, split: str, out: Path, cfg: Any, behind: dict[str, str], code: dict[str, str]
) -> None:
    """The model last, as the job's proof. It was made of what the trial has read, and of the trials ``behind`` it."""
    from avemo.base.contracts import AvemoError
    from avemo.base.file_hashes import sha256_of
    from avemo.base.made_of import made_of, write_made
    from avemo.study.layout import HISTORY, MODEL, RECORD, TRIAL

    model, outcome = folder / MODEL, chosen.splits.get(split)
    made = made_of(model)
    told, found = outcome.model if outcome else "none", sha256_of(model) if model.is_file() else "none"
    if outcome is None or made is None or found != told:
        raise AvemoError(
            f"{model}: expected the model that {TRIAL} tells of ({told[:12]}), and its record, found {found[:12]}; "
            f"delete {folder.parent / TRIAL} and run again"
        )
    for name in (HISTORY, RECORD):
        write_aside(out.with_name(name), partial(shutil.copyfile, folder / name))
    write_made(out, partial(shutil.copyfile, model), cfg, made.read | behind, code)
