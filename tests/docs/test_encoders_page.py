"""The examples of the page on encoders run as they stand."""

import subprocess
import sys

import pytest

from pages import DOCS, blocks

PAGE = DOCS / "how-to" / "encoders.md"


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=str)
def test_an_example_runs_as_it_stands(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
