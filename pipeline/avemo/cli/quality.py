"""`avemo cache quality`: how good each clip's media and face track are."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from avemo.cli.cache import cache_app
from avemo.cli.options import Counter, Index, Out, write_text


def register(_: typer.Typer) -> None:
    cache_app.command()(quality)


def quality(
    index: Index,
    out: Out,
    faces: Annotated[Path | None, typer.Option(help="Manifest of the face tracks.")] = None,
    audio: Annotated[
        list[Path] | None, typer.Option(help="Manifest of acoustic features; again for further ones.")
    ] = None,
    visual: Annotated[
        list[Path] | None, typer.Option(help="Manifest of visual features; again for further ones.")
    ] = None,
) -> None:
    """Write a row a clip: failures, faces, gaps, clipping, silence, lengths; the worst clips first.

    Example: avemo cache quality --index index.parquet --faces manifest.json --out quality.csv
    """
    from avemo.base.made_of import checked, read_of, write_made
    from avemo.base.result_tables import to_result_csv
    from avemo.cache.manifest import FeatureSet
    from avemo.evaluation.clip_quality import quality_table
    from avemo.index.clip_table import read_table
    from avemo.study.run import named
    from avemo.study.stage_code import stage_code

    read, rows = {"index": checked(index)}, read_table(index)
    counter = Counter("quality")
    with ExitStack() as opened:
        given = {"faces": faces} if faces else {}
        given |= named("audio", audio or ()) | named("visual", visual or ())
        stages = {name: opened.enter_context(FeatureSet(path)) for name, path in given.items()}
        for name, path in given.items():
            read |= read_of(name, path, stages[name].fingerprint)
        table = quality_table(rows, stages, lambda done: counter(done, len(rows)))
    code = stage_code("quality")
    write_made(out, partial(write_text, text=to_result_csv(table)), None, read, code)
    for row in table[table.concern != ""].head(5).itertuples():
        typer.echo(f"{row.clip_id}: {row.concern}")
    typer.echo(f"{out}: {len(table)} clips, {int((table.concern != '').sum())} with a concern")
