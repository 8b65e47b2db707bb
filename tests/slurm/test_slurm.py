"""The workflow on a real Slurm, and what happens to its work when the cluster fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import slurm_cluster
import yaml

from pipeline.cache.shard import Shard

HERE = ("--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "5")
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1")
CORPUS = {"root": "corpus", "actors": 4, "plain": [], "neutral": [], "size_px": 128, "fps": 5, "seconds": 0.8}
ON_GPU = {"faces", "visual_features", "train"}
CLIPS, SECONDS = 24, 40

pytestmark = pytest.mark.skipif(bool(slurm_cluster.why_not()), reason=slurm_cluster.why_not() or "-")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[slurm_cluster.Cluster]:
    cluster = slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class Head:
    """Snakemake as a user starts it on a login node, in a folder all nodes share."""

    def __init__(self, repository: Path, folder: Path, config: dict):
        self.repository, self.folder = repository, folder
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--snakefile", str(self.repository / "Snakefile"), "--directory", str(self.folder)),
            *("--configfile", str(self.folder / "config.yaml")),
            *("--profile", str(self.repository / "profiles/slurm"), *HERE, *QUICK),
        ]
        output = (self.folder / "head.log").open("a")
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, text=True
        )

    def run(self, *arguments: str) -> str:
        code = self.start(*arguments).wait(timeout=900)
        text = (self.folder / "head.log").read_text()
        assert code == 0, text[-4000:]
        return text


def rule_of(job: dict[str, str]) -> str:
    return re.sub(r"^rule_(\w+?)(_wildcards.*)?$", r"\1", job["Comment"])


def test_the_workflow_runs_and_each_job_is_where_it_belongs(cluster, repository, tmp_path):
    network = {"width": 8, "heads": 2, "layers": 1}
    config = {
        "run": "tiny",
        "corpus": {"name": "demo", "shards": 2, "config": CORPUS},
        "features": {
            "audio": {"extractor": "compare_lld"},
            "visual": {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}},
        },
        "splits": {"n": 2, "dev": 0.25, "test": 0.25},
        "training": {"epochs": 1},
        "systems": {"mult": {"model": "mult", "config": network}},
    }
    before = len(cluster.jobs())
    Head(repository, tmp_path, config).run()
    jobs = cluster.jobs()[before:]
    assert (tmp_path / "results/tiny/report.html").is_file()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    ran = pd.Series([rule_of(job) for job in jobs]).value_counts().to_dict()
    shards = {"faces": 2, "audio_features": 2, "visual_features": 2}
    assert ran == shards | {"index": 1, "quality": 1, "train": 2, "evaluate": 1}
    for job in jobs:
        on_gpu = rule_of(job) in ON_GPU
        assert job["Partition"] == ("gpu" if on_gpu else "cpu")
        assert job.get("JOB_GRES", "") == ("gpu:h200:1" if on_gpu else "(null)")
        minutes = pd.Timedelta(job["TimeLimit"].replace("-", " days ")).total_seconds() / 60
        assert minutes >= 15
        assert int(job["MinMemoryNode"].rstrip("MG")) > 0
    held = [
        (pd.Timestamp(job[edge]), step)
        for job in jobs
        if rule_of(job) in ON_GPU
        for edge, step in (("StartTime", 1), ("EndTime", -1))
    ]
    assert np.cumsum([step for _, step in sorted(held)]).max() <= 2


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """A table of sounds, each long enough for one shard's job to be met in the middle of its work."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for number in range(CLIPS):
        with wave.open(str(folder / f"clip{number:02d}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(rng.normal(0, 3000, SECONDS * 16_000).astype("<i2").tobytes())
    rows = [f"clip{n:02d},clip{n:02d}.wav,s{n % 6},{'ab'[n % 2]}" for n in range(CLIPS)]
    (folder / "table.csv").write_text("clip_id,audio_path,speaker,label\n" + "\n".join(rows))
    return folder


def sound_config(sounds: Path) -> dict:
    return {
        "run": "sounds",
        "corpus": {"name": "table", "shards": 1, "config": {"path": str(sounds / "table.csv")}},
        "features": {"audio": {"extractor": "compare_lld"}},
        "splits": {"n": 1},
        "systems": {"mult": {"model": "mult"}},
    }


def running(cluster: slurm_cluster.Cluster, known: int) -> str:
    """Id of the new job that extracts, once it has been at it for a while."""

    def found() -> list[str]:
        new = cluster.jobs()[known:]
        return [j["JobId"] for j in new if rule_of(j) == "audio_features" and j["JobState"] == "RUNNING"]

    cluster.wait_for(found, "a running job", 120)
    return found()[-1]


def cancel_the_job(cluster: slurm_cluster.Cluster, job: str, head: subprocess.Popen[str]) -> None:
    cluster.run("scancel", job)


def lose_the_node(cluster: slurm_cluster.Cluster, job: str, head: subprocess.Popen[str]) -> None:
    """The node dies with everything on it, and comes back later."""
    cluster.kill("slurmd-cpu1.pid")
    subprocess.run(["pkill", "-9", "-f", f"slurmstepd: \\[{job}"], check=False)
    subprocess.run(["pkill", "-9", "-f", "avemo extract"], check=False)
    cluster.run("scontrol", "update", "NodeName=cpu1", "State=DOWN", "Reason=test")
    time.sleep(3)
    cluster.start_node("cpu1")
    cluster.run("scontrol", "update", "NodeName=cpu1", "State=RESUME", check=False)


def restart_the_controller(cluster: slurm_cluster.Cluster, job: str, head: subprocess.Popen[str]) -> None:
    cluster.kill("slurmctld.pid")
    time.sleep(3)
    cluster.start_controller()


def kill_the_head(cluster: slurm_cluster.Cluster, job: str, head: subprocess.Popen[str]) -> None:
    head.send_signal(signal.SIGKILL)


FAILURES = (cancel_the_job, lose_the_node, restart_the_controller, kill_the_head)


@pytest.mark.skipif(
    "AVEMO_SLURM_FAILURES" not in os.environ, reason="minutes long: set AVEMO_SLURM_FAILURES=1"
)
@pytest.mark.parametrize("fail", FAILURES, ids=lambda fail: fail.__name__)
def test_nothing_is_lost(fail, cluster, repository, sounds, tmp_path):
    head = Head(repository, tmp_path, sound_config(sounds))
    before = len(cluster.jobs())
    first = head.start("features")
    job = running(cluster, before)
    store = tmp_path / "cache/table/.store"
    cluster.wait_for(lambda: list(store.rglob("lock-*")), "the store in use", 60)
    time.sleep(4)
    fail(cluster, job, first)
    if fail is kill_the_head:
        first.wait()
        head.run("--unlock")
        first = head.start("features")
    assert first.wait(timeout=600) == 0, (tmp_path / "head.log").read_text()[-4000:]
    shards = list((tmp_path / "cache/table").glob("compare_lld-*/0000.h5"))
    with Shard(shards[0]) as shard:
        assert len(shard.index) == CLIPS
        assert shard.verify() == []
    # What a job kept before it ended lies in parts of its own; none of it was computed twice.
    log = "".join(path.read_text() for path in (tmp_path / "cache").rglob("logs/**/*.log"))
    computed, reused = map(int, re.findall(r"(\d+) computed, (\d+) reused", log)[-1])
    assert computed + reused == CLIPS
