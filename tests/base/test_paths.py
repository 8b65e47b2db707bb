"""Paths in configs: home and variables filled in, what no path can be refused."""

from pathlib import Path

import pytest

from avemo.base.contracts import ComponentConfig, ConfigError, located
from avemo.base.paths import expanded
from avemo.study.config import parse


class Config(ComponentConfig):
    folder: Path
    tables: tuple[Path, ...] = ()
    weights: str = located(default="")
    parts: dict[str, str] = located(default_factory=dict)
    note: str = ""


def test_every_path_of_every_component_is_filled_in_and_no_other_text(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISK", "/disk")
    given = {
        "folder": "~/a",
        "tables": ["$DISK/b", "c"],
        "weights": "${DISK}/d",
        "parts": {"x": "~/e"},
        "note": "~ and $DISK",
    }
    found = parse(Config, given, "corpus.config")
    assert found.folder == tmp_path / "a"
    assert found.tables == (Path("/disk/b"), Path("c"))
    assert (found.weights, found.parts) == ("/disk/d", {"x": f"{tmp_path}/e"})
    assert found.note == "~ and $DISK"
    assert parse(Config, found.model_dump(), "again") == found


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$NO_SUCH_PLACE/a", r"found \$NO_SUCH_PLACE, which is not set"),
        ("${NO_SUCH_PLACE}/a", r"found \$\{NO_SUCH_PLACE\}, which is not set"),
        ("~nobody_at_all/a", "expected a user with a home, found '~nobody_at_all'"),
        ("a\nb", "a character that does not print"),
        ("a\0b", "a character that does not print"),
        ("a/" + "é" * 128, "found 258 and 256"),
        ("a/" * 2000, "found 4000 and 1|found 3999 and 1"),
    ],
)
def test_what_no_path_can_be_is_refused_by_its_key(path, message):
    with pytest.raises(ConfigError, match=rf"corpus\.config\.folder: .*(?:{message})"):
        parse(Config, {"folder": path}, "corpus.config")


def test_what_a_shell_leaves_alone_stays():
    for path in ("a~b", "./~", "a$", "a$/b", "100%"):
        assert expanded(path) == path
