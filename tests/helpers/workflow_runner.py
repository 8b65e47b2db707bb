"""Snakemake and avemo as a user runs them, in a folder of a test's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml


class Workflow:
    """The repository's workflow with its working directory in ``folder``."""

    def __init__(self, repository: Path, folder: Path):
        self.repository, self.folder = repository, folder
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def snakemake(self, config: dict | list[Path], *arguments: str, succeeds: bool = True) -> str:
        """Run with a config, or with files laid over each other, and return all that was printed."""
        files = config if isinstance(config, list) else [self.folder / "config.yaml"]
        if isinstance(config, dict):
            files[0].write_text(yaml.safe_dump(config, sort_keys=False))
        snakefile = ("--snakefile", str(self.repository / "Snakefile"), "--directory", str(self.folder))
        command = [sys.executable, "-m", "snakemake", *snakefile, "--cores", "2", *arguments]
        return self._run([*command, "--configfile", *map(str, files)], succeeds)

    def avemo(self, *arguments: str, succeeds: bool = True) -> str:
        """Run one avemo command in the folder."""
        return self._run(["avemo", *arguments], succeeds)

    def planned(self, config: dict, *targets: str) -> dict[str, int]:
        """Jobs by rule that a dry run announces, without those of the targets alone, and of what `train` leaves."""
        output = self.snakemake(config, *targets, "-n")
        counts = {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", output, re.MULTILINE)}
        for name in ("total", "trained", *targets):
            counts.pop(name, None)
        assert counts or "Nothing to be done" in output, output
        return counts

    def _run(self, command: list[str], succeeds: bool) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        output = done.stdout + done.stderr
        logs = "" if (done.returncode == 0) == succeeds else self._logs()
        assert (done.returncode == 0) == succeeds, output + logs
        return output

    def _logs(self) -> str:
        return "".join(f"\n{path}:\n{path.read_text()[-2000:]}" for path in self.folder.rglob("*.log"))
