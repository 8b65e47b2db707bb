"""`avemo audit`: proves from a finished run's records that nothing leaked, or names what did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from avemo.evaluation.audit import Finding


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    run: Annotated[Path, typer.Option(help="A run's results folder, e.g. results/demo, or a paper's.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that no test clip leaked into a finished run: groups, speakers, media, statistics, selection, test, splits, features.

    Exit code 1 where something did. A class that a side lacks is a warning (!!).

    Example: avemo audit --run results/demo
    """
    from avemo.evaluation.audit import COVERS
    from avemo.evaluation.run_audit import examine, run_configs

    found = {name: examine(config) for name, config in run_configs(run).items()}
    passed = all(finding.passed for findings in found.values() for finding in findings)
    text = json.dumps(
        {"passed": passed, "covers": COVERS, "runs": {n: [_shown(f) for f in fs] for n, fs in found.items()}},
        indent=1,
    )
    lines = [line for name in found for line in _lines(name, found[name])]
    typer.echo(text if as_json else "\n".join(lines))
    raise typer.Exit(0 if passed else 1)


def _shown(finding: Finding) -> dict[str, Any]:
    return {"check": finding.name, "passed": finding.passed} | {
        key: getattr(finding, key) for key in ("title", "examined", "offences", "warnings")
    }


def _lines(run: str, findings: list[Finding]) -> list[str]:
    """For people: a line a check, and its offences and warnings below it."""
    from avemo.evaluation.audit import COVERS

    lines = [f"{run}: {'nothing leaked' if all(f.passed for f in findings) else 'NOT CLEAN'}", f"  {COVERS}"]
    for finding in findings:
        mark = "NO " if finding.offences else "!! " if finding.warnings else "ok "
        lines.append(f"  {mark} {finding.title} ({finding.examined})")
        lines += [f"       {sentence}" for sentence in (*finding.offences, *finding.warnings)]
    return lines
