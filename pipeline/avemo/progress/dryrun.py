"""Snakemake's dry run as data, one `Job` for each that would run.

Snakemake runs in a process of its own, with a filter on its logger that takes
note of each job it announces; what people would see goes to standard error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

from avemo.base.contracts import AvemoError


@dataclass(frozen=True)
class Job:
    """A job to run: ``reason`` in Snakemake's words, ``resources`` those that are numbers."""

    rule: str
    wildcards: dict[str, str]
    output: list[str]
    reason: str
    command: str
    resources: dict[str, float]


def dry_run(arguments: Sequence[str]) -> list[Job]:
    """Jobs that `snakemake` with these arguments would run now; raises `AvemoError` with what it said."""
    command = [sys.executable, "-m", "avemo.progress.dryrun", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AvemoError(f"Snakemake's dry run failed, so there is no plan; it said:\n{done.stderr.strip()}")
    return [Job(**job) for job in json.loads(done.stdout)]


def _main(arguments: list[str]) -> int:
    from snakemake.cli import main
    from snakemake.logging import logger
    from snakemake_interface_logger_plugins.common import LogEvent

    jobs: dict[int, Job] = {}

    def take(record: Any) -> bool:
        if getattr(record, "event", None) is LogEvent.JOB_INFO:
            jobs[record.jobid] = _job(record)
        return True

    logger.addFilter(take)
    code = 0
    with redirect_stdout(sys.stderr):
        try:
            main([*arguments, "--dry-run"])
        except SystemExit as end:
            code = int(end.code or 0)
    print(json.dumps([asdict(job) for job in jobs.values()]))
    return code


def _job(record: Any) -> Job:
    resources = {name: value for name, value in record.resources.items() if isinstance(value, int | float)}
    return Job(
        record.rule_name,
        dict(record.wildcards or {}),
        list(map(str, record.output or [])),
        record.reason,
        record.shellcmd or "",
        resources,
    )


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
