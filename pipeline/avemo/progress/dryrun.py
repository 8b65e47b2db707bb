"""Snakemake's dry run as data, one `PlannedJob` for each that would run.

Snakemake runs in a process of its own. The events it gives to logger plugins
say which jobs it would run, and in what order; the workflow's graph and records
(``workflow.dag``, ``workflow.persistence``) say why. What people would see goes
to standard error.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from avemo.base.contracts import AvemoError


@dataclass(frozen=True)
class PlannedJob:
    """A job to run: ``resources`` are those that are numbers, ``why`` is one phrase for each cause."""

    rule: str
    wildcards: dict[str, str]
    command: str
    resources: dict[str, float]
    why: list[str]


def dry_run(arguments: Sequence[str]) -> list[PlannedJob]:
    """Jobs that `snakemake` with these arguments would run now; raises `AvemoError` with what it said.

    The Snakefile must call `avemo.progress.journal.watch`.
    """
    command = [sys.executable, "-m", "avemo.progress.dryrun", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AvemoError(f"Snakemake's dry run failed, so there is no plan; it said:\n{done.stderr.strip()}")
    return [PlannedJob(**job) for job in json.loads(done.stdout)]


class Announced(logging.Handler):
    """Numbers of the jobs that Snakemake announces, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[int, None] = {}

    def emit(self, record: Any) -> None:
        if getattr(record, "event", None) is LogEvent.JOB_INFO:
            self.jobs[record.jobid] = None


def _main(arguments: list[str]) -> int:
    from snakemake.cli import main

    from avemo.progress.journal import WATCHED

    announced = Announced()
    logging.getLogger("snakemake").addHandler(announced)
    with redirect_stdout(sys.stderr):
        try:
            main([*arguments, "--dry-run"])
        except SystemExit as end:
            if end.code:
                return int(end.code)
    if not WATCHED:
        print("expected a Snakefile that calls avemo.progress.journal.watch(workflow)", file=sys.stderr)
        return 1
    jobs = _planned(WATCHED[-1], list(announced.jobs))
    print(json.dumps([asdict(job) for job in jobs]))
    return 0


def _planned(workflow: Any, numbers: Sequence[int]) -> list[PlannedJob]:
    from snakemake.io import IOFile

    from avemo.progress.reasons import reasons

    def recorded(output: str) -> str | None:
        """The command that made a file, as Snakemake recorded it."""
        return workflow.persistence.shellcmd(IOFile(output)) or None

    jobs = {workflow.dag.jobid(job): job for job in workflow.dag.jobs}
    return [
        PlannedJob(
            job.rule.name,
            dict(job.wildcards_dict),
            job.shellcmd or "",
            {name: value for name, value in job.resources.items() if isinstance(value, int | float)},
            reasons(job, workflow.dag.reason(job), recorded),
        )
        for job in (jobs[number] for number in numbers)
        # Rules such as `all` make nothing themselves.
        if not job.is_norun
    ]


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
