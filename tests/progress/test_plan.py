"""Plans from hand-made jobs, stores and benchmarks; expected hours by hand."""

from dataclasses import replace

import pytest

from avemo.base.keys import item_key, shard_of
from avemo.cache.shard_writer import write_shard
from avemo.index.clip_table import Row, read_table, write_table
from avemo.progress.costs import component_cost, cost_of
from avemo.progress.dryrun import PlannedJob
from avemo.progress.plan import is_open, make_plan
from avemo.progress.shard_records import Counts, Keys, write_record
from avemo.study.study import Study
from avemo.training.search import Search
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


def computed(layout, component, shard, computed, reused=0):
    counts = Counts(computed + reused, computed, reused, 0, seconds=50.0)
    write_record(layout.store(component, shard), counts)


def shard_job(layout, component="lld-new"):
    wildcards = {"corpus": "c", "component": component, "shard": "0001"}
    return PlannedJob(
        "audio_embeddings", wildcards, "", {"gpu": 1, "runtime": 30}, ["its clips have changed"]
    )


def cached_component(layout, clips, component="lld-new", keys=None):
    store = layout.store(component, 1)
    store.mkdir(parents=True)
    items = [replace(item_of(clip), key=(keys or {}).get(clip, "key")) for clip in clips]
    write_shard(store / "part-000001.h5", items, {})


def test_clips_in_the_store_are_not_computed_again(study):
    layout = study.layouts["r"]
    cached_component(layout, SHARD[:3])
    (stage,) = make_plan(study, [shard_job(layout)])
    assert (stage.compute, stage.cached) == (len(SHARD) - 3, 3)
    assert stage.cpu_h is None
    assert stage.basis == "no record; at most 0.5 h as requested"


def test_a_clip_whose_media_have_changed_counts_as_not_computed(study):
    """Media of the table are those of a `Row`; the third clip was computed from others."""
    layout = study.layouts["r"]
    media = {row.clip_id: row.media_key("visual") for row in read_table(layout.index)}
    media[SHARD[2]] = "other media"
    tracks = {clip: item_key(media[clip], "tracker") for clip in SHARD}
    faces = {clip: item_key(media[clip], "network", [tracks[clip]]) for clip in SHARD}
    cached_component(layout, SHARD[:3], "vgg-1", faces)
    write_record(layout.store("vgg-1", 1), Keys("visual", "network", "faces-1"))
    write_record(layout.store("faces-1", 1), Keys("visual", "tracker", ""))
    (stage,) = make_plan(study, [shard_job(layout, "vgg-1")])
    assert (stage.compute, stage.cached) == (len(SHARD) - 2, 2)


def test_hours_are_scaled_from_the_clips_a_job_computed(study):
    layout = study.layouts["r"]
    benchmark(layout.cache_benchmarks / "lld-new" / "0000.tsv", seconds=100, cpu=360)
    computed(layout, "lld-new", 0, 5, reused=4)
    (stage,) = make_plan(study, [shard_job(layout)])
    assert stage.cpu_h == pytest.approx(len(SHARD) / 5 * 360 / 3600)
    assert stage.gpu_h == pytest.approx(len(SHARD) / 5 * 100 / 3600)
    assert stage.basis == "5 clips of lld-new"


def test_estimates_from_the_component_cached_before_are_guesses(study):
    layout = study.layouts["r"]
    old = layout.shard("lld-old", 1)
    old.parent.mkdir()
    write_shard(old, [item_of(clip) for clip in SHARD], {})
    benchmark(layout.cache_benchmarks / "lld-old" / "0001.tsv", seconds=10, cpu=9)
    computed(layout, "lld-old", 1, len(SHARD))
    (stage,) = make_plan(study, [shard_job(layout)])
    assert stage.why == ["its clips have changed"]
    assert stage.basis == f"guess: {len(SHARD)} clips of lld-old"
    assert stage.bytes == old.stat().st_size


def test_trainings_cost_what_trainings_of_the_system_cost(study):
    layout = study.layouts["r"]
    benchmark(layout.benchmarks / "train" / "mult-split00.tsv", seconds=60, cpu=120)
    benchmark(layout.benchmarks / "train" / "vavl-split00.tsv", seconds=6000, cpu=6000)
    wildcards = {"run": "r", "system": "mult"}
    jobs = [
        PlannedJob(
            "train",
            wildcards | {"split": f"split0{n}"},
            "",
            {"gpu": 1},
            ["the rule's command has changed"],
        )
        for n in "123"
    ]
    (stage,) = make_plan(study, jobs)
    assert (stage.jobs, stage.of) == (3, "r/mult")
    assert stage.cpu_h == pytest.approx(3 * 120 / 3600)
    assert stage.gpu_h == pytest.approx(3 * 60 / 3600)
    assert stage.why == ["the rule's command has changed"]


def test_trials_cost_what_trials_of_the_system_cost(study):
    """Not what those of a system cost whose name begins as its own does."""
    search = Search.model_validate({"fields": {"training.lr": [0.1, 0.2, 0.3]}, "studies": "all"})
    run = run_of(("mult",), results=study.runs["r"].results)
    systems = {"mult": run.systems["mult"].model_copy(update={"search": search})}
    study = Study({"r": run.model_copy(update={"systems": systems})})
    folder = study.layouts["r"].benchmarks / "search"
    benchmark(folder / "mult-large-split00-0000.tsv", seconds=6000, cpu=6000)
    jobs = [
        PlannedJob(
            "trial",
            {"run": "r", "system": "mult", "study": "all", "trial": f"000{n}"},
            "",
            {"gpu": 1},
            [],
        )
        for n in "12"
    ]
    (stage,) = make_plan(study, jobs)
    assert stage.basis == "guess: trials of any system, 1 recorded"
    benchmark(folder / "mult-all-0000.tsv", seconds=60, cpu=120)
    (stage,) = make_plan(study, jobs)
    assert (stage.jobs, stage.of, stage.basis) == (2, "r/mult", "trials of mult, 1 recorded")
    assert stage.cpu_h == pytest.approx(2 * 120 / 3600)
    assert stage.gpu_h == pytest.approx(2 * 60 / 3600)


def test_a_job_too_short_to_be_sampled_counts_its_wall_time(tmp_path):
    benchmark(tmp_path / "a.tsv", seconds=0.5, cpu="-")
    assert cost_of([tmp_path / "a.tsv"]).cpu_s == 0.5


def test_jobs_that_computed_nothing_tell_nothing_of_cost(study):
    layout = study.layouts["r"]
    benchmark(layout.cache_benchmarks / "lld" / "0000.tsv", seconds=100, cpu=360)
    computed(layout, "lld", 0, 0, reused=9)
    assert component_cost(layout, "lld").jobs == 0


def test_a_plan_with_a_clip_table_to_make_is_open():
    assert is_open([PlannedJob("index", {"corpus": "c"}, "", {}, [])])
    assert not is_open([])
