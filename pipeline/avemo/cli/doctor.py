"""`avemo doctor`: is this machine, or this cluster, fit?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from avemo.base.project import carried


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Check the Slurm cluster that a profile names.")
    ] = False,
    profile: Annotated[Path, typer.Option(callback=carried, help="The cluster's Snakemake profile.")] = Path(
        "profiles/slurm"
    ),
    folder: Annotated[Path, typer.Option(help="Where caches and results will lie.")] = Path("."),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look for what would stop a run before it is started; exit code 1 if something would.

    Example: avemo doctor --slurm
    """
    from avemo.machine.doctor import machine, profile_partitions
    from avemo.machine.doctor import slurm as cluster
    from avemo.study.config import read_config

    file = profile / "profile.yaml" if profile.is_dir() else profile
    checks = cluster(profile_partitions(read_config(file)), folder) if slurm else machine(folder)
    found = []
    for check in checks:
        found.append(check)
        if not as_json:
            mark = {True: "ok", False: "BAD", None: "-"}[check.ok]
            typer.echo(f"{mark:4} {check.name}: {check.found}")
            if check.ok is False:
                typer.echo(f"     {check.remedy}")
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in found], indent=1))
    raise typer.Exit(int(any(check.ok is False for check in found)))
