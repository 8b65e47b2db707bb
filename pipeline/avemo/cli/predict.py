"""`avemo predict`: class probabilities or attributes of any clip, with a trained run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avemo.cli.options import Threads, use_threads

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    clip: Annotated[Path, typer.Argument(help="A video, or sound alone.")],
    run: Annotated[Path, typer.Option(help="A run's results folder, e.g. results/demo.")],
    system: Annotated[str, typer.Option(help="Which system; default: the run's first.")] = "",
    split: Annotated[str, typer.Option(help="Which split's model.")] = "split00",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    threads: Threads = 2,
) -> None:
    """Print probabilities or attributes of a clip, by a trained system of a run.

    Example: avemo predict CLIP.mp4 --run results/demo --system mult --json
    """
    use_threads(threads)
    import torch

    from avemo.base.contracts import AvemoError, Clip
    from avemo.base.registry import nearest
    from avemo.evaluation.prediction import predict_clip
    from avemo.media.probe import kinds, with_streams
    from avemo.study.layout import MODEL, training_folder
    from avemo.study.study import read_run

    torch.set_num_threads(threads)
    config = read_run(run)
    systems = list(config.systems)
    name = system or systems[0]
    if name not in systems:
        raise AvemoError(f"{run}: no system {name!r}{nearest(name, systems)}; trained: {', '.join(systems)}")
    asked = with_streams(Clip(clip.name, "", "", audio_path=clip, video_path=clip), kinds(clip, clip.name))
    answer = predict_clip(asked, config, training_folder(run, name, split) / MODEL)
    notes = list(answer.notes)
    if config.corpus.synthetic:
        notes.append(f"trained on a synthetic corpus ({config.corpus.title})")
    if as_json:
        found = {"clip": str(clip), "system": name, "split": split, answer.kind: answer.values}
        typer.echo(json.dumps(found | {"notes": notes}, indent=1))
    else:
        typer.echo(f"{clip}  by {config.systems[name].title}, {split}")
        for name, value in sorted(answer.values.items(), key=lambda pair: -pair[1]):
            shares = f"{value:6.1%}  {'█' * round(40 * value)}"
            typer.echo(f"  {name:12} {shares if answer.kind == 'probabilities' else format(value, '6.3f')}")
        for note in notes:
            typer.echo(f"note: {note}")
