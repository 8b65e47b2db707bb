"""`avemo demo`: the whole default run, through Snakemake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    cores: Annotated[str, typer.Option(help="A number, or all.")] = "all",
    config: Annotated[Path, typer.Option("--config", help="A run's YAML.")] = Path("config/config.yaml"),
) -> None:
    """Run the demo end to end and print the path of its report.

    Example: avemo demo --cores 2
    """
    from pipeline.study import read_study

    layouts = read_study(config).layouts
    command = [sys.executable, "-m", "snakemake", "--cores", cores, "--configfile", str(config)]
    code = _wait(subprocess.Popen(command))
    if code == 0:
        for layout in layouts.values():
            typer.echo(f"report: {layout.report.resolve()}")
    raise typer.Exit(code)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The process' exit code. Ctrl-C reaches it by itself, and it needs time to stop its jobs and unlock."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
