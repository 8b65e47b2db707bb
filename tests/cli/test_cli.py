"""The command line: help with examples, errors as messages, exit codes that mean something."""

import os
import subprocess
import sys

import click
import pytest
import typer

from avemo.cli import keep_caches_here, main
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


LONG = "x" * 300
PATHS = [
    ("run", "--config", LONG),
    ("plan", "--config", LONG),
    ("status", "--config", LONG),
    ("config", "show", "--config", LONG),
    ("corpus", "check", "table", "--root", LONG),
    ("corpus", "check", "crema_d", "--root", LONG),
    ("corpus", "check", "table", "--labels", LONG),
    ("corpus", "labels", "--cfg", "{}", "--index", LONG, "--out", LONG),
    ("cache", "ls", LONG),
    ("cache", "verify", LONG),
    ("cache", "gc", "--config", "config/config.yaml", LONG),
    ("cache", "export", LONG, "--out", LONG),
    ("cache", "convert", LONG, "--allow-pickle", "--out", "new"),
    ("export", LONG, "--out", "new"),
    ("export", LONG, "--out", LONG),
    ("cache", "import", LONG, "--corpus", LONG, "--shards", "1"),
    ("audit", "--run", LONG),
    ("predict", LONG, "--run", LONG),
    ("predict", LONG, "--run", LONG, "--out", LONG),
    ("bundle", "--run", LONG, "--out", LONG),
    ("report", "--run", LONG, "--out", LONG),
    ("tables", "--run", LONG),
    ("splits", "--cfg", "{}", "--labels", LONG, "--out", LONG),
]


@pytest.mark.parametrize("arguments", PATHS, ids=lambda arguments: " ".join(arguments[:2]))
@pytest.mark.parametrize("path", ["x" * 300, "loop", "file/inside", "folder", "pipe"])
def test_a_path_that_none_can_be_is_a_message(tmp_path, monkeypatch, capsys, arguments, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(sys, "argv", ["avemo", *(path if one == LONG else one for one in arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    found_nothing = end.value.code == 0 and "no feature shard" in said.out
    assert found_nothing or end.value.code == 3 or "error: " in said.err
