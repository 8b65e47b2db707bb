"""`avemo predict` and `avemo bundle`: what a trained system says of clips, here and on another machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avemo.cli.options import Counter, Threads, use_threads

if TYPE_CHECKING:
    from avemo.evaluation.many_clips import Answered
    from avemo.evaluation.predictor import Predictor
    from avemo.study.run import Run

DONE, FAILED, STOPPED = 0, 3, 130
TIMELINES = "timelines"
Source = Annotated[Path, typer.Option("--run", help="A run's results folder, or a bundle of one.")]
System = Annotated[str, typer.Option("--system", help="Which system; default: the run's first.")]
Split = Annotated[str, typer.Option("--split", help="Which split's model; default: the mean of all.")]


def register(app: typer.Typer) -> None:
    app.command()(predict)
    app.command()(bundle)


def predict(
    clip: Annotated[
        Path, typer.Argument(help="A video, sound alone, a folder of them, or a list: .csv, .parquet, .txt.")
    ],
    run: Source,
    system: System = "",
    split: Split = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for tables; goes on where an earlier call stopped.")
    ] = None,
    window: Annotated[float | None, typer.Option(help="Cut clips into windows of so many seconds.")] = None,
    step: Annotated[
        float | None, typer.Option(help="Seconds from window to window; default: half a window.")
    ] = None,
    no_temperature: Annotated[
        bool, typer.Option("--no-temperature", help="Probabilities as the models give them, not calibrated.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; of one clip.")] = False,
    threads: Threads = 2,
) -> None:
    """Print probabilities or attributes of a clip, or write those of many as CSV and Parquet, by a trained system.

    A clip that fails keeps its row, with reason and remedy; the exit code is 3 then.

    Example: avemo predict videos --run results/demo --system mult --out predictions --window 4
    """
    use_threads(threads)
    import torch

    from avemo.base.contracts import ConfigError
    from avemo.evaluation.bundle import opened
    from avemo.evaluation.clip_list import LISTS, check_windows
    from avemo.evaluation.predictor import open_predictor

    torch.set_num_threads(threads)
    if step is not None and window is None:
        raise ConfigError("--step: expected --window with it, found none; give both")
    if window is not None:
        check_windows(window, step or window / 2)
    many = clip.is_dir() or clip.suffix.lower() in LISTS or window is not None
    if many and out is None:
        raise ConfigError(
            f"{clip}: expected --out with a folder, a list or --window, found none; name a folder"
        )
    if out is not None and as_json:
        raise ConfigError("--json: expected without --out, which has tables; take one of them away")
    with opened(run) as (folder, config):
        predictor = open_predictor(folder, config, system, split, not no_temperature)
        name = system or next(iter(config.systems))
        if out is None:
            _print_one(clip, config, name, split, predictor, as_json)
        else:
            code = _write_many(clip, predictor, out, window, step)
            raise typer.Exit(code)


def _print_one(clip: Path, config: Run, system: str, split: str, predictor: Predictor, as_json: bool) -> None:
    from avemo.evaluation.clip_list import Asked

    answer = predictor.predict(Asked(clip.name, clip).clip())
    notes = list(dict.fromkeys([*answer.notes, *predictor.cautions]))
    if as_json:
        found = {"clip": str(clip), "system": system, "split": split or "all", answer.kind: answer.values}
        found |= {"models": list(predictor.models), "temperatures": predictor.temperatures, "notes": notes}
        typer.echo(json.dumps(found, indent=1))
        return
    models = ", ".join(predictor.models) if len(predictor.models) < 4 else f"{len(predictor.models)} models"
    calibrated = ", calibrated" if predictor.temperatures else ""
    typer.echo(f"{clip}  by {config.systems[system].title}, {models}{calibrated}")
    for name, value in sorted(answer.values.items(), key=lambda pair: -pair[1]):
        shares = f"{value:6.1%}  {'█' * round(40 * value)}"
        typer.echo(f"  {name:12} {shares if answer.kind == 'probabilities' else format(value, '6.3f')}")
    for note in notes:
        typer.echo(f"note: {note}")


def _write_many(
    place: Path, predictor: Predictor, out: Path, window: float | None, step: float | None
) -> int:
    """Rows one by one, tables at the end and at Ctrl-C; the exit code."""
    from avemo.base.contracts import Status
    from avemo.evaluation.clip_list import asked_for, cut
    from avemo.evaluation.many_clips import answers, require_free, table_of, write_tables

    require_free(out)
    asking = asked_for(place)
    clips = cut(asking.clips, window, step or window / 2) if window else asking.clips
    if asking.left_out:
        typer.echo(f"{len(asking.left_out)} files are no media by name, e.g. {asking.left_out[0]}", err=True)
    done: list[Answered] = []
    counter, stopped = Counter("predicted"), False
    try:
        for answered in answers(clips, predictor, out):
            done.append(answered)
            counter(len(done), len(clips))
    except KeyboardInterrupt:
        stopped = True
    if done:
        table = table_of(done, predictor)
        write_tables(table, out)
        if window:
            _draw(table, predictor, out)
    failed = sum(one.kept["status"] != Status.ok for one in done)
    known = sum(one.known for one in done)
    typer.echo(f"{out}: {len(done)} of {len(clips)} rows, {known} known before, {failed} failed")
    for caution in predictor.cautions:
        typer.echo(f"note: {caution}")
    if stopped:
        typer.echo("stopped; the same command goes on from here", err=True)
        return STOPPED
    return FAILED if failed else DONE


def _draw(table: Any, predictor: Predictor, out: Path) -> None:
    """A figure for each recording of several windows, named for its file and what that holds."""
    from avemo.base.contracts import digest
    from avemo.report.figures import save_svg
    from avemo.report.timeline import timeline

    notes = [{"kind": caution, "text": caution} for caution in predictor.cautions]
    (out / TIMELINES).mkdir(exist_ok=True)
    for clip_id, rows in table.groupby("clip_id", sort=False):
        if len(rows) > 1:
            duration_s = rows["start_s"].max() + (rows["end_s"] - rows["start_s"]).max()
            stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(rows["path"].iloc[0]).stem)[:60]
            name = f"{stem}-{digest([clip_id, rows['media_sha256'].iloc[0]])[:8]}.svg"
            save_svg(timeline(rows, predictor.task, float(duration_s), notes), out / TIMELINES / name)


def bundle(
    run: Annotated[Path, typer.Option(help="A run's results folder.")],
    out: Annotated[Path, typer.Option(help="What to write: a folder, or one file that ends in .zip.")],
    system: System = "",
    split: Annotated[str, typer.Option(help="Which split's model; default: all.")] = "",
    without_encoders: Annotated[
        bool,
        typer.Option(
            "--without-encoders", help="Leave out the extractors' weights, where they are known by name."
        ),
    ] = False,
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx", help="Put the models in as ONNX too, checked against torch; wants avemo[onnx]."
        ),
    ] = False,
) -> None:
    """Write a trained system to carry elsewhere: weights, config, names, normalisation, temperatures and a card.

    `avemo predict --run BUNDLE` reads it as it reads the run.

    Example: avemo bundle --run results/demo --system mult --out mult.zip
    """
    from avemo.evaluation.bundle import CARD
    from avemo.evaluation.bundle_writing import write_bundle
    from avemo.evaluation.predictor import open_predictor
    from avemo.study.study import read_run

    config = read_run(run)
    name = system or next(iter(config.systems))
    predictor = open_predictor(run, config, name, split)
    manifest = write_bundle(run, config, name, predictor, out, encoders=not without_encoders, onnx=onnx)
    size = sum(file.bytes for file in manifest.files.values())
    typer.echo(f"{out}: {len(manifest.files)} files, {size / 1e6:.1f} MB; {CARD} in it says what it is")
    for caution in manifest.cautions:
        typer.echo(f"note: {caution}")
