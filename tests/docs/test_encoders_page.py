"""The examples of the pages on encoders, imported and joined features run as they stand."""

import subprocess
import sys

import pytest

from pages import DOCS, blocks

PAGES = [DOCS / "how-to" / name for name in ("encoders.md", "import_features.md", "several_features.md")]


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "python")], ids=str)
def test_an_example_runs_as_it_stands(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
