"""The lock, and that everything that makes an environment installs it: `make`, conda, Docker, Apptainer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from workflow_runner import Workflow

INSTALLER = "envs/install.sh"


@pytest.fixture(scope="module")
def lock(repository) -> str:
    return (repository / "envs" / "requirements.lock").read_text()


def entries(lock: str) -> list[str]:
    return re.split(r"\n(?=\S)", lock.strip())


def test_every_requirement_is_pinned_and_hashed_and_no_address_is_named(lock):
    assert len(entries(lock)) > 100
    for entry in entries(lock):
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry
    assert "://" not in lock
    assert "index" not in re.sub(r"^[A-Za-z0-9._-]+==.*$", "", lock, flags=re.MULTILINE)


def test_what_the_installer_made_holds_every_version_of_the_lock(lock):
    wanted = [Requirement(entry.split("\\")[0].strip()) for entry in entries(lock)]
    here = [one for one in wanted if one.marker is None or one.marker.evaluate()]
    assert len(here) > 100
    found = {one.name: metadata.version(one.name) for one in here}
    assert found == {one.name: str(one.specifier).removeprefix("==") for one in here}


def test_the_installer_takes_its_versions_from_the_lock_alone(repository):
    commands = [
        line
        for line in (repository / INSTALLER).read_text().splitlines()
        if re.search(r"pip (install|sync)", line)
    ]
    assert len(commands) == 3
    for command in commands:
        from_the_lock = "--require-hashes" in command and (
            "requirements.lock" in command or '"$installer"' in command
        )
        assert from_the_lock or command.endswith("--no-deps --no-build-isolation --editable .")


def test_conda_takes_its_versions_from_the_lock_alone(repository):
    environment = yaml.safe_load((repository / "envs" / "environment.yaml").read_text())
    python, pip, packages = environment["dependencies"]
    assert pip == "pip"
    assert packages == {"pip": ["--no-deps", "--require-hashes", "-r requirements.lock"]}
    assert python == "python=3.11"


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_containers_run_the_installer_with_condas_python_and_install_nothing_else(repository, name):
    text = (repository / "envs" / name).read_text()
    assert re.search(r"^F(ROM|rom:) python:3\.11-", text, re.MULTILINE)
    assert len(re.findall(rf"^[^#]*PYTHON=python3\.11 sh {INSTALLER}", text, re.MULTILINE)) == 1
    assert "install " not in re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    installed = {"pyproject.toml", "README.md", "envs", "pipeline"}
    assert all(re.search(rf"^\s*(COPY )?.*\b{re.escape(path)}\b", text, re.MULTILINE) for path in installed)


def test_apptainer_runs_each_command_in_the_image(repository, tmp_path):
    """A stand-in notes what Snakemake asks of Apptainer, which is not here, and runs the command itself."""
    stand_in = tmp_path / "bin" / "apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text(
        '#!/bin/bash\n[ "$1" = --version ] && { echo "apptainer version 1.3.0"; exit; }\n'
        f'printf "%s\\n" "$@" "$APPTAINERENV_PYTHONPATH" > "{tmp_path}/asked"\nexec bash -c "${{@: -1}}"\n'
    )
    stand_in.chmod(0o755)
    workflow = Workflow(repository, tmp_path)
    workflow.environment["PATH"] = f"{stand_in.parent}{os.pathsep}{workflow.environment['PATH']}"
    own = os.pathsep.join([str(repository / "pipeline"), "/where/my/components/lie"])
    workflow.environment["PYTHONPATH"] = own
    config = {
        "run": "r",
        "corpus": {"name": "table", "config": {"csv": "none.csv"}},
        "features": {"audio": {"extractor": "compare_lld"}},
        "systems": {"mult": {"model": "mult"}},
    }
    workflow.snakemake(config, "results/r/config.json", "--sdm", "apptainer")
    asked = (tmp_path / "asked").read_text().splitlines()
    image = asked.index(str(repository / "envs" / "avemo.sif"))
    assert asked[0] == "exec"
    assert asked[image + 1 : image + 3] == ["bash", "-c"]
    assert "avemo record" in asked[image + 3]
    assert asked[-1] == os.pathsep.join([str(repository / "pipeline"), own])


@pytest.mark.parametrize(("minor", "served"), [(10, False), (11, True), (13, True), (14, False)])
def test_the_installer_serves_the_pythons_that_the_package_declares(repository, tmp_path, minor, served):
    declared = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["requires-python"]
    assert SpecifierSet(declared).contains(f"3.{minor}.1") is served
    # Installs nothing: an interpreter that tells its version, and then has no venv.
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *version_info*) exec {sys.executable} -c "import sys; '
        f'sys.version_info = (3, {minor}, 1); ${{2#import sys; }}" ;; esac\n'
        f'[ "$1" = --version ] && echo "Python 3.{minor}.1"\n'
    )
    python.chmod(0o755)
    told = subprocess.run(
        ["sh", repository / INSTALLER],
        env={"PATH": os.environ["PATH"], "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    if served:
        assert f"expected Python 3.{minor}.1 with venv, found none" in told.stderr
    else:
        assert f"expected Python 3.11, 3.12 or 3.13, found Python 3.{minor}.1" in told.stderr


def test_a_python_that_does_not_run_is_said_to(repository):
    told = subprocess.run(
        ["sh", repository / INSTALLER],
        env={"PATH": os.environ["PATH"], "PYTHON": "python-of-nowhere"},
        capture_output=True,
        text=True,
    )
    assert (told.returncode, "found none that runs as python-of-nowhere" in told.stderr) == (1, True)
