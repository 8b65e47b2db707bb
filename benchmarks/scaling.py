"""What the clip table, Snakemake's graph and a job's start cost at 25,000 and at 10^6 clips.

The clips are rows of a table, intervals of a few empty files: nothing here
decodes media or computes features. Every step runs in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from benchmarks.results import publish

from avemo.index.clip_table import Row, write_table

REPOSITORY = Path(__file__).resolve().parent.parent
SIZES = {25_000: 128, 1_000_000: 2_000}
"""Clips, and into how many shards: ten minutes of work or more each at a second a clip."""
CLIPS_A_FILE = 1_000
AGAINST = """What the clip table, Snakemake's graph and a job's start cost, on generated tables of intervals; nothing is decoded.
[scaling.md](scaling.md) says what bounds a run of that size. Peak memory is of one process."""


@dataclass(frozen=True)
class Step:
    """Wall and CPU seconds of a process and its children, its peak memory, and what it printed."""

    seconds: float
    cpu_s: float
    megabytes: float
    printed: str


def timed(folder: Path, *command: str) -> Step:
    """Run a command in ``folder``; raises `RuntimeError` with its output if it fails."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "pipeline")}
    with (folder / "printed.txt").open("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    printed = (folder / "printed.txt").read_text()
    if status:
        raise RuntimeError(f"{' '.join(command)}: {printed[-3000:]}")
    return Step(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed)


def prepare(folder: Path, clips: int, shards: int) -> None:
    """A CSV table of ``clips`` intervals, the empty files it names, and the clip table as the index job writes it."""
    rows = []
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "speaker", "label", "start_s", "end_s"])
        for number in range(clips):
            name, start = f"media/{number // CLIPS_A_FILE:05d}.wav", float(number % CLIPS_A_FILE * 4)
            writer.writerow(
                [f"clip{number:07d}", name, f"s{number % 500}", "ab"[number % 2], start, start + 4]
            )
            rows.append(_row(number, str(folder / name), start))
    (folder / "media").mkdir()
    for number in range(-(-clips // CLIPS_A_FILE)):
        (folder / f"media/{number:05d}.wav").touch()
    config = {
        "run": "r",
        "corpus": {"name": "table", "shards": shards, "config": {"csv": "clips.csv"}},
        "features": {"audio": {"extractor": "compare_lld"}},
        "systems": {"mult": {"model": "mult"}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    index = folder / "cache/table/index.parquet"
    index.parent.mkdir(parents=True)
    write_table(index, rows)


def _row(number: int, path: str, start: float) -> Row:
    place = {"audio_path": path, "video_path": None, "start_s": start, "end_s": start + 4}
    sha = {"audio_sha256": f"{number // CLIPS_A_FILE:064x}", "video_sha256": None}
    known = {
        "duration_s": 4.0,
        "audio_rate_hz": 16000,
        "fps": None,
        "n_frames": None,
        "status": "ok",
        "detail": "",
    }
    speaker = f"s{number % 500}"
    return Row(clip_id=f"clip{number:07d}", speaker=speaker, group=speaker, **place, **sha, **known)


TABLE = "from pathlib import Path; from avemo.index.clip_table import *; rows = read_table(Path('cache/table/index.parquet'))"
RECORD = """
from pathlib import Path
from avemo.base.made_of import note
from avemo.study.makings import index_making
from avemo.study.kept import read_study
from avemo.study.triggers import Triggers

study = read_study(Path("config.yaml"))
making = index_making(study.run(), files=Triggers(study).files("table"))
note(making.path, making.cfg, making.held(), code=making.code())
"""
"""What the index job says of the table; without it the table would be made again."""


def measure(folder: Path, clips: int, shards: int) -> dict[str, Step]:
    """Every step's cost at one size."""

    def python(code: str) -> Step:
        return timed(folder, sys.executable, "-c", code)

    def snakemake(*arguments: str) -> Step:
        where = ("--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "config.yaml", "--cores", "2")
        return timed(folder, sys.executable, "-m", "snakemake", *arguments, *where, "--dry-run")

    # Apart, as a process that is started counts what its parent held as its own peak.
    preparing = multiprocessing.get_context("spawn").Process(target=prepare, args=(folder, clips, shards))
    preparing.start()
    preparing.join()
    python(RECORD)
    steps = {
        "clip table: read": python(TABLE),
        "clip table: read and digested by shard": python(f"{TABLE}; summaries(rows, {shards})"),
    }
    snakemake("features")  # Fills what is kept in .avemo.
    steps["dry run of all shards"] = dry = snakemake("features")
    components = re.findall(r"cache/table/(compare_lld-\w+)/0000\.made\.json", dry.printed)
    is_indexed = re.search(r"^index +1$", dry.printed, re.MULTILINE) is None
    if not (is_indexed and re.search(rf"^audio_features +{shards}$", dry.printed, re.MULTILINE)):
        raise RuntimeError(f"expected {shards} jobs: {dry.printed[-3000:]}")
    job = f"audio_features:corpus=table,component={components[0]},shard=0000"
    steps["one shard's job, before it begins its work"] = snakemake(
        *("--target-jobs", job, "--allowed-rules", "audio_features", "--force", "--nolock", "--no-hooks"),
        *("--mode", "remote"),
    )
    return steps


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every size and put the rows into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="ignored; for `python -m benchmarks`")
    parser.add_argument("--sizes", type=json.loads, default=SIZES, help='JSON: {"clips": shards}')
    asked = parser.parse_args(arguments)
    rows = []
    for clips, shards in asked.sizes.items():
        with tempfile.TemporaryDirectory(prefix="avemo-scaling-") as name:
            for what, step in measure(Path(name), int(clips), shards).items():
                size = {"step": what, "clips": f"{int(clips):,}", "shards": f"{shards:,}"}
                cost = {"seconds": step.seconds, "CPU seconds": step.cpu_s, "peak MB": round(step.megabytes)}
                rows.append(size | cost)
                print(rows[-1], flush=True)
    publish("scaling", AGAINST, rows)


if __name__ == "__main__":
    main()
