"""Experiment commands: splits, train, evaluate, tests; `avemo.cli.baselines` has those of baselines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
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

if TYPE_CHECKING:
    from avemo.dataset.loading import ClipData
    from avemo.training.one_split import Job, Trained
    from avemo.training.recipe import TrainSpec

LabelFile = Annotated[Path, typer.Option("--labels", help="Label table.")]
SplitFile = Annotated[Path, typer.Option("--splits", help="Splits (JSON).")]
AudioFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--audio", help="Manifest of the acoustic features, if any; again for what is joined to them."
    ),
]
VisualFiles = Annotated[list[str] | None, typer.Option("--visual", help="The same of the visual features.")]
TrialFiles = Annotated[
    list[Path] | None,
    typer.Option("--trial", help="What a search's trial has left (trial.json); again for each."),
]
System = Annotated[str, typer.Option("--system", help="The system's name.")]


def register(app: typer.Typer) -> None:
    for command in (splits, train, evaluate, tests):
        app.command()(command)


def splits(cfg: Cfg, labels: LabelFile, out: Out) -> None:
    """Make the splits that every system uses, or read published ones; no speaker is on two sides.

    Example: avemo splits --cfg '{"n": 20}' --labels labels.parquet --out splits.json
    """
    from avemo.base.made_of import checked, write_made
    from avemo.dataset.absences import absences
    from avemo.dataset.labels import load_labels
    from avemo.dataset.protocol import splits_of
    from avemo.dataset.splits import SplitConfig, balance, save_splits
    from avemo.study.file_contents import contents
    from avemo.study.stage_code import stage_code

    config = as_spec(SplitConfig, cfg)
    read = {"labels": checked(labels), "published": contents(config.files)}
    known = load_labels(labels)
    made = splits_of(known, config)
    report = balance(made, known.given, known.groups)
    code = stage_code("splits")
    write_made(out, lambda path: save_splits(path, made, report), as_mapping(cfg), read, code)
    typer.echo(report.to_string(index=False))
    for absence in absences(made, known):
        typer.echo(f"warning: {absence}")


def train(
    cfg: Cfg,
    system: System,
    split: Annotated[list[str], typer.Option(help="The split's name; again for each further one.")],
    labels: LabelFile,
    splits: SplitFile,
    resume: Annotated[Path, typer.Option(help="Folder of the checkpoint that survives a kill.")],
    out: Out,
    audio: AudioFiles = None,
    visual: VisualFiles = None,
    trial: TrialFiles = None,
    run: Run = "",
    settings: Settings = "{}",
    threads: Threads = 1,
    gpu_mb: GpuMb = 0,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's curves.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Trace of the first batches to write (JSON).")] = None,
) -> None:
    """Train one system on one split, or on several in turn, whose clips are then read once.

    Killed, the same command goes on after the last checkpoint's epoch. Writes the model, and beside it
    history.csv and run.json. A system with a search is not trained: it takes over what the best of its trials has left.
    ``{split}`` in --out, --resume and --tensorboard stands for the split's name.

    Example: avemo train --cfg auxformer.json --system auxformer --split split00 --labels labels.parquet
    --splits splits.json --audio a.json --visual v.json --resume resume --out model.safetensors
    """
    use_threads(threads)
    from avemo.cli.watching import watching
    from avemo.dataset.splits import load_split
    from avemo.study.searched import training_code
    from avemo.training.one_split import train_on
    from avemo.training.profiled import ProfiledData
    from avemo.training.recipe import TrainSpec

    spec = as_spec(TrainSpec, cfg)
    resumes, outs = _by_split(resume, split, "--resume"), _by_split(out, split, "--out")
    if spec.search:
        from avemo.cli.search import take_over

        take_over(spec, as_mapping(cfg), outs, trial or [])
        return
    curves = _by_split(tensorboard, split, "--tensorboard") if tensorboard else {}
    code = training_code(spec)
    with bench_of(spec, run, system, (labels, splits), (audio, visual), settings, threads, gpu_mb) as bench:
        read = ProfiledData(bench.data, profile) if profile else bench.data
        for name in split:
            made_by = begun(resumes[name], code, bench.rerun_for_code)
            with watching(f"{system}, {name}", bench.job.known.task, curves.get(name)) as tell:
                trained = train_on(bench.job, bench.data, load_split(splits, name), read, resumes[name], tell)
            keep(outs[name], trained, as_mapping(cfg), bench.read, made_by)
    # Not before all are done: what a job that fails has trained is trained again, from these.
    for folder in resumes.values():
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Bench:
    """What trainings of one system need: their ``job``, the clips' ``data``, and what records say was ``read``."""

    job: Job
    data: ClipData
    read: dict[str, str]
    rerun_for_code: bool


@contextmanager
def bench_of(
    spec: TrainSpec,
    run: str,
    system: str,
    sides: tuple[Path, Path],
    manifests: tuple[list[str] | None, list[str] | None],
    settings: str,
    threads: int,
    gpu_mb: int,
) -> Iterator[Bench]:
    """Read labels and splits, ``sides``, and the features of ``manifests``, on the device that ``settings`` say."""
    from avemo.base.devices import choose_device
    from avemo.dataset.labels import load_labels
    from avemo.dataset.resident import near
    from avemo.machine.gpus import use_gpu
    from avemo.study import specs
    from avemo.training.one_split import Job

    read, known = sides_read(*sides), load_labels(sides[0])
    given, of = as_spec(specs.Settings, settings, "--settings"), f"{run}/{system}"
    training = spec.training.model_copy(update=given.speed.get(of, {}) | {"threads": threads})
    places = given.weights.get(of, {})
    use_gpu(gpu_mb, training.device)
    _require_start(of, spec, places)
    with features_of(*manifests, known.targets) as features:
        own = spec.model_copy(update={"training": training})
        job = Job(run, system, own, known, features.fingerprints, places, features.weights)
        data = near(features.data, choose_device(training.device, "training.device"))
        yield Bench(job, data, read | features.read, given.rerun_for_code)


def _require_start(of: str, spec: TrainSpec, places: dict[str, Any]) -> None:
    """Raise `MachineError` where other weights to start from lie there than when the workflow was started."""
    from avemo.base.contracts import MachineError
    from avemo.study.specs import identified

    for name, found in identified(places).items():
        if found != (expected := spec.config.get(name)):
            raise MachineError(
                f"{of}: expected {name} {expected}, as when the workflow was started, found {found}; put the file back, "
                "or run the workflow again, which trains from the new one"
            )


def begun(resume: Path, code: dict[str, str], rerun: bool) -> dict[str, str]:
    """By which code a model will be made: also by that of its checkpoint, unless that is to be left for a ``rerun``."""
    from avemo.progress.shard_records import take_up
    from avemo.training.checkpoint import CHECKPOINT

    checkpoint = resume / CHECKPOINT
    there = int(checkpoint.is_file())
    return take_up(resume, code, there=there, lacking=1, rerun=rerun, forget=checkpoint.unlink)


def _by_split(pattern: Path, splits: list[str], option: str) -> dict[str, Path]:
    """The place of each split; raises `AvemoError` where several splits would share one."""
    from avemo.base.contracts import AvemoError

    if len(splits) > 1 and "{split}" not in str(pattern):
        raise AvemoError(
            f"{option} {pattern}: expected {{split}} in it, as {len(splits)} splits are trained, found none; "
            f"give a path such as train/{{split}}/{pattern.name}"
        )
    return {split: Path(str(pattern).replace("{split}", split)) for split in splits}


def sides_read(labels: Path, splits: Path) -> dict[str, str]:
    """What labels and splits hold; raises `AvemoError` where the one was not made of the other."""
    from avemo.base.made_of import checked, require_made_of

    found = {"labels": checked(labels), "splits": checked(splits)}
    require_made_of(splits, {"labels": found["labels"]})
    return found


def keep(out: Path, trained: Trained, cfg: Any, read: dict[str, str], code: dict[str, str]) -> None:
    """Write a trained model, and its history and record beside it; the model last, as the job's proof."""
    import pandas as pd

    from avemo.base.made_of import write_made
    from avemo.study.layout import HISTORY, RECORD
    from avemo.training.checkpoint import save_model

    history, record = pd.DataFrame(trained.result.history), json.dumps(trained.record, indent=1)
    write_aside(out.with_name(HISTORY), lambda path: history.to_csv(path, index=False))
    write_aside(out.with_name(RECORD), partial(write_text, text=record))
    write_made(out, lambda path: save_model(path, trained.result.best_state, trained.meta), cfg, read, code)


def evaluate(
    system: System,
    labels: LabelFile,
    splits: SplitFile,
    predictions: Annotated[Path, typer.Option(help="Predictions to write (Parquet).")],
    scores: Annotated[Path, typer.Option(help="Scores to write (CSV).")],
    models: Annotated[list[Path], typer.Argument(help="The system's models, one a split.")],
    readings: Annotated[Path, typer.Option(help="Journal that gets a line a model; `avemo audit` reads it.")],
    audio: AudioFiles = None,
    visual: VisualFiles = None,
    run: Run = "",
    settings: Settings = "{}",
    threads: Threads = 1,
    gpu_mb: GpuMb = 0,
) -> None:
    """Score a system's kept models on their test clips: both modalities, sound alone, faces alone.

    Example: avemo evaluate --system mult --labels labels.parquet --splits splits.json --audio a.json
    --visual v.json --readings mult.jsonl --predictions p.parquet --scores s.csv train/mult/*/model.safetensors
    """
    use_threads(threads)
    import torch

    from avemo.base.contracts import digest
    from avemo.base.devices import choose_device
    from avemo.base.made_of import checked, require_made_of, write_made
    from avemo.dataset.labels import load_labels
    from avemo.dataset.resident import near
    from avemo.evaluation.readings import note_reading
    from avemo.evaluation.scoring import score_models
    from avemo.machine.gpus import use_gpu
    from avemo.study import specs
    from avemo.study.stage_code import score_code
    from avemo.training.checkpoint import model_meta
    from avemo.training.record import hardware

    given = as_spec(specs.Settings, settings, "--settings").speed.get(f"{run}/{system}", {})
    asked = given.get("device", "auto")
    use_gpu(gpu_mb, asked)
    device = choose_device(asked, "training.device")
    torch.set_num_threads(threads)
    sides, known = sides_read(labels, splits), load_labels(labels)
    with features_of(audio, visual, known.targets) as features:
        labelled = digest(sorted(known.targets.items()))
        read, kept = sides | features.read, {model: checked(model) for model in models}
        for model in models:
            require_made_of(model, read)

        def before(model: Path, split: str, left_out: dict[str, str]) -> None:
            for clip_id, reason in left_out.items():
                typer.echo(f"{split}: {clip_id} not scored: {reason}")
            read[f"model of {split}"] = kept[model]
            seen = {"inputs": features.fingerprints, "labels": labelled}
            reading = {"split": split, "model": kept[model], **seen}
            note_reading(readings, reading | {"hardware": hardware()})

        scored = score_models(system, models, near(features.data, device), known, splits, before, device)
    code = score_code(model_meta(models[0])["model"])
    write_made(predictions, lambda path: scored.predictions.to_parquet(path, index=False), None, read, code)
    write_made(scores, lambda path: scored.scores.to_csv(path, index=False), None, read, code)


def tests(
    cfg: Cfg,
    splits: SplitFile,
    baselines: Annotated[Path, typer.Option(help="Scores of chance and majority; a family of their own.")],
    out: Out,
    scores: Annotated[list[Path], typer.Argument(help="Scores of each system, the reference first.")],
    linear: Annotated[
        Path | None,
        typer.Option(help="Scores of the linear baseline; a family of its own."),
    ] = None,  # noqa: PT028 (no test)
) -> None:
    """Matched-pair t-tests of the first system against each other one, over the splits.

    Example: avemo tests --cfg '{"tail": "greater"}' --splits splits.json --baselines baselines.csv
    --linear linear.csv --out tests.csv a.csv b.csv
    """
    from avemo.base.made_of import checked, require_made_of, write_made
    from avemo.base.result_tables import read_results
    from avemo.dataset.splits import load_splits
    from avemo.report.comparison import families
    from avemo.study.run import Tests as TestsSpec
    from avemo.study.stage_code import stage_code

    read = {"splits": checked(splits), "baselines": checked(baselines)}
    read |= {f"scores of {path.stem}": checked(path) for path in scores}
    read |= {"linear": checked(linear)} if linear else {}
    for path in (baselines, *scores, *([linear] if linear else [])):
        require_made_of(path, {"splits": read["splits"]})
    blind = [read_results(path) for path in (baselines, *([linear] if linear else []))]
    tail = as_spec(TestsSpec, cfg).tail
    table = families([read_results(path) for path in scores], blind, load_splits(splits), tail)
    code = stage_code("tests")
    write_made(out, lambda path: table.to_csv(path, index=False), as_mapping(cfg), read, code)
    typer.echo(table.to_string(index=False))


@dataclass(frozen=True)
class Features:
    """The ``data`` of a run's manifests; by what records call these features their ``fingerprints``, and by name what the
    networks behind them hold.

    ``read`` is what records say of the manifests.
    """

    data: ClipData
    fingerprints: dict[str, str]
    weights: dict[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)


@contextmanager
def features_of(
    audio: list[str] | None, visual: list[str] | None, targets: dict[str, Any]
) -> Iterator[Features]:
    """Those of the manifests there are, each given with how it is read; see `avemo.study.run.as_option`."""
    from avemo.base.made_of import read_of
    from avemo.study.inputs import Input, open_inputs
    from avemo.study.run import named, read_option

    texts = named("audio", audio or ()) | named("visual", visual or ())
    given = [Input(name, *read_option(text)) for name, text in texts.items()]
    with ExitStack() as stack:
        opened = open_inputs(given, stack)
        prints = {one.told: opened.sets[one.name].fingerprint for one in given}
        made_by = {
            name: features.info.get("provenance", {}).get("weights") for name, features in opened.sets.items()
        }
        read: dict[str, str] = {}
        for one in given:
            read |= read_of(one.told, one.manifest, prints[one.told])
        yield Features(
            opened.clips(targets),
            prints,
            {name: weights for name, weights in made_by.items() if weights},
            read,
        )
