"""The pages: what they take from the code is fresh, and what they tell readers to type is right."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
import yaml

from avemo.base.project import carried
from avemo.cli.app import app
from avemo.study.layers import overlaid
from avemo.study.study import resolve_study
from pages import DOCS, REPOSITORY, Block, blocks, commands, pages

WHOLE = {"run", "paper"}
"""Keys that tell a whole config from a part of one."""
BASE = {
    "run": "mine",
    "corpus": {"name": "table", "config": {"csv": "clips.csv"}},
    "features": {"audio": {"extractor": "compare_lld"}},
    "systems": {"mult": {"model": "mult"}},
}
OWN = {"speech", "faces", "channels"}
"""Keys of YAML that is no run's config."""
README_LINES = 120


def of_all(*languages: str) -> list[Block]:
    return [block for page in pages() for block in blocks(page, *languages)]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_pages_take_from_the_code_is_fresh(generate):
    stale = [
        str(page.relative_to(REPOSITORY))
        for page in generate.pages()
        if generate.filled(page.read_text()) != page.read_text()
    ]
    assert not stale, f"run `python docs/generate.py`; it changes {', '.join(stale)}"


def test_the_reference_has_every_component_command_and_status(generate):
    from avemo.base.contracts import Status
    from avemo.corpora import CORPORA
    from avemo.features import EXTRACTORS
    from avemo.models import MODELS

    config = (DOCS / "reference" / "config.md").read_text()
    for name in (*CORPORA, *EXTRACTORS, *MODELS):
        assert f"### `{name}`" in config
    told = (DOCS / "reference" / "commands.md").read_text()
    for path, _ in generate._walk(typer.main.get_command(app), ()):
        assert f"## `{' '.join(path)}`" in told
    codes = (DOCS / "reference" / "exit_codes.md").read_text()
    assert all(f"| `{status}` |" in codes for status in Status)


def test_every_page_is_in_the_navigation():
    def paths(nav) -> Iterator[str]:
        for entry in nav:
            if isinstance(entry, str):
                yield entry
            else:
                for value in entry.values():
                    yield from [value] if isinstance(value, str) else paths(value)

    site = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
    assert sorted(paths(site["nav"])) == sorted(
        page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")
    )


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) <= README_LINES
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_no_page_names_where_packages_are_downloaded_from():
    hosts = re.compile(r"https?://\S*(pypi|pythonhosted|download\.pytorch|conda|npmjs|debian)", re.IGNORECASE)
    assert [str(page) for page in pages() if hosts.search(page.read_text())] == []


@pytest.mark.parametrize("block", of_all("sh", "bash", "console", ""), ids=str)
def test_commands_that_pages_show_are_taken(block):
    for words in commands(block):
        match words:
            case ["avemo", *rest]:
                _taken(rest)
            case ["make", *rest]:
                targets = [word for word in rest if "=" not in word and not word.startswith("-")]
                assert set(targets) <= _make_targets(), words
            case ["snakemake", *rest]:
                files = [word for word in rest if word.startswith(("config/", "workflow/", "profiles/"))]
                assert all((REPOSITORY / name).exists() for name in files), words


def _taken(words: list[str]) -> None:
    """Every command and option among the words is there. Nothing is run."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, "a group without a command"
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    own = words[: words.index("--")] if "--" in words else words
    options = {option for one in command.params for option in one.opts if option.startswith("-")} | {"--help"}
    assert {word.split("=")[0] for word in own if word.startswith("-")} <= options, words
    files = [word for word in words if word.startswith(("config/", "profiles/"))]
    assert all(carried(Path(name)).exists() for name in files), words


def _make_targets() -> set[str]:
    return set(re.findall(r"^([\w./-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("words", ["predikt CLIP", "cache lst", "run --confg x", "predict C --run r --jsn"])
def test_commands_that_are_not_there_are_found(words):
    with pytest.raises(AssertionError):
        _taken(words.split())


@pytest.mark.parametrize("block", of_all("yaml"), ids=str)
def test_configs_that_pages_show_are_right(block, monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "examples" / "plugin")
    given = yaml.safe_load(block.text)
    if given.keys() & OWN:
        return
    if not given.keys() & WHOLE:
        base = BASE | {"corpus": {}} if "corpus" in given else BASE
        given = overlaid(base, given)
    resolve_study(given)


def test_the_plugins_sounds_are_made_and_found_right(tmp_path):
    page = DOCS / "tutorials" / "plugin.md"
    (sounds,) = [block for block in blocks(page, "python") if block.title == "make_sounds.py"]
    subprocess.run([sys.executable, "-c", sounds.text], cwd=tmp_path, check=True)
    made = sorted(path.name for path in (tmp_path / "sounds").iterdir())
    assert made[:2] == ["anna_angry_1.wav", "anna_sad_1.wav"]
    assert len(made) == 8


def test_the_drawing_is_the_architecture_pages():
    """Arrows of docs/house.svg are those of the page, which `tests/test_imports.py` holds against the code."""
    page = (DOCS / "architecture.md").read_text()
    drawing = page.partition("```mermaid")[2].partition("```")[0]
    written = set(re.findall(r"^ *(\w+) --> (\w+)$", drawing, re.MULTILINE))
    drawn = set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", (DOCS / "house.svg").read_text()))
    assert written == drawn, "run `make dag`"
