"""Plans from hand-made jobs, stores and benchmarks; expected hours by hand."""

import json
from base64 import urlsafe_b64encode

import pytest

from avemo.base.keys import shard_of
from avemo.cache.shard_writer import write_shard
from avemo.index.clip_table import Row, write_table
from avemo.progress.costs import component_cost, cost_of
from avemo.progress.dryrun import Job
from avemo.progress.plan import is_open, make_plan
from avemo.progress.reasons import differences, reasons
from avemo.study.study import Study
from cache_factory import ids, item_of
from runs import run_of

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
CLIPS = ids(20)
SHARD = [clip for clip in CLIPS if shard_of(clip, 2) == 1]


@pytest.fixture
def study(tmp_path):
    run = run_of(cache=str(tmp_path / "cache"), results=str(tmp_path / "results"))
    rows = [
        Row(clip, "s", "s", None, None, 0.0, None, None, None, 1.0, None, None, None, "ok", "")
        for clip in CLIPS
    ]
    study = Study({"r": run})
    study.layouts["r"].corpus.mkdir(parents=True)
    write_table(study.layouts["r"].index, rows)
    return study


def benchmark(path, seconds, cpu):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + f"{seconds}\t0:00:00\t1\t1\t1\t1\t1\t1\t1\t{cpu}\n")


def shard_job(layout, component="lld-new", reason="Missing output files: x"):
    wildcards = {"corpus": "c", "component": component, "shard": "0001"}
    command = "avemo extract --cfg '" + json.dumps({"id": component, "config": {"window": 40}}) + "'"
    output = [str(layout.shard(component, 1))]
    return Job("audio_embeddings", wildcards, output, reason, command, {"gpu": 1, "runtime": 30})


def cached_component(layout, clips, component="lld-new"):
    store = layout.store(component, 1)
    store.mkdir(parents=True)
    write_shard(store / "part-000001.h5", [item_of(clip) for clip in clips], {})


def test_clips_in_the_store_are_not_computed_again(study):
    layout = study.layouts["r"]
    cached_component(layout, SHARD[:3])
    (stage,) = make_plan(study, [shard_job(layout)])
    assert (stage.compute, stage.cached) == (len(SHARD) - 3, 3)
    assert stage.cpu_h is None
    assert stage.basis == "no record; at most 0.5 h as requested"


def test_hours_are_scaled_from_the_clips_a_job_computed(study):
    layout = study.layouts["r"]
    benchmark(layout.cache_benchmarks / "lld-new" / "0000.tsv", seconds=100, cpu=360)
    log = layout.cache_logs / "lld-new" / "0000.log"
    log.parent.mkdir(parents=True)
    log.write_text("lld-new: 5 of 5\n5 computed, 4 reused, 1 failed\n")
    (stage,) = make_plan(study, [shard_job(layout)])
    assert stage.cpu_h == pytest.approx(len(SHARD) / 5 * 360 / 3600)
    assert stage.gpu_h == pytest.approx(len(SHARD) / 5 * 100 / 3600)
    assert stage.basis == "5 clips of lld-new"


def test_a_new_setting_is_told_against_the_component_cached_before_and_estimates_from_it_are_guesses(
    study, tmp_path
):
    layout = study.layouts["r"]
    old = layout.shard("lld-old", 1)
    old.parent.mkdir()
    write_shard(old, [item_of(clip) for clip in SHARD], {})
    metadata = tmp_path / "metadata"
    metadata.mkdir()
    command = "avemo extract --cfg '" + json.dumps({"id": "lld-old", "config": {"window": 60}}) + "'"
    record = metadata / urlsafe_b64encode(str(old).encode()).decode()
    record.write_text(json.dumps({"shellcmd": command}))
    benchmark(layout.cache_benchmarks / "lld-old" / "0001.tsv", seconds=10, cpu=9)
    log = layout.cache_logs / "lld-old" / "0001.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"{len(SHARD)} computed, 0 reused, 0 failed\n")
    (stage,) = make_plan(study, [shard_job(layout)], metadata)
    assert stage.why == ["differs from lld-old: config.window: 60 → 40"]
    assert stage.basis == f"guess: {len(SHARD)} clips of lld-old"
    assert stage.bytes == old.stat().st_size


def test_trainings_cost_what_trainings_of_the_system_cost(study):
    layout = study.layouts["r"]
    benchmark(layout.benchmarks / "train" / "mult-split00.tsv", seconds=60, cpu=120)
    benchmark(layout.benchmarks / "train" / "vavl-split00.tsv", seconds=6000, cpu=6000)
    wildcards = {"run": "r", "system": "mult"}
    jobs = [
        Job("train", wildcards | {"split": f"split0{n}"}, ["m"], "Code has changed", "", {"gpu": 1})
        for n in "123"
    ]
    (stage,) = make_plan(study, jobs)
    assert (stage.jobs, stage.of) == (3, "r/mult")
    assert stage.cpu_h == pytest.approx(3 * 120 / 3600)
    assert stage.gpu_h == pytest.approx(3 * 60 / 3600)
    assert stage.why == ["the rule's command has changed"]


def test_a_job_too_short_to_be_sampled_counts_its_wall_time(tmp_path):
    benchmark(tmp_path / "a.tsv", seconds=0.5, cpu="-")
    assert cost_of([tmp_path / "a.tsv"]).cpu_s == 0.5


def test_jobs_that_computed_nothing_tell_nothing_of_cost(study):
    layout = study.layouts["r"]
    benchmark(layout.cache_benchmarks / "lld" / "0000.tsv", seconds=100, cpu=360)
    log = layout.cache_logs / "lld" / "0000.log"
    log.parent.mkdir(parents=True)
    log.write_text("0 computed, 9 reused, 0 failed\n")
    assert component_cost(layout.corpus, "lld").jobs == 0


def test_a_plan_with_a_clip_table_to_make_is_open():
    job = Job("index", {"corpus": "c"}, [], "", "", {})
    assert is_open([job])
    assert not is_open([])


def test_settings_without_a_record_are_said_to_have_none(study, tmp_path):
    job = shard_job(study.layouts["r"], reason="Params have changed since last execution: ...")
    assert reasons(job, tmp_path) == ["its settings have changed (the old ones are not recorded)"]


def test_versions_and_weights_are_settings():
    before = "x --cfg '" + json.dumps({"version": 1, "weights": ["a"]}) + "' --out y"
    now = "x --cfg '" + json.dumps({"version": 2, "weights": ["b"]}) + "' --out z"
    assert differences(before, now) == ["version: 1 → 2", 'weights: ["a"] → ["b"]']
