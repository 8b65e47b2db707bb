"""The package's import graph: arrows point upstream only, and light modules stay light."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from avemo.training.record import LIBRARIES

ORDER = [
    "base",
    "media",
    "corpora",
    "synthetic",
    "index",
    "faces",
    "weights",
    "features",
    "cache",
    "dataset",
    "models",
    "training",
    "finetuning",
    "papers",
    "study",
    "evaluation",
    "exports",
    "report",
    "progress",
    "machine",
    "cli",
    "project",
]
LIGHT = (
    "avemo.study.config",
    "avemo.study.resolve",
    "avemo.study.layout",
    "avemo.study.file_contents",
    "avemo.study.study",
    "avemo.index.clip_table",
    "avemo.cli.app",
)


def room_of(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> list[str]:
    """Modules that a file imports, at any depth, each name of a ``from`` apart."""
    tree = ast.parse(path.read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def imports_of(path: Path) -> set[str]:
    """Rooms that a file imports."""
    return {room_of(name) for name in imported(path) if name.startswith("avemo.")} - {"__version__"}


def test_every_room_has_its_place_in_the_order(repository):
    rooms = {
        path.relative_to(repository / "pipeline" / "avemo").parts[0].removesuffix(".py")
        for path in all_files(repository)
    }
    assert rooms - {"__init__"} == set(ORDER)


def all_files(repository: Path) -> list[Path]:
    return sorted((repository / "pipeline" / "avemo").rglob("*.py"))


def test_imports_point_upstream(repository):
    for path in all_files(repository):
        room = path.relative_to(repository / "pipeline" / "avemo").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        downstream = {other for other in imports_of(path) if ORDER.index(other) > ORDER.index(room)}
        assert not downstream, f"{path} imports {downstream}, which come after {room}"


def test_models_know_nothing_of_what_their_inputs_are_made_of(repository):
    for path in (repository / "pipeline" / "avemo" / "models").rglob("*.py"):
        assert not imports_of(path) & {"media", "corpora", "faces", "features", "cache"}, path


@pytest.mark.parametrize("module", LIGHT)
def test_what_the_workflow_imports_is_free_of_heavy_libraries(module):
    code = f"import sys, {module}; print([name for name in ('torch', 'cv2', 'av', 'timm', 'pandas') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_benchmarks_and_tests_import_nothing_from_each_other(repository):
    tests = {
        path.stem for path in (*(repository / "tests").glob("*"), *(repository / "tests/helpers").glob("*"))
    }
    for folder, foreign in (("tests", {"benchmarks"}), ("benchmarks", tests)):
        for path in (repository / folder).rglob("*.py"):
            found = {name.split(".")[0] for name in imported(path)} & foreign
            assert not found, f"{path} imports {found}"


def test_benchmarks_import_what_there_is(repository):
    """They are run by hand, so that nothing else would miss what has moved away."""
    for path in (repository / "benchmarks").rglob("*.py"):
        for name in imported(path):
            if name.startswith(("benchmarks.", "avemo.")):
                places = [name, name.rpartition(".")[0]]
                roots = [repository, repository / "pipeline"]
                files = [root.joinpath(*place.split(".")) for root in roots for place in places]
                found = any(file.with_suffix(".py").is_file() or file.is_dir() for file in files)
                assert found, f"{path} imports {name}"


def test_every_package_that_is_imported_or_recorded_is_declared(repository):
    """By those whose names a run record keeps, too: they must be there wherever the package is installed."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    declared = {canonicalize_name(Requirement(one).name) for one in project["dependencies"]}
    distributions = packages_distributions()
    tops = {name.split(".")[0] for path in all_files(repository) for name in imported(path)}
    tops |= {
        match[1]
        for path in (repository / "Snakefile", *(repository / "workflow").rglob("*.smk"))
        for match in re.finditer(r"^ *(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    }
    foreign = tops - sys.stdlib_module_names - {"avemo"}
    assert {"torch", "yaml", "snakemake"} <= foreign
    undeclared = {
        top
        for top in foreign
        if not {canonicalize_name(one) for one in distributions.get(top, [])} & declared
    }
    assert not undeclared
    assert not set(LIBRARIES) - declared


def test_what_tests_start_runs_this_checkouts_package_and_not_one_that_is_installed(repository):
    for path in (repository / "tests").rglob("*.py"):
        text = path.read_text()
        gives = re.search(r"PYTHONPATH[\"']\]? ?[:=] |PYTHONPATH=\w+[.(]", text)
        named = re.search(r"pipeline|sys\.path\b|environ\w*\.get\(.PYTHONPATH", text)
        assert named or not gives, f"{path} gives a child a path without this checkout's package"


def test_the_drawing_of_the_house_is_that_of_its_imports(repository):
    page = (repository / "docs" / "architecture.md").read_text()
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", page, re.MULTILINE))
    apart = {"base", "cli", "project", "__init__"}
    found = set()
    for path in all_files(repository):
        room = path.relative_to(repository / "pipeline" / "avemo").parts[0].removesuffix(".py")
        found |= {(other, room) for other in imports_of(path) - {room}}
    found = {arrow for arrow in found if not apart & set(arrow)}
    assert drawn <= found
    assert found <= followed(drawn)
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(ORDER) - apart


def followed(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """``arrows``, and all that follow from one after another."""
    longer = arrows | {(a, d) for a, b in arrows for c, d in arrows if b == c}
    return arrows if longer == arrows else followed(longer)
