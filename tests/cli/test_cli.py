"""The command line: help with examples, errors as messages, exit codes that mean something."""

import os
import subprocess
import sys

import click
import pytest
import typer

from avemo.cli import keep_caches_here
from avemo.cli.app import app


def avemo(*arguments: str) -> subprocess.CompletedProcess:
    code = "from avemo.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def commands() -> list[tuple[str, click.Command]]:
    """Every command, with its groups."""
    found, groups = [], [("", typer.main.get_command(app))]
    while groups:
        prefix, group = groups.pop()
        for name, command in group.commands.items():
            where = f"{prefix} {name}".strip()
            (groups if hasattr(command, "commands") else found).append((where, command))
    return sorted(found, key=lambda pair: pair[0])


@pytest.mark.parametrize(
    ("name", "command"), commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_has_an_example_that_names_it(name, command):
    assert f"Example: avemo {name}" in (command.help or "")


def test_an_error_is_a_message_and_a_code_not_a_traceback(tmp_path):
    done = avemo("cache", "verify", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_config_error_has_code_2(tmp_path):
    done = avemo("config", "show", "--part", "adio")
    assert done.returncode == 2
    assert "did you mean 'audio'?" in done.stderr


def test_an_unknown_name_has_code_2_and_the_known_ones(tmp_path):
    done = avemo("corpus", "miniature", "crema", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "did you mean 'crema_d'?" in done.stderr


def test_wrong_usage_has_code_2():
    assert avemo("extract").returncode == 2


def test_where_the_home_takes_no_files_the_caches_of_libraries_lie_in_the_working_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "closed" / "cache"))
    monkeypatch.setenv("MPLCONFIGDIR", "")
    keep_caches_here()
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / "closed" / "cache")
    # Root may write anywhere, so the answer of the system is given.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    keep_caches_here()
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / ".avemo" / "home")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / ".avemo" / "home" / "matplotlib")
