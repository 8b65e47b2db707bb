"""Benchmarks publish wherever they run: a machine lent for a measurement has no workflow."""

from __future__ import annotations

import json
import subprocess
import sys

PUBLISH = """
import importlib.metadata as installed, sys
from pathlib import Path
whole = installed.version
def version(name):
    if name == "snakemake":
        raise installed.PackageNotFoundError(name)
    return whole(name)
installed.version = version
from benchmarks import results
results.RESULTS = Path(sys.argv[1])
results.publish("speed", "against nothing", [{"way": "ours", "seconds": 1.0}])
"""


def test_results_are_published_without_packages_that_the_measured_work_does_not_need(repository, tmp_path):
    command = [sys.executable, "-c", PUBLISH, str(tmp_path / "page.json")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    versions = json.loads((tmp_path / "page.json").read_text())["speed"]["machine"]["versions"]
    assert "torch 2." in versions
    assert "snakemake" not in versions
    assert "| ours | 1 |" in (tmp_path / "page.md").read_text()
