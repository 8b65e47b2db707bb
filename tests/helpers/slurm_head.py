"""Snakemake as a user starts it on a login node, in a folder that all nodes share, and Slurm's records of its jobs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

HERE = ("--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "5")
"""What the README says of a cluster without accounting, and a shorter wait for files."""


class Head:
    """The repository's workflow with the Slurm profile, working in ``folder``; ``path`` comes before all programs."""

    def __init__(
        self, repository: Path, folder: Path, config: dict, path: Path | None = None, **variables: str
    ):
        self.repository, self.folder = repository, folder
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        places = [*([path] if path else []), Path(sys.executable).parent, os.environ["PATH"]]
        self.environment = os.environ | {"PATH": os.pathsep.join(map(str, places))} | variables

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Snakemake on Slurm in the background; it prints to ``head.log``."""
        return self._start(__file__, *arguments, "--profile", str(self.repository / "profiles/slurm"), *HERE)

    def run(self, *arguments: str) -> None:
        """Snakemake on Slurm until its end."""
        self.finish(self.start(*arguments))

    def run_here(self, *arguments: str) -> None:
        """Snakemake on this machine, for what a test does not want to wait for."""
        self.finish(self._start("-m", "snakemake", *arguments, "--cores", "2"))

    def finish(self, process: subprocess.Popen[str]) -> None:
        """Wait for a process that must end well."""
        code = process.wait(timeout=900)
        assert code == 0, (self.folder / "head.log").read_text()[-4000:] + self._logs()

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [
            *(sys.executable, *arguments),
            *("--snakefile", str(self.repository / "Snakefile"), "--directory", str(self.folder)),
            *("--configfile", str(self.folder / "config.yaml")),
        ]
        with (self.folder / "head.log").open("a") as output:
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, text=True
            )

    def _logs(self) -> str:
        found = [*self.folder.rglob("logs/**/*.log"), *self.folder.rglob("slurm_logs/**/*.log")]
        return "".join(f"\n{path}:\n{path.read_text()[-1500:]}" for path in found)


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job, by the comment that Snakemake gives it."""
    return re.sub(r"^rule_(\w+?)(_wildcards.*)?$", r"\1", job["Comment"])


def _main() -> None:
    """Snakemake that looks every second how its jobs are; the plugin waits 10 s longer after each look in vain."""
    from snakemake.cli import main
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, value: None)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    _main()
