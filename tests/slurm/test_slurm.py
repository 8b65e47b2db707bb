"""The workflow on a real Slurm, and what happens to its work when the cluster fails."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import slurm_cluster
from avemo.cache.shard import Shard
from avemo.progress.clips import held_pairs
from avemo.study.layout import Layout
from runs import run_of
from slurm_cluster import Cluster
from slurm_head import Head, rule_of
from stress.arena import write_sound
from stress.page import write_section

CORPUS = {"root": "corpus", "actors": 3, "plain": [], "neutral": [], "size_px": 128, "fps": 5, "seconds": 0.8}
ON_GPU = {"faces", "visual_features", "train", "evaluate"}
CLIPS, GATE = 100, 80
"""The gate lies beyond the 64 clips after which a store writes its first part."""
FLUSH = 64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(slurm_cluster.why_not()), reason=slurm_cluster.why_not() or "-"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


HEAD = """# On a real Slurm

Written by `make cluster`, from the records of a Slurm with two nodes on one machine: `cpu1`, and `gpu1` with two
pretended GPUs. The corpora are generated, the network random and small: nothing here says how fast a cluster is.
"""


def tell(name: str, counts: dict[str, object], columns: str, rows: Sequence[Sequence[object]]) -> None:
    """Write a section of the page that ``AVEMO_CLUSTER_PAGE`` names; without one, nothing."""
    if "AVEMO_CLUSTER_PAGE" in os.environ:
        write_section(
            Path(os.environ["AVEMO_CLUSTER_PAGE"]), name, counts, [columns.split(" | "), *rows], HEAD
        )


def minutes(job: dict[str, str]) -> float:
    return pd.Timedelta(job["TimeLimit"].replace("-", " days ")).total_seconds() / 60


def megabytes(job: dict[str, str]) -> int:
    number, unit = re.fullmatch(r"([\d.]+)([MG])", job["MinMemoryNode"]).groups()
    return round(float(number) * {"M": 1, "G": 1024}[unit])


def ran_s(job: dict[str, str]) -> float:
    return (pd.Timestamp(job["EndTime"]) - pd.Timestamp(job["StartTime"])).total_seconds()


def test_the_workflow_runs_and_each_job_is_where_it_belongs(cluster, repository, tmp_path):
    config = {
        "run": "tiny",
        "corpus": {"name": "demo", "shards": 1, "config": CORPUS},
        "features": {
            "audio": {"extractor": "compare_lld"},
            "visual": {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}},
        },
        "splits": {"n": 3, "dev": 0.34, "test": 0.33},
        "training": {"epochs": 1},
        "systems": {"mult": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
    }
    before = len(cluster.jobs())
    Head(repository, tmp_path, config).run()
    jobs = cluster.jobs()[before:]
    assert (tmp_path / "results/tiny/report.html").is_file()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    once = ("index", "faces", "audio_features", "visual_features", "quality", "linear", "evaluate")
    assert Counter(map(rule_of, jobs)) == dict.fromkeys(once, 1) | {"train": 3}
    for job in jobs:
        on_gpu = rule_of(job) in ON_GPU
        assert job["Partition"] == ("gpu" if on_gpu else "cpu")
        assert job.get("JOB_GRES", "") == ("gpu:h200:1" if on_gpu else "(null)")
        assert minutes(job) >= 15
        assert megabytes(job) >= 2000
    held = [
        (pd.Timestamp(job[edge]), step)
        for job in jobs
        if rule_of(job) in ON_GPU
        for edge, step in (("StartTime", 1), ("EndTime", -1))
    ]
    at_once = int(np.cumsum([step for _, step in sorted(held)]).max())
    assert at_once <= 2
    tell(
        "A run, by Slurm's records",
        {"jobs": len(jobs), "GPUs there": 2, "GPUs held at once, most": at_once},
        "rule | partition | GPUs | memory asked, MB | time asked, min | ran, s | end",
        [
            [
                *(rule_of(job), job["Partition"], int(rule_of(job) in ON_GPU), megabytes(job)),
                *(round(minutes(job)), round(ran_s(job)), job["JobState"]),
            ]
            for job in jobs
        ],
    )


@dataclass
class Scene:
    """A job of the workflow on Slurm that stands at the gate, in the middle of its shard."""

    cluster: Cluster
    head: Head
    process: subprocess.Popen[str]
    layout: Layout
    gate: Path
    known: int

    def jobs(self) -> list[dict[str, str]]:
        """Slurm's records of the jobs that extract."""
        return [job for job in self.cluster.jobs()[self.known :] if rule_of(job) == "audio_features"]

    def at_the_gate(self) -> None:
        self.cluster.wait_for((self.gate / "waiting").exists, "a job at the gate", 120)

    def open(self) -> None:
        (self.gate / "open").touch()

    def wait_for_jobs(self, n: int) -> None:
        self.cluster.wait_for(lambda: len(self.jobs()) == n, f"{n} jobs", 120)

    def slurm_log(self, number: int) -> str:
        """What a job printed, and Slurm about it."""
        (log,) = (self.head.folder / ".snakemake/slurm_logs").rglob(f"{self.jobs()[number]['JobId']}.log")
        return log.read_text()

    def kept(self) -> set[str]:
        """Clips that the store holds."""
        (component,) = (self.layout.corpus / ".store").iterdir()
        parts = self.layout.store(component.name, 0).glob("*.h5")
        return {clip_id for part in parts for clip_id, _ in held_pairs(part)}

    def begun(self) -> Counter[str]:
        """How often each clip was begun."""
        return Counter(line.split()[1] for line in (self.gate / "trace.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def indexed(repository, tmp_path_factory) -> Path:
    """A folder of sounds and their clip table, from which every failure starts."""
    folder = tmp_path_factory.mktemp("sounds")
    for number in range(CLIPS):
        write_sound(folder / f"clip{number:02d}.wav", number, 0.3)
    rows = [f"clip{n:02d},clip{n:02d}.wav,s{n % 6},{'ab'[n % 2]}" for n in range(CLIPS)]
    (folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]))
    Head(repository, folder, SOUNDS).run_here("cache/table/index.parquet")
    return folder


SOUNDS = {
    "run": "sounds",
    "corpus": {"name": "table", "shards": 1, "config": {"csv": "clips.csv"}},
    "features": {"audio": {"extractor": "compare_lld"}},
    "systems": {"mult": {"model": "mult"}},
}


@pytest.fixture
def scene(cluster, repository, indexed, tmp_path) -> Iterator[Scene]:
    folder, gate, programs = tmp_path / "work", tmp_path / "gate", tmp_path / "bin"
    shutil.copytree(indexed, folder)
    gate.mkdir()
    programs.mkdir()
    (gate / "at").write_text(str(GATE))
    (programs / "avemo").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m slurm_gate "$@"\n')
    (programs / "avemo").chmod(0o755)
    head = Head(
        *(repository, folder, SOUNDS, programs),
        PYTHONPATH=os.pathsep.join(str(repository / name) for name in ("pipeline", "tests", "tests/helpers")),
        AVEMO_GATE=str(gate),
        AVEMO_TRACE=str(gate / "trace.txt"),
    )
    layout = Layout(
        run_of(run="sounds", cache=f"{folder}/cache", results=f"{folder}/results", corpus={"id": "table"})
    )
    known = len(cluster.jobs())
    scene = Scene(cluster, head, head.start("features"), layout, gate, known)
    yield scene
    scene.open()
    if scene.process.poll() is None:
        scene.process.kill()


def cancel_the_job(scene: Scene) -> None:
    """`scancel` by hand"""
    scene.cluster.run("scancel", scene.jobs()[-1]["JobId"])


def lose_the_node(scene: Scene) -> None:
    """the node dies with all that runs on it"""
    scene.cluster.kill("slurmd-cpu1.pid")
    scene.cluster.kill_job(scene.jobs()[-1]["JobId"])
    scene.cluster.run("scontrol", "update", "NodeName=cpu1", "State=DOWN", "Reason=test")
    scene.cluster.start_node("cpu1")
    scene.cluster.run("scontrol", "update", "NodeName=cpu1", "State=RESUME", check=False)


def drain_the_node(scene: Scene) -> None:
    """the node is drained; its job may finish"""
    scene.cluster.run("scontrol", "update", "NodeName=cpu1", "State=DRAIN", "Reason=test")
    scene.open()
    scene.cluster.wait_for(lambda: scene.jobs()[0]["JobState"] == "COMPLETED", "the job's end", 60)
    scene.cluster.run("scontrol", "update", "NodeName=cpu1", "State=RESUME")


def restart_the_controller(scene: Scene) -> None:
    """Slurm's controller is killed and started again"""
    scene.cluster.kill("slurmctld.pid")
    time.sleep(3)
    scene.cluster.start_controller()
    scene.open()


def kill_the_head(scene: Scene) -> None:
    """Snakemake is killed and started again while its job runs"""
    scene.process.send_signal(signal.SIGKILL)
    scene.process.wait()
    scene.head.run_here("--unlock")
    scene.process = scene.head.start("features")
    log = scene.layout.cache_logs
    scene.cluster.wait_for(
        lambda: any("waiting:" in path.read_text() for path in log.rglob("0000.log")),
        "a second job that waits",
        120,
    )
    scene.open()


def reach_the_time_limit(scene: Scene) -> None:
    """the job reaches its time limit"""
    scene.cluster.run("scontrol", "update", f"JobId={scene.jobs()[0]['JobId']}", "TimeLimit=1")
    scene.cluster.wait_for(lambda: scene.jobs()[0]["JobState"] == "TIMEOUT", "a timeout", 150)


def exceed_the_memory(scene: Scene) -> None:
    """the job takes more memory than it asked for; the next attempt takes as much"""
    (scene.gate / "at").write_text("1")
    scene.wait_for_jobs(2)
    assert "exceeded memory limit" in scene.slurm_log(0)
    (scene.gate / "waiting").unlink()
    scene.at_the_gate()
    time.sleep(4)  # Slurm looks every second.
    assert scene.jobs()[1]["JobState"] == "RUNNING"
    scene.open()


@dataclass(frozen=True)
class Case:
    """A failure, how Slurm says that the jobs ended, and how many clips may be computed a second time."""

    fail: Callable[[Scene], None]
    ends: tuple[str, ...]
    again: int


CASES = (
    Case(cancel_the_job, ("CANCELLED", "COMPLETED"), 1),
    Case(lose_the_node, ("NODE_FAIL", "COMPLETED"), FLUSH),
    Case(drain_the_node, ("COMPLETED",), 0),
    Case(restart_the_controller, ("COMPLETED",), 0),
    Case(kill_the_head, ("COMPLETED", "COMPLETED"), 0),
    Case(reach_the_time_limit, ("TIMEOUT", "COMPLETED"), 1),
    # Slurm kills the job's step for its memory; the job itself then counts as failed.
    Case(exceed_the_memory, ("FAILED", "COMPLETED"), FLUSH),
)
ALWAYS = (cancel_the_job, lose_the_node)
ON_REQUEST = pytest.mark.skipif("AVEMO_SLURM_FAILURES" not in os.environ, reason="minutes: `make cluster`")


@pytest.fixture(scope="module")
def seen() -> list[list[object]]:
    """What the failures so far did, one row each."""
    return []


def tell_failures(rows: list[list[object]]) -> None:
    counts = {"clips of the shard": CLIPS, "begun when it happens": GATE, "in flight at most": FLUSH}
    columns = "what happens | how its jobs end | kept before | lost | computed again | time asked, min | memory asked, MB"
    tell("Failures", counts, columns, rows)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.fail.__name__, marks=() if case.fail in ALWAYS else ON_REQUEST)
        for case in CASES
    ],
)
def test_nothing_is_lost(case, scene, seen):
    if case.fail is exceed_the_memory:
        (scene.gate / "megabytes").write_text("2300")
    scene.at_the_gate()
    (asked,), kept = scene.jobs(), scene.kept()
    case.fail(scene)
    scene.head.finish(scene.process)
    jobs, begun, after = scene.jobs(), scene.begun(), scene.kept()
    again = {clip for clip, times in begun.items() if times > 1}
    ends = [job["JobState"] for job in jobs]
    limits = [" → ".join(str(round(ask(job))) for job in (asked, *jobs[1:])) for ask in (minutes, megabytes)]
    told = case.fail.__doc__ or ""
    seen.append([told, " → ".join(ends), len(kept), len(kept - after), len(again), *limits])
    tell_failures(seen)
    assert tuple(ends) == case.ends
    (shard,) = scene.layout.corpus.glob("compare_lld-*/0000.h5")
    with Shard(shard) as file:
        assert len(file.index) == CLIPS
        assert file.verify() == []
    assert len(kept) == FLUSH
    assert kept <= after
    assert not again & kept
    assert len(again) <= case.again
    assert sum(begun.values()) == CLIPS + len(again)
    if len(jobs) == 2 and case.fail is not kill_the_head:
        assert megabytes(jobs[1]) == 2 * megabytes(asked)
        assert minutes(jobs[1]) == 2 * minutes(asked)
