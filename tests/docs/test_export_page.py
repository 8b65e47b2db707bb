"""The page on exports as a reader would follow it, on a small run."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from avemo.cli.app import app
from kept_run import write_run
from pages import DOCS, blocks, commands

PAGE = DOCS / "how-to" / "export_features.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder in which the page's commands were run."""
    home = tmp_path_factory.mktemp("home")
    shutil.move(write_run(home), home / "results" / "first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for block in blocks(PAGE, "sh"):
            for _, *words in commands(block):
                done = CliRunner().invoke(app, words)
                assert done.exit_code == 0, done.output
    return home


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=str)
def test_an_example_runs_on_what_the_commands_leave(block, followed):
    if "import webdataset" in block.text and importlib.util.find_spec("webdataset") is None:
        pytest.skip("webdataset is not installed; it is in the dev extra")
    done = subprocess.run([sys.executable, "-c", block.text], cwd=followed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
