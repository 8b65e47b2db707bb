"""`avemo run` and `avemo demo`: Snakemake, and a view of how far it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avemo.cli.options import DEFAULT_CONFIG, SNAKEFILE, ConfigFile, Profile

if TYPE_CHECKING:
    from rich.console import RenderableType

    from avemo.progress.status import Progress
    from avemo.study.study import Study

LOG = Path(".avemo/run.log")
LOOK_S = 10.0
"""Seconds between two looks at a run, more where a look takes long."""
LAST_LINES = 20
LINE_LENGTH = 300


def register(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(run)


def demo(
    cores: Annotated[str, typer.Option(help="A number, or all.")] = "all", config: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Run the demo end to end and print the path of its report.

    Example: avemo demo --cores 2
    """
    run(["--cores", cores], config)


def run(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Targets and options for Snakemake, after `--`.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    profile: Profile = None,
) -> None:
    """Run the workflow and show each stage's progress; all that Snakemake says goes to .avemo/run.log.

    Example: avemo run --configfile mine.yaml --profile profiles/slurm -- tables
    """
    from avemo.study.study import read_study

    study = read_study(config)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    where = ["--snakefile", str(SNAKEFILE), "--configfile", str(config)]
    where += ["--profile", str(profile)] if profile else []
    command = [sys.executable, "-m", "snakemake", *(arguments or []), *where]
    with LOG.open("w") as log:
        code = _watched(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT), study)
    if code and not any(row.failed for rows in _look(study).values() for row in rows):
        # No job is to blame, so Snakemake itself has something to say.
        for said in LOG.read_text(errors="replace").splitlines()[-LAST_LINES:]:
            typer.echo(said[:LINE_LENGTH], err=True)
    for page in [layout.report for layout in study.layouts.values()] + study.table_files[-1:]:
        if code == 0 and page.is_file():
            typer.echo(f"report: {page.resolve()}")
    raise typer.Exit(code)


def _watched(process: subprocess.Popen[bytes], study: Study) -> int:
    """Show progress until the process ends; its exit code. Ctrl-C reaches it by itself, and it needs time to stop."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        return _told(process, study)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            begin = time.monotonic()
            live.update(_tables(_look(study)), refresh=True)
            if (code := _wait(process, max(LOOK_S, 5 * (time.monotonic() - begin)))) is not None:
                live.update(_tables(_look(study)), refresh=True)
                return code


def _told(process: subprocess.Popen[bytes], study: Study) -> int:
    """As `_watched`, in plain lines: a stage's line again where its jobs have changed."""
    from avemo.progress.view import changed, failures, line

    before: dict[str, list[Progress]] = {}
    code = None
    while True:
        begin = time.monotonic()
        now = _look(study)
        for name, rows in now.items():
            for row in changed(rows, before.get(name, [])):
                typer.echo(f"{time.strftime('%H:%M:%S')} {name}: {line(row)}")
        before = now
        if code is not None:
            for rows in now.values():
                for end in failures(rows):
                    typer.echo(end)
            return code
        code = _wait(process, max(LOOK_S, 5 * (time.monotonic() - begin)))


def _look(study: Study) -> dict[str, list[Progress]]:
    from avemo.progress.status import status

    return {name: status(study, name) for name in study.runs}


def _tables(found: dict[str, list[Progress]]) -> RenderableType:
    from rich.console import Group

    from avemo.progress.view import table

    return Group(*(table(f"{name} at {time.strftime('%H:%M:%S')}", rows) for name, rows in found.items()))


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The process' exit code; None if it still runs after so long."""
    until = time.monotonic() + seconds
    while True:
        try:
            return process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        except KeyboardInterrupt:
            continue
