"""What a run has cost, stage by stage, for programs: ``results/<run>/run_summary.json``, written when Snakemake ends."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from avemo.base.atomic import aside
from avemo.progress.status import status
from avemo.study.study import Study


def summary(study: Study, run: str, ok: bool) -> dict[str, Any]:
    """Stages as `avemo.progress.status.Progress` has them, and their sums.

    ``wall_s`` of a stage that holds GPUs is what it has held them for. Jobs of
    stages without a benchmark count in ``jobs`` and cost nothing here.
    """
    rows = status(study, run)
    total = {
        "jobs": sum(row.done for row in rows),
        "failed": sum(row.failed for row in rows),
        "wall_s": sum(row.wall_s or 0 for row in rows),
        "cpu_s": sum(row.cpu_s or 0 for row in rows),
    }
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    return {"run": run, "ok": ok, "ended": ended, "total": total, "stages": [asdict(row) for row in rows]}


def write_summaries(study: Study, ok: bool) -> None:
    """A summary for each run of the study; ``ok`` is whether Snakemake did all that it was asked."""
    for run, layout in study.layouts.items():
        layout.results.mkdir(parents=True, exist_ok=True)
        with aside(layout.summary) as temporary:
            temporary.write_text(json.dumps(summary(study, run, ok), indent=1) + "\n")
