"""The wheel, installed without a checkout near: it carries the workflow, and runs it to a report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

CARRIED = ("Snakefile", "workflow/", "profiles/", "config/", "envs/")
PACKAGE = "pipeline/avemo/"


class Installed:
    """A wheel's files in a folder of their own, the locked packages behind it, and an empty working folder."""

    def __init__(self, wheel: Path, root: Path):
        self.site, self.folder = root / "site", root / "work"
        self.folder.mkdir()
        pip("install", "--target", self.site, wheel)
        path = os.pathsep.join([str(self.site / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": str(self.site)}

    def run(self, *command: str) -> str:
        """All that a command printed; the test fails if the command does."""
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def pip(verb: str, *arguments: str | Path) -> None:
    offline = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", verb, *offline, *arguments], check=True)


@pytest.fixture(scope="module")
def tracked(repository) -> list[str]:
    command = ["git", "-C", repository, "ls-files", "-z"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [name for name in found.split("\0") if name and (repository / name).exists()]


@pytest.fixture(scope="module")
def wheel(repository, tracked, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked:
        copy = folder / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / name, copy, follow_symlinks=False)
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    shutil.rmtree(folder / "source")
    return next(folder.glob("avemo-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def tiny(repository) -> dict:
    return yaml.safe_load((repository / ".ci" / "first_clip.yaml").read_text())


def test_the_wheel_carries_every_file_of_the_package_and_of_the_workflow_and_nothing_else(
    repository, tracked, wheel
):
    links = {f"{PACKAGE}project/{name.rstrip('/')}" for name in CARRIED}
    own = [name for name in tracked if name.startswith(PACKAGE) and name not in links]
    expected = {name.removeprefix("pipeline/") for name in own}
    expected |= {f"avemo/project/{name}" for name in tracked if name.startswith(CARRIED)}
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == expected
    assert {"avemo/py.typed", "avemo/project/workflow/rules/common.smk"} < found


def test_it_is_imported_from_where_it_was_installed(installed):
    told = installed.run(sys.executable, "-c", "import avemo; print(avemo.__file__)")
    assert told.strip() == str(installed.site / "avemo" / "__init__.py")


def test_configs_and_profiles_are_found_that_no_working_folder_has(installed):
    told = installed.run("avemo", "plan", "--profile", "profiles/gpu")
    assert "train" in told
    assert list(installed.folder.glob("config*")) == []
    packaged = installed.run("avemo", "config", "show", "--config", "config/papers/auxformer.yaml")
    assert "auxformer" in packaged


@pytest.mark.slow
def test_the_demo_and_a_config_of_ones_own_run_to_their_reports(installed, tiny):
    demo = ("avemo", "demo", "--cores", "2", "--config")
    own = ("avemo", "run", "--profile", "profiles/default", "--configfile")
    report = installed.folder / "results" / tiny["run"] / "report.html"
    for title, command in (("Demonstrated", demo), ("Of mine", own)):
        config = tiny | {"systems": {"mult": tiny["systems"]["mult"] | {"title": title}}}
        (installed.folder / "mine.yaml").write_text(yaml.safe_dump(config))
        assert f"report: {report}" in installed.run(*command, "mine.yaml").splitlines()
        assert title in report.read_text()
