"""The lock, and that everything that makes an environment installs it: `make`, conda, Docker, Apptainer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

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
    if "+" in metadata.version("torch"):
        pytest.skip("a build of PyTorch that is not the lock's was asked for (TORCH)")
    assert len(here) > 100
    found = {one.name: metadata.version(one.name) for one in here}
    assert found == {one.name: str(one.specifier).removeprefix("==") for one in here}


PYTORCH = ("torch", "torchaudio", "torchvision")


class Installing:
    """The installer in a folder of its own, with stand-ins that install nothing and note what they were asked to."""

    def __init__(self, repository: Path, folder: Path):
        self.folder, self.asked = folder, folder / "asked"
        (folder / ".venv" / "bin").mkdir(parents=True)
        shutil.copytree(repository / "envs", folder / "envs")
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(repository / name, folder)
        self._stand_in("python", f'case "$1" in -c) exec {sys.executable} "$@" ;; esac\n')
        # The last word of `uv pip sync` is the file that it is given.
        self._stand_in("uv", f'for last; do :; done\ncase "$2" in sync) cp "$last" {folder}/given ;; esac\n')

    def _stand_in(self, name: str, does: str) -> None:
        path = self.folder / ".venv" / "bin" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.asked}\n{does}')
        path.chmod(0o755)

    def make(self, *arguments: str) -> list[str]:
        """What `make .venv/installed` asked uv to do."""
        self.asked.write_text("")
        command = ["make", "--silent", ".venv/installed", f"PYTHON={sys.executable}", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=os.environ | {"TORCH": ""}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [line for line in self.asked.read_text().splitlines() if line.startswith("uv ")]

    @property
    def given(self) -> dict[str, str]:
        """Entries of the file that was last synchronised with, by name."""
        return {entry.split("==")[0]: entry for entry in entries((self.folder / "given").read_text())}


@pytest.fixture
def installing(repository, tmp_path) -> Installing:
    return Installing(repository, tmp_path)


def test_the_installer_takes_its_versions_from_the_lock_alone(installing, lock):
    synchronised, editable = installing.make()
    assert "--require-hashes" in synchronised
    assert installing.given == {entry.split("==")[0]: entry for entry in entries(lock)}
    assert editable.endswith("--no-deps --no-build-isolation --editable .")
    assert installing.make() == []


def test_another_build_of_pytorch_is_uvs_own_switch_and_all_else_comes_from_the_lock(installing, lock):
    synchronised, pytorch, editable = installing.make("TORCH=cpu")
    assert "--require-hashes" in synchronised
    whole = {entry.split("==")[0]: entry for entry in entries(lock)}
    left_out = whole.keys() - installing.given.keys()
    assert left_out >= {*PYTORCH, "triton", "nvidia-cublas", "cuda-toolkit"}
    assert all(name.startswith(("torch", "triton", "nvidia-", "cuda-")) for name in left_out)
    assert all(whole[name] == entry for name, entry in installing.given.items())
    options, _, packages = pytorch.partition(" --torch-backend cpu ")
    assert options.endswith("--python .venv/bin/python")
    assert packages.split() == [re.match(r"\S+", whole[name])[0] for name in PYTORCH]
    assert "--require-hashes" not in pytorch
    assert editable.endswith("--editable .")


def test_the_build_that_was_asked_for_last_holds(installing):
    installing.make("TORCH=cpu")
    assert installing.make("TORCH=cpu") == []
    assert installing.make() == []
    (installing.folder / "envs" / "requirements.lock").touch()
    assert "--torch-backend cpu" in " ".join(installing.make())
    assert "--torch-backend" not in " ".join(installing.make("TORCH=lock"))


def test_the_locked_uv_has_the_switch():
    told = subprocess.run(
        ["uv", "pip", "install", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"--torch-backend.*?possible\s+values:\s+auto,\s+cpu,", told, re.DOTALL)


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
