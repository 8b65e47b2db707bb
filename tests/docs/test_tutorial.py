"""The first tutorial as a reader would follow it, and the Python examples of other pages on the run it leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pages import DOCS, REPOSITORY, blocks

pytestmark = pytest.mark.slow

# The environment of the tests is there already.
PROLOGUE = "set -euo pipefail\nsource() { :; }\n"


def script() -> str:
    """All steps of the tutorial: files are written, commands are run."""
    steps = []
    for block in blocks(DOCS / "tutorials" / "own_clips.md", "sh", "python", "yaml"):
        if block.title:
            steps.append(f"cat > {block.title} <<'THE END'\n{block.text}THE END")
        else:
            steps.append(block.text)
    return PROLOGUE + "\n".join(steps)


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> tuple[Path, str]:
    """The folder that the tutorial leaves, and all that was printed."""
    home = tmp_path_factory.mktemp("home")
    caches = os.environ.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": caches, "PATH": path}
    done = subprocess.run(
        ["bash", "-c", script()], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return home / "first", done.stdout


def test_the_tutorial_leads_from_clips_to_a_table_of_significance_and_a_prediction(followed):
    folder, told = followed
    assert "right: all that is listed can be read" in told
    assert f"report: {folder / 'results/first/report.html'}" in told
    tests = pd.read_csv(folder / "results" / "first" / "tables" / "tests.csv")
    assert {"p", "p_corrected", "mean_difference"} <= set(tests.columns)
    assert "Sound alone" in set(tests.system)
    assert "first: nothing leaked" in told
    assert "note: efficientnet_b2: random weights" in told


def test_examples_in_python_run_on_what_the_tutorial_leaves(followed, tmp_path):
    folder = shutil.copytree(followed[0], tmp_path / "first", symlinks=True)
    (shard,) = (folder / "cache" / "first").glob("compare_lld-*/0000.h5")
    shutil.copy(shard, folder / "0000.h5")
    for page in ("how-to/read_features.md", "reference/files.md"):
        code = "\n".join(block.text for block in blocks(DOCS / page, "python"))
        assert code
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{page}: {done.stderr}"
