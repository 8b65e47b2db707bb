"""Errors for people: their class, not their wording, says how the command ends."""

import ast
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError, ClipFailure, ConfigError, MachineError, Status


def raised(tree: ast.Module) -> list[tuple[str, str]]:
    """Class and first literal words of every error raised."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            words = [w for w in ast.walk(node.exc.args[0]) if isinstance(w, ast.Constant)]
            found.append((ast.unparse(node.exc.func), str(words[0].value) if words else ""))
    return found


def test_whatever_blames_the_config_is_raised_as_its_error(repository: Path):
    files = (repository / "pipeline" / "avemo").rglob("*.py")
    blaming = [
        (path, kind)
        for path in files
        for kind, words in raised(ast.parse(path.read_text()))
        if words.startswith("config:")
    ]
    assert len(blaming) > 10
    assert [(path, kind) for path, kind in blaming if kind != "ConfigError"] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AvemoError("clips: none"), 1),
        (MachineError("no GPU"), 1),
        (ClipFailure(Status.no_face, "a", "none"), 1),
        (ConfigError("runs: none"), 2),
    ],
)
def test_an_errors_class_tells_the_exit_code_whatever_its_words(error, code):
    assert error.exit_code == code
