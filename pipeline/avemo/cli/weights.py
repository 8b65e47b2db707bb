"""Weights commands: list, fetch, verify, convert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

weights_app = typer.Typer(
    help="Published weights: where from, whose, whether they are here.", no_args_is_help=True
)
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(help="Registered names or names of the hub; default: all registered ones that are here."),
]


def register(app: typer.Typer) -> None:
    app.add_typer(weights_app, name="weights")


@weights_app.command("list")
def list_(as_json: Json = False) -> None:
    """What is known of published weights: source, licence, layer, input, and whether the file is here.

    Example: avemo weights list --json
    """
    from avemo.weights.fetch import describe
    from avemo.weights.known import KNOWN

    rows = [describe(name) for name in KNOWN]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['name']}  ({row['path']}: {'here' if row['present'] else 'not here'})")
        for key in ("extractor", "layer", "input_size", "licence", "paper", "page", "note"):
            if row[key]:
                typer.echo(f"    {key:11}{row[key]}")


@weights_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A registered name, or hub:owner/name@revision.")],
) -> None:
    """Download weights; the only command that goes online for them.

    Example: avemo weights fetch vgg_face_dag
    """
    from avemo.weights.fetch import fetch as fetch_weights
    from avemo.weights.find import locate
    from avemo.weights.hub import fetch_hub, hub_name
    from avemo.weights.known import KNOWN

    if hub_name(name):
        typer.echo(f"{name}: {fetch_hub(name)} (its terms are on its page and in the folder's README.md)")
        return
    _require_known(name)
    found = fetch_weights(name)
    typer.echo(f"{name}: {found} ({KNOWN[name].licence})")
    if KNOWN[name].pickled:
        typer.echo(
            "published as a pickled module, which runs its author's code when loaded; if you trust it: "
            f"avemo weights convert {found} --allow-pickle --out {locate(name)}"
        )


@weights_app.command()
def verify(names: Names = None, as_json: Json = False) -> None:
    """Compare registered weights with their published or recorded sha-256; exit code 1 if one differs.

    Example: avemo weights verify vgg_face_dag
    """
    from avemo.base.contracts import AvemoError
    from avemo.weights.find import find, locate
    from avemo.weights.hub import hub_name
    from avemo.weights.known import KNOWN

    for name in names or ():
        if not hub_name(name):
            _require_known(name)
    rows = []
    for name in names or [name for name in KNOWN if locate(name).exists()]:
        try:
            rows.append({"name": name, "ok": True, "detail": find(name).identity})
        except AvemoError as error:
            rows.append({"name": name, "ok": False, "detail": str(error)})
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        for row in rows:
            typer.echo(f"{row['name']}: {'ok ' if row['ok'] else ''}{row['detail']}")
        if not rows:
            typer.echo("no registered weights are here")
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


@weights_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A state dict, or with --allow-pickle a pickled module.")],
    out: Annotated[Path, typer.Option("--out", help="The .safetensors file to write.")],
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Unpickle: runs code from the file. Only if you trust it.")
    ] = False,
) -> None:
    """Turn a state dict or a pickled module into safetensors, once, keeping its tensors' names.

    Example: avemo weights convert weights/enet_b2_8.pt --allow-pickle --out weights/enet_b2_8.safetensors
    """
    from avemo.weights.convert import convert as convert_file

    count = convert_file(source, out, allow_pickle=allow_pickle)
    typer.echo(f"{out}: {count} tensors")


def _require_known(name: str) -> None:
    from avemo.base.contracts import AvemoError
    from avemo.base.registry import nearest
    from avemo.weights.known import KNOWN

    if name not in KNOWN:
        raise AvemoError(f"unknown weights {name!r}{nearest(name, KNOWN) or '.'} Known: {', '.join(KNOWN)}")
