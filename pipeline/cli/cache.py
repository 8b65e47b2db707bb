"""Cache commands: manifest for the workflow; ls and verify for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Out

cache_app = typer.Typer(help="Feature stores.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A corpus' folder under the cache, or the cache itself.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> None:
    app.add_typer(cache_app, name="cache")


@cache_app.command()
def manifest(
    component: Annotated[str, typer.Option(help="What the shards hold.")],
    out: Out,
    shards: Annotated[list[Path], typer.Argument(help="Published shards.")],
) -> None:
    """List a component's shards with a fingerprint of what they hold; nothing is merged or copied.

    Example: avemo cache manifest --component compare_lld --out manifest.json 0000.h5 0001.h5
    """
    from pipeline.cache.manifest import write_manifest
    from pipeline.cache.shard import Shard

    with Shard(shards[0]) as first:
        info = first.info
    typer.echo(json.dumps(write_manifest(out, shards, component, info), indent=1))


@cache_app.command()
def ls(folder: Folder = Path("cache"), as_json: Json = False) -> None:
    """What the stores hold: clips, frames, bytes.

    Example: avemo cache ls cache/demo
    """
    from pipeline.cache.listing import describe

    rows = [asdict(row) for row in describe(folder)]
    if as_json:
        typer.echo(json.dumps(rows, default=str, indent=1))
        return
    _print_table(rows)


@cache_app.command()
def verify(folder: Folder = Path("cache"), as_json: Json = False) -> None:
    """Check every stored item against its checksum; exit code 1 if anything is wrong.

    Example: avemo cache verify cache/demo
    """
    from pipeline.cache.verify import verify_folder

    problems = verify_folder(folder)
    if as_json:
        typer.echo(json.dumps([asdict(problem) for problem in problems], default=str, indent=1))
    else:
        for problem in problems:
            typer.echo(f"{problem.file}: {problem.clip_id or 'whole file'}: {problem.what}")
        typer.echo(f"{folder}: {len(problems) or 'no'} problems")
    raise typer.Exit(1 if problems else 0)


def _print_table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*(rows[0] if rows else ["nothing stored"]))
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
