"""Status told from hand-made files; the failure is a block that Snakemake 9.27 has printed."""

import os
import time
from datetime import datetime

import pytest

from avemo.base.keys import shard_of
from avemo.cache.shard_writer import write_shard
from avemo.index.clip_table import Row, write_table
from avemo.progress.status import RECENT_S, failed_logs, status
from avemo.study.study import Study
from cache_factory import ids, item_of
from runs import run_of

CLIPS = ids(20)
FAILURE = """[{when}]
Error in rule train:
    message: None
    jobid: 4
    output: {output}
    log: {log} (check log file(s) for error details)
    shell:
        avemo train
        (command exited with non-zero exit code)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Study({"r": run_of(("mult",), "lld-1", splits={"n": 3})})


def row_of(study, stage):
    (row,) = [row for row in status(study, "r") if row.stage == stage]
    return row


def write(path, text="", age_s=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)


def test_nothing_has_begun(study):
    rows = status(study, "r")
    assert [row.stage for row in rows] == [
        "index",
        "audio",
        "labels",
        "splits",
        "train",
        "evaluate",
        "report",
    ]
    assert all((row.done, row.running, row.failed) == (0, 0, 0) for row in rows)
    assert row_of(study, "audio").clips is None
    assert row_of(study, "train").total == 3


def test_clips_of_a_store_under_way_count_and_its_lease_shows_that_it_runs(study):
    layout = study.layouts["r"]
    layout.corpus.mkdir(parents=True)
    rows = [
        Row(clip, "s", "s", None, None, 0.0, None, None, None, 1.0, None, None, None, "ok", "")
        for clip in CLIPS
    ]
    write_table(layout.index, rows)
    shards = [[clip for clip in CLIPS if shard_of(clip, 2) == n] for n in (0, 1)]
    layout.shard("lld-1", 0).parent.mkdir()
    write_shard(layout.shard("lld-1", 0), [item_of(clip) for clip in shards[0]], {})
    write(layout.store("lld-1", 1) / "lock-000001")
    write_shard(layout.store("lld-1", 1) / "part-000001.h5", [item_of(clip) for clip in shards[1][:2]], {})
    write(layout.cache_benchmarks / "lld-1" / "0000.tsv", "s\tcpu_time\n10\t12\n")
    write(layout.cache_logs / "lld-1" / "0000.log", f"{len(shards[0])} computed, 0 reused, 1 failed\n")

    row = row_of(study, "audio")
    assert (row.total, row.done, row.running, row.failed) == (2, 1, 1, 0)
    assert (row.clips, row.clips_done) == (20, len(shards[0]) + 2)
    assert row.clips_a_s == pytest.approx(len(shards[0]) / 10)
    assert row.left_s == pytest.approx((len(shards[1]) - 2) * 10 / len(shards[0]))
    assert (row.wall_s, row.cpu_s) == (10, 12)

    os.utime(layout.store("lld-1", 1) / "lock-000001", (0, 0))  # given back
    assert row_of(study, "audio").running == 0


def test_a_packs_record_is_shared_by_its_splits(study):
    study = Study({"r": run_of(("mult",), "lld-1", splits={"n": 3}, speed={"splits_per_job": 2})})
    layout = study.layouts["r"]
    write(layout.benchmarks / "train" / "mult-split00.tsv", "s\tcpu_time\n10\t12\n")
    for split in ("split00", "split01"):
        write(layout.trained("mult", split) / "model.safetensors")
    row = row_of(study, "train")
    assert (row.done, row.total, row.left_s, row.wall_s) == (2, 3, 5, 10)


def failed_training(layout, when):
    log = layout.logs / "train" / "mult-split01.log"
    write(log, "".join(f"line {n}\n" for n in range(9)), age_s=100)
    output = layout.trained("mult", "split01") / "model.safetensors"
    stamp = when.strftime("%a %b %d %H:%M:%S %Y")
    write(
        layout.results.parents[1] / ".snakemake/log/1.snakemake.log",
        FAILURE.format(when=stamp, output=output, log=log),
    )
    return log


def test_a_failed_job_shows_the_end_of_its_log(study):
    log = failed_training(study.layouts["r"], datetime.fromtimestamp(time.time() - 90))
    row = row_of(study, "train")
    assert (row.total, row.done, row.running, row.failed) == (3, 0, 0, 1)
    assert row.failures == {str(log): [f"line {n}" for n in range(4, 9)]}


def test_on_a_cluster_the_schedulers_log_stands_beside_the_jobs(study, tmp_path):
    log = failed_training(study.layouts["r"], datetime.fromtimestamp(time.time() - 90))
    said = tmp_path / ".snakemake/log/1.snakemake.log"
    said.write_text(said.read_text().replace(f"log: {log}", f"log: {log}, elsewhere/slurm_logs/1.log"))
    assert row_of(study, "train").failures.keys() == {str(log)}


def test_a_failed_job_that_writes_again_is_running(study):
    log = failed_training(study.layouts["r"], datetime.fromtimestamp(time.time() - 90))
    os.utime(log)
    row = row_of(study, "train")
    assert (row.running, row.failed) == (1, 0)


def test_a_log_that_is_no_longer_written_shows_no_running_job(study):
    layout = study.layouts["r"]
    write(layout.logs / "train" / "mult-split00.log", age_s=RECENT_S + 60)
    assert row_of(study, "train").running == 0
    write(layout.resume("mult", "split00") / "checkpoint.safetensors")
    assert row_of(study, "train").running == 1


def test_only_the_newest_snakemake_log_counts(study, tmp_path):
    failed_training(study.layouts["r"], datetime.now())
    assert len(failed_logs(tmp_path / ".snakemake")) == 1
    write(tmp_path / ".snakemake/log/2.snakemake.log", "Nothing to be done")
    assert failed_logs(tmp_path / ".snakemake") == {}
