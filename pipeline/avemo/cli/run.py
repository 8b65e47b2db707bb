"""`avemo run` and `avemo demo`: Snakemake, and a view of how far it is."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avemo.cli.options import DEFAULT_CONFIG, SNAKEFILE, ConfigFile, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from avemo.progress.session import Session
    from avemo.progress.status import Progress
    from avemo.study.study import Study

LOG = Path(".avemo/run.log")
LOOK_S = 6.0
"""Seconds between two looks at a run, more where a look takes long."""
SILENCE = 60
"""Lines that say what a run is doing come after this part of the time it has gone on, at each look at first."""
NEXT = """next: your own clips, in a CSV table of paths, speakers and labels: avemo corpus check --help
      a setting changed, and only what it touches made anew: avemo plan --configfile mine.yaml
      one clip, by a model of this run: avemo predict CLIP --run {run}"""
STOP_S = 14.0
"""A run told to stop has ended by then; no look is begun that might take longer."""
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
    study, code = _run(["--cores", cores], config)
    if code == 0:
        typer.echo(NEXT.format(run=next(iter(study.layouts.values())).results))
    raise typer.Exit(code)


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
    _, code = _run(arguments or [], config, profile)
    raise typer.Exit(code)


def _run(arguments: Sequence[str], config: Path, profile: Path | None = None) -> tuple[Study, int]:
    """The study, and Snakemake's exit code."""
    typer.echo(f"{time.strftime('%H:%M:%S')} {config}: all that Snakemake says goes to {LOG}")
    from avemo.progress.session import Session, Stopped
    from avemo.study.config import as_read
    from avemo.study.kept import read_study
    from avemo.study.layout import ACROSS_PAGE
    from avemo.study.losses import losses_of

    study = read_study(config)
    for loss in losses_of(study):
        typer.echo(f"warning: {loss}", err=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    where = ["--snakefile", str(SNAKEFILE), "--configfile", str(as_read(config))]
    where += ["--profile", str(profile)] if profile else []
    command = [sys.executable, "-m", "snakemake", *arguments, *where]
    look = Look(study)
    # What a stopped run has left half made is made again.
    with LOG.open("w") as log, Session([*command, "--rerun-incomplete"], log) as session:
        try:
            code = _watched(session, look)
        except Stopped:
            typer.echo(f"{session.asked[0].name}: stopping; once more kills the jobs under way", err=True)
            begin = time.monotonic()
            tidy = session.stop()
            if time.monotonic() - begin + look.took_s < STOP_S:
                _tell_what_is_kept(look())
            if not tidy:
                unlock = shlex.join([*command, "--unlock"])
                typer.echo(f"Snakemake had to be killed; take its lock away: {unlock}", err=True)
            typer.echo("Clips of shards under way, and trainings up to their last checkpoint, are kept.")
            typer.echo("The same command goes on from there.")
            raise typer.Exit(128 + session.asked[0]) from None
    if code and not any(row.failed for rows in look().values() for row in rows):
        # No job is to blame, so Snakemake itself has something to say.
        for said in LOG.read_text(errors="replace").splitlines()[-LAST_LINES:]:
            typer.echo(said[:LINE_LENGTH], err=True)
    across = [study.folder / ACROSS_PAGE] if study.across else []
    for page in [*(layout.report for layout in study.layouts.values()), *study.table_files[-1:], *across]:
        if code == 0 and page.is_file():
            typer.echo(f"report: {page.resolve()}")
    return study, code


class Look:
    """The progress of each run of a study, by name; ``took_s`` is how long the last look took."""

    def __init__(self, study: Study):
        self.study, self.took_s = study, 0.0

    def __call__(self) -> dict[str, list[Progress]]:
        from avemo.progress.status import status

        begin = time.monotonic()
        found = {name: status(self.study, name) for name in self.study.runs}
        self.took_s = time.monotonic() - begin
        return found

    @property
    def pause_s(self) -> float:
        """How long to wait for the next look."""
        return max(LOOK_S, 5 * self.took_s)


def _tell_what_is_kept(found: dict[str, list[Progress]]) -> None:
    from avemo.progress.view import line

    for name, rows in found.items():
        for row in rows:
            if row.clips_done or row.done:
                typer.echo(f"kept of {name}: {line(row)}")


def _watched(session: Session, look: Look) -> int:
    """Show progress until Snakemake ends; its exit code."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        return _told(session, look)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(_tables(look()), refresh=True)
            if (code := session.wait(look.pause_s)) is not None:
                live.update(_tables(look()), refresh=True)
                return code


def _told(session: Session, look: Look) -> int:
    """As `_watched`, in plain lines: a stage's line again where its jobs have changed."""
    from avemo.progress.view import changed, doing, failures, line

    before: dict[str, list[Progress]] = {}
    code = None
    begin = said = time.monotonic()
    while True:
        now = look()
        told = [
            (name, line(row)) for name, rows in now.items() for row in changed(rows, before.get(name, []))
        ]
        moment = time.monotonic()
        if not told and code is None and moment - said >= (moment - begin) / SILENCE:
            told = [(name, doing(rows)) for name, rows in now.items() if any(row.running for row in rows)]
        for name, text in told:
            typer.echo(f"{time.strftime('%H:%M:%S')} {name}: {text}")
            said = moment
        before = now
        if code is not None:
            for rows in now.values():
                for end in failures(rows):
                    typer.echo(end)
            return code
        code = session.wait(look.pause_s)


def _tables(found: dict[str, list[Progress]]) -> RenderableType:
    from rich.console import Group

    from avemo.progress.view import table

    return Group(*(table(f"{name} at {time.strftime('%H:%M:%S')}", rows) for name, rows in found.items()))
