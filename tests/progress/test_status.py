"""Status told from hand-made files."""

import json
import os
import time

import pytest

from avemo.base.keys import shard_of
from avemo.base.made_of import note
from avemo.cache.shard_writer import write_shard
from avemo.index.clip_table import Row, write_table
from avemo.progress.shard_records import Counts, write_record
from avemo.progress.status import status
from avemo.study.study import Study
from cache_factory import ids, item_of
from runs import run_of

CLIPS = ids(20)


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


def journal(tmp_path, *events, age_s=0.0):
    lines = [json.dumps({"at_s": time.time() - 60} | event) for event in events]
    write(tmp_path / ".avemo/events/1.jsonl", "\n".join(lines), age_s)


def started(layout, *splits, number=4):
    outputs = [str(layout.trained("mult", splits[0]) / "model.made.json")]
    log = layout.logs / "train" / f"mult-{splits[0]}.log"
    write(log, "".join(f"line {n}\n" for n in range(9)))
    return {"event": "started", "job": number, "output": outputs, "log": [str(log)]}


def trained(layout, split):
    write(layout.trained("mult", split) / "model.safetensors")


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


def test_clips_of_a_store_under_way_count(study):
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
    note(layout.shard("lld-1", 0), {}, {})
    layout.store("lld-1", 1).mkdir(parents=True)
    write_shard(layout.store("lld-1", 1) / "part-000001.h5", [item_of(clip) for clip in shards[1][:2]], {})
    write(layout.cache_benchmarks / "lld-1" / "0000.tsv", "s\tcpu_time\n10\t12\n")
    write_record(layout.store("lld-1", 0), Counts(len(shards[0]), len(shards[0]), 0, 1, seconds=8))

    row = row_of(study, "audio")
    assert (row.total, row.done, row.running, row.failed) == (2, 1, 0, 0)
    assert (row.clips, row.clips_done) == (20, len(shards[0]) + 2)
    assert row.clips_a_s == pytest.approx(len(shards[0]) / 8)
    assert row.left_s == pytest.approx((len(shards[1]) - 2) * 8 / len(shards[0]))
    assert (row.wall_s, row.cpu_s) == (10, 12)


def test_a_packs_record_is_shared_by_its_splits(study):
    study = Study({"r": run_of(("mult",), "lld-1", splits={"n": 3}, speed={"splits_per_job": 2})})
    layout = study.layouts["r"]
    write(layout.benchmarks / "train" / "mult-split00.tsv", "s\tcpu_time\n10\t12\n")
    for split in ("split00", "split01"):
        trained(layout, split)
    row = row_of(study, "train")
    assert (row.done, row.total, row.left_s, row.wall_s) == (2, 3, 5, 10)


def test_a_packed_training_runs_from_its_first_split_to_its_last(study, tmp_path):
    study = Study({"r": run_of(("mult",), "lld-1", splits={"n": 3}, speed={"splits_per_job": 3})})
    layout = study.layouts["r"]
    journal(tmp_path, started(layout, "split00", "split01", "split02"))
    for done, split in enumerate(("split00", "split01", "split02")):
        assert (row_of(study, "train").done, row_of(study, "train").running) == (done, 1)
        trained(layout, split)
    assert (row_of(study, "train").done, row_of(study, "train").running) == (3, 0)


def test_models_left_from_before_a_training_tell_nothing_of_its_pace(study, tmp_path):
    study = Study({"r": run_of(("mult",), "lld-1", splits={"n": 3}, speed={"splits_per_job": 3})})
    layout = study.layouts["r"]
    journal(tmp_path, started(layout, "split00", "split01", "split02"))
    for split in ("split00", "split01"):
        write(layout.model("mult", split), age_s=3600)
    assert (row_of(study, "train").done, row_of(study, "train").left_s) == (0, None)
    trained(layout, "split00")
    assert (row_of(study, "train").done, row_of(study, "train").left_s) == (1, pytest.approx(120, rel=0.1))


def test_a_failed_job_shows_the_end_of_its_log(study, tmp_path):
    begun = started(study.layouts["r"], "split01")
    journal(tmp_path, begun, {"event": "failed", "job": 4})
    row = row_of(study, "train")
    assert (row.total, row.done, row.running, row.failed) == (3, 0, 0, 1)
    assert row.failures == {begun["log"][0]: [f"line {n}" for n in range(4, 9)]}


def test_a_failed_job_that_is_started_again_is_running(study, tmp_path):
    begun = started(study.layouts["r"], "split01")
    journal(tmp_path, begun, {"event": "failed", "job": 4}, begun)
    assert (row_of(study, "train").running, row_of(study, "train").failed) == (1, 0)


@pytest.mark.parametrize("failed", [False, True])
def test_a_shard_that_is_made_anew_is_not_done_though_its_record_is_there_for_readers(
    study, tmp_path, failed
):
    layout, now = study.layouts["r"], time.time()
    record, log = layout.shard_record("lld-1", 0), tmp_path / "0000.log"
    write(record, "{}", age_s=0 if failed else 3600)
    write(log)
    begun = {"event": "started", "job": 4, "output": [str(record)], "log": [str(log)], "at_s": now - 60}
    journal(tmp_path, begun, *([{"event": "failed", "job": 4, "at_s": now}] if failed else []))
    row = row_of(study, "audio")
    assert (row.done, row.running, row.failed) == (0, int(not failed), int(failed))
    write(record, "{}", age_s=-10)
    assert row_of(study, "audio").done == 1


def test_a_failed_job_whose_outputs_were_made_by_other_means_is_done(study, tmp_path):
    journal(tmp_path, started(study.layouts["r"], "split01"), {"event": "failed", "job": 4})
    trained(study.layouts["r"], "split01")
    assert (row_of(study, "train").done, row_of(study, "train").failed) == (1, 0)
