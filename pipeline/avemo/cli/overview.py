"""`avemo plan` and `avemo status`: what a run would do, and how far it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avemo.cli.options import DEFAULT_CONFIG, SNAKEFILE, ConfigFile, Profile, Run, write_aside

if TYPE_CHECKING:
    from rich.console import RenderableType

    from avemo.progress.plan import Stage

Picture = Annotated[Path | None, typer.Option("--svg", help="Also draw what is printed, as a picture.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
WATCH_S = 10.0
PICTURE_WIDTH = 110


def register(app: typer.Typer) -> None:
    app.command()(plan)
    app.command()(status)


def plan(
    targets: Annotated[list[str] | None, typer.Argument(help="Rules or files; default the report.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    profile: Profile = None,
    snakefile: Annotated[Path, typer.Option(help="The workflow.", show_default="avemo's own")] = SNAKEFILE,
    as_json: Json = False,
    svg: Picture = None,
) -> None:
    """Tell what a run would do: jobs, clips, estimated hours and disk, and why each stage would run.

    Example: avemo plan --configfile config/config.yaml
    """
    from avemo.progress.dryrun import dry_run
    from avemo.progress.plan import is_open, make_plan, older_code
    from avemo.study.config import as_read
    from avemo.study.kept import read_study
    from avemo.study.losses import losses_of

    study = read_study(config)
    for loss in losses_of(study):
        typer.echo(f"warning: {loss}", err=True)
    where = ["--snakefile", str(snakefile), "--configfile", str(as_read(config))]
    jobs = dry_run(
        [*(targets or []), *where, *(["--profile", str(profile)] if profile else ["--cores", "1"])]
    )
    stages, older = make_plan(study, jobs), older_code(study)
    if as_json:
        found = {"open": is_open(jobs), "stages": [asdict(s) for s in stages], "older_code": older}
        typer.echo(json.dumps(found, indent=1))
        return
    told = "\n".join([*_plan_lines(stages, is_open(jobs)), *_code_lines(older)])
    typer.echo(told)
    if svg:
        draw(svg, "avemo plan", told)


def status(
    config: ConfigFile = DEFAULT_CONFIG,
    run: Run = "",
    watch: Annotated[bool, typer.Option("--watch", help="Again every 10 seconds, until Ctrl-C.")] = False,
    as_json: Json = False,
    svg: Picture = None,
) -> None:
    """Tell how far a run is, from its files: per stage jobs, clips, rate, time left, cost, last lines of failures.

    Run it where the run was started, from any shell; exit code 1 if a job has failed.

    Example: avemo status --configfile config/config.yaml
    """
    from rich.console import Console

    from avemo.progress.status import status as look
    from avemo.progress.view import lines, table
    from avemo.study.kept import read_study

    study = read_study(config)
    names = [run] if run else list(study.runs)
    while True:
        found = {name: look(study, name) for name in names}
        if as_json:
            told = {name: [asdict(row) for row in rows] for name, rows in found.items()}
            typer.echo(json.dumps(told, indent=None if watch else 1))
        else:
            console = Console()
            if watch:
                console.clear()
            for name, rows in found.items():
                title = f"{name} at {time.strftime('%H:%M:%S')}"
                if console.is_terminal:
                    console.print(table(title, rows))
                else:
                    typer.echo("\n".join([title, *lines(rows)]))
        if svg:
            draw(svg, "avemo status", *(table(name, rows) for name, rows in found.items()))
        if not watch:
            break
        time.sleep(WATCH_S)
    raise typer.Exit(int(any(row.failed for rows in found.values() for row in rows)))


def _plan_lines(stages: Sequence[Stage], is_open: bool) -> Iterator[str]:
    if not stages:
        yield "nothing to do: everything is up to date"
        return
    for stage in stages:
        parts = [f"{stage.jobs} job{'s' * (stage.jobs > 1)}", *_amounts(stage)]
        basis = f" ({stage.basis})" if stage.basis else ""
        yield f"{stage.rule} {stage.of}: {', '.join(parts)}{basis}"
        yield from (f"    {reason}" for reason in stage.why)
    cpu, gpu = sum(stage.cpu_h or 0 for stage in stages), sum(stage.gpu_h or 0 for stage in stages)
    unknown = sum(stage.basis.startswith("no ") for stage in stages)
    yield (
        f"{sum(stage.jobs for stage in stages)} jobs, {cpu:.2f} CPU hours, {gpu:.2f} GPU hours, "
        f"{sum(stage.bytes or 0 for stage in stages) / 1e6:.1f} MB"
        + (f"; {unknown} stages have no record and are not in these sums" if unknown else "")
    )
    if is_open:
        yield "A clip table is to be made first; what it changes is not in this plan."


def _code_lines(older: Sequence[str]) -> Iterator[str]:
    """What was made by other code than there is now, and what can be done about it."""
    if older:
        yield "Made by other code than is installed now; code_changes: rerun makes it again, ignore says nothing:"
        yield from (f"    {one}" for one in older)


def draw(path: Path, title: str, *shown: RenderableType) -> None:
    """A terminal's picture (SVG), in whatever monospaced font its reader has: it fetches none."""
    import io
    import re

    from rich.console import Console

    console = Console(record=True, width=PICTURE_WIDTH, file=io.StringIO(), force_terminal=True)
    for one in shown:
        console.print(one, markup=False, highlight=False)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)
    write_aside(path, lambda temporary: temporary.write_text(picture))


def _amounts(stage: Stage) -> Iterator[str]:
    if stage.compute is not None:
        yield f"{stage.compute} clips to compute, {stage.cached} cached"
    for name, value in (("CPU", stage.cpu_h), ("GPU", stage.gpu_h)):
        if value is not None:
            yield f"{value:.3f} {name} h"
    if stage.bytes is not None:
        yield f"{stage.bytes / 1e6:.1f} MB"
