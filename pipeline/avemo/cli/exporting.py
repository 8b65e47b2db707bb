"""`avemo export`: a run's features with labels and sides, as other programs read them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """Whose format."""

    datasets = "datasets"
    audformat = "audformat"
    mmsa = "mmsa"
    webdataset = "webdataset"


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    run: Annotated[Path, typer.Argument(help="A run's results folder, e.g. results/demo.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    form: Annotated[Form, typer.Option("--format", help="Whose format to write.")] = Form.datasets,
    split: Annotated[str, typer.Option(help="Which split's sides.")] = "split00",
    feature: Annotated[
        list[str] | None,
        typer.Option(
            help="audio, visual, audio-2, or audio/9 for a layer; again for each. Default: what systems see."
        ),
    ] = None,
) -> None:
    """Write a run's clips with features, labels and sides, for Hugging Face `datasets`, audformat, MMSA or webdataset.

    Features of one component alone, which can come back into a cache, are written by `avemo cache export`.

    Example: avemo export results/demo --format webdataset --out demo_shards
    """
    from avemo.exports.export import export as export_run

    given = export_run(run, out, form, split, feature)
    sides = ", ".join(f"{side} {len(clips)}" for side, clips in given.sides.items())
    typer.echo(f"{sum(map(len, given.sides.values()))} clips to {out}: {sides}")
    for reason, count in given.left_out.items():
        typer.echo(f"left out, {reason}: {count}")
    for note in given.notes:
        typer.echo(f"note: {note}")
