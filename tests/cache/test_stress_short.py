"""`make stress` in small: the same stages with a few cases each, in a process of its own since they fork and kill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STAGES = {
    # A share of the full number of cases, and what must be counted.
    "kills of extraction": (
        0.11,
        {"SIGKILL": 1, "SIGTERM": 1, "SIGINT": 1, "disk full": 1, "out of memory": 1},
    ),
    "kills of training": (0.1, {"trainings resumed and equal byte for byte": 0, "epochs lost": 0}),
    "two writers": (0.1, {"two writers": 1}),
    "attacks": (0.05, {"checks": 60}),
    "fuzz": (0.01, {"cases": 1000}),
}


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_violated(stage: str, repository: Path, tmp_path: Path) -> None:
    size, wanted = STAGES[stage]
    page = tmp_path / "reliability.md"
    command = [sys.executable, "-m", "stress", stage, "--size", str(size), "--out", str(page)]
    environment = os.environ | {
        "TMPDIR": str(tmp_path),
        # Its own package, not the one that is installed.
        "PYTHONPATH": os.pathsep.join(str(repository / name) for name in ("tests", "pipeline")),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {what: int(n) for n, what in re.findall(r"^ +(\d+) (.+)$", done.stdout, re.MULTILINE)}
    assert counts["violations"] == 0
    assert counts["checks"] > 0
    assert {what: counts.get(what, 0) >= least for what, least in wanted.items()} == dict.fromkeys(
        wanted, True
    )
    assert f"## {stage[0].upper()}{stage[1:]}\n" in page.read_text()
