"""A small corpus of generated sounds, and avemo and Snakemake run on it as a user would, with every clip traced."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stress.traced import Forked

REPOSITORY = Path(__file__).resolve().parents[2]
RATE_HZ = 16_000
TINY = {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}
"""A system that trains in seconds."""


class Arena:
    """One folder with its corpus, its config and its cache."""

    def __init__(
        self,
        folder: Path,
        clips: int,
        shards: int,
        seconds: float = 0.3,
        code: Path = REPOSITORY,
        **config: Any,
    ):
        self.folder, self.code = folder, code
        self.trace = folder / "trace.txt"
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = [f"clip{number:05d}" for number in range(clips)]
        for number, name in enumerate(self.rows):
            write_sound(folder / f"{name}.wav", number, seconds)
        self.config: dict[str, Any] = {
            "run": "stress",
            "corpus": {"name": "table", "shards": shards, "config": {"csv": "clips.csv"}},
            "features": {"audio": {"extractor": "compare_lld"}},
            "systems": {"mult": {"model": "mult"}},
        } | config
        self.write_table()
        self._install()

    @property
    def cache(self) -> Path:
        """The corpus' folder under the cache."""
        return self.folder / "cache" / "table"

    def write_table(self, names: dict[str, str] | None = None) -> None:
        """The CSV; ``names`` maps clip ids to files where they are not the ids'."""
        files = {name: f"{name}.wav" for name in self.rows} | (names or {})
        lines = [
            f"{name},{files[name]},speaker{number % 8},{'ab'[number // 8 % 2]}"
            for number, name in enumerate(self.rows)
        ]
        (self.folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker,label", *lines]) + "\n")

    def _install(self) -> None:
        """An ``avemo`` on the path that traces; Snakemake's jobs find it too."""
        script = self.folder / "bin" / "avemo"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stress.traced "$@"\n')
        script.chmod(0o755)
        path = os.pathsep.join([str(script.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = os.environ | {
            "PATH": path,
            "PYTHONPATH": os.pathsep.join([str(self.code / "pipeline"), str(self.code / "tests")]),
            "AVEMO_TRACE": str(self.trace),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: str, printed: str = "printed.txt") -> Forked:
        """An avemo command in the background; what it prints goes to a file of that name."""
        return Forked(arguments, self.folder, self.environment, self.folder / printed)

    def start_snakemake(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Snakemake in the background, in a process group of its own."""
        log = (self.folder / "printed.txt").open("wb")
        return subprocess.Popen(
            self._snakemake(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def avemo(self, *arguments: str) -> str:
        """An avemo command; what it printed. Raises `RuntimeError` if it fails."""
        return self.finish(self.start(*arguments))

    def snakemake(self, *arguments: str) -> str:
        """Snakemake; what it printed. Raises `RuntimeError` if it fails."""
        return self.finish(self.start_snakemake(*arguments))

    def finish(self, process: Forked | subprocess.Popen[bytes]) -> str:
        """Wait for the command started last; what it printed. Raises `RuntimeError` if it fails."""
        if process.wait() != 0:
            raise RuntimeError(f"{process} ended with {process.returncode}:\n{self.printed()}")
        return self.printed()

    def begun(self) -> int:
        """How many computations the trace has."""
        return self.trace.read_bytes().count(b"\n") if self.trace.exists() else 0

    def computed(self) -> list[str]:
        """The trace since it was last asked for: ``component clip`` for each computation begun."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        self.trace.unlink(missing_ok=True)
        return lines

    def part(self, name: str) -> str:
        """What `avemo config show --part` prints, as a file's path."""
        path = self.folder / f"{name}.json"
        self.write_config()
        path.write_text(self.avemo("config", "show", "--config", "config.yaml", "--part", name))
        return str(path)

    def write_config(self) -> None:
        """The config's file."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def _snakemake(self, *arguments: str) -> list[str]:
        self.write_config()
        place = ("--snakefile", str(self.code / "Snakefile"), "--directory", str(self.folder))
        command = [
            sys.executable,
            "-m",
            "snakemake",
            *place,
            "--configfile",
            str(self.folder / "config.yaml"),
        ]
        return [*command, "--cores", "2", "--rerun-incomplete", *arguments]

    def printed(self, name: str = "printed.txt") -> str:
        """What the last command printed."""
        return (self.folder / name).read_text(errors="replace")


def write_sound(path: Path, seed: int, seconds: float) -> None:
    """A tone in noise, 16-bit mono; another seed, another sound."""
    generator = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    wave_form = 0.3 * np.sin(2 * np.pi * generator.uniform(90, 300) * t) + 0.05 * generator.standard_normal(
        len(t)
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((32767 * np.clip(wave_form, -1, 1)).astype("<i2").tobytes())
