"""Whatever made a result, its change runs again what rests on it, also where Snakemake remembers nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.io import wavfile

from workflow_runner import Workflow

CONFIG = {
    "run": "r",
    "corpus": {"name": "table", "shards": 2, "config": {"csv": "clips.csv"}},
    "features": {"audio": {"extractor": "logmel"}},
    "splits": {"n": 2, "dev": 0.25, "test": 0.25},
    "training": {"epochs": 1},
    "systems": {"mult": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
}
AFTER_TRAINING = {"evaluate": 1, "tests": 1, "report": 1}
AFTER_LABELS = {"splits": 1, "baselines": 1, "linear": 1, "train": 2, "run_config": 1, **AFTER_TRAINING}


@pytest.fixture(scope="module")
def once(repository, tmp_path_factory) -> Path:
    """Eight noises to the report, in two shards and two splits."""
    folder = tmp_path_factory.mktemp("once")
    for number in range(8):
        noise = np.random.default_rng(number).normal(0, 3000, 16_000).astype(np.int16)
        wavfile.write(folder / f"c{number}.wav", 16_000, noise)
    rows = [f"c{number},c{number}.wav,s{number // 2},{'ab'[number % 2]}" for number in range(8)]
    (folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]) + "\n")
    Workflow(repository, folder).snakemake(CONFIG)
    return folder


@pytest.fixture
def made(once, repository, tmp_path) -> Workflow:
    """A copy of it, to be changed."""
    shutil.copytree(once, tmp_path / "copy")
    return Workflow(repository, tmp_path / "copy")


@pytest.fixture(scope="module")
def forgotten(once, repository, tmp_path_factory) -> Workflow:
    """Another, of which Snakemake remembers nothing: `make clean` has deleted its memory and ours."""
    folder = tmp_path_factory.mktemp("forgotten") / "copy"
    shutil.copytree(once, folder)
    for memory in (".snakemake", ".avemo"):
        shutil.rmtree(folder / memory)
    return Workflow(repository, folder)


def planned(made: Workflow) -> dict[str, int]:
    """Jobs by rule that a dry run of the features announces."""
    return made.planned(CONFIG, "features")


def other(section: str, **values: object) -> dict:
    return CONFIG | {section: CONFIG[section] | values}


@pytest.mark.parametrize(
    ("config", "again"),
    [
        (CONFIG, {}),
        (other("training", epochs=2), {"train": 2, "run_config": 1, **AFTER_TRAINING}),
        (other("training", lr=0.01), {"train": 2, "run_config": 1, **AFTER_TRAINING}),
        (other("corpus", labels={"classes": ["b", "a"]}), {"labels": 1, **AFTER_LABELS}),
        (other("splits", seed=7), AFTER_LABELS),
        (CONFIG | {"tests": {"tail": "two-sided"}}, {"tests": 1, "run_config": 1, "report": 1}),
    ],
    ids=["nothing", "epochs", "rate", "order of classes", "splits", "tests"],
)
def test_another_setting_runs_again_what_rests_on_it_though_nothing_is_remembered(forgotten, config, again):
    assert forgotten.planned(config) == (again | {"all": 1} if again else {})


def test_the_plan_says_what_differs_though_nothing_is_remembered(forgotten):
    (forgotten.folder / "config.yaml").write_text(yaml.safe_dump(other("training", epochs=2)))
    told = forgotten.avemo("plan", "--configfile", "config.yaml")
    assert "train r/mult: 2 jobs" in told
    assert "training.epochs: 1 → 2" in told


@pytest.mark.parametrize("name", ["c3.wav", "clips.csv"])
def test_other_media_and_tables_run_all_again_though_nothing_is_remembered(forgotten, name):
    path = forgotten.folder / name
    before, stat = path.read_bytes(), path.stat()
    # Of the same size, and under a time set back.
    path.write_bytes(before[:-2] + bytes([before[-2] ^ 1, before[-1]]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = forgotten.planned(CONFIG)
    path.write_bytes(before)
    assert {"index", "labels", "train", "report"} <= set(again)
    assert forgotten.planned(CONFIG) == {}


def test_features_of_another_setting_that_are_older_than_what_was_trained_are_not_taken_for_its_own(made):
    config = other("features", audio={"extractor": "logmel", "config": {"dtype": "float16"}})
    made.snakemake(config, "features")
    made.snakemake(CONFIG, "--touch")
    for memory in (".snakemake", ".avemo"):
        shutil.rmtree(made.folder / memory)
    assert made.planned(CONFIG) == {}
    again = made.planned(config)
    assert again == {"quality": 1, "linear": 1, "train": 2, "run_config": 1, **AFTER_TRAINING, "all": 1}


def test_a_second_checkout_with_another_table_does_not_take_the_firsts_media(once, made, tmp_path):
    second = Workflow(made.repository, tmp_path / "second")
    second.folder.mkdir()
    (second.folder / "clips.csv").write_bytes((made.folder / "clips.csv").read_bytes())
    config = CONFIG | {"cache": str(made.folder / "cache")}
    told = second.snakemake(config, succeeds=False)
    assert "expected its clip table to be of " in told
    assert str(second.folder / "clips.csv") in told
    assert str(once / "clips.csv") in told


def test_commands_refuse_what_was_not_made_of_what_is_read_with_it(made):
    spec = made.avemo("config", "show", "--config", "config.yaml", "--part", "labels")
    (made.folder / "labels.json").write_text(
        json.dumps(json.loads(spec) | {"labels": {"classes": ["b", "a"]}})
    )
    data, manifest = "results/r/data", next(made.folder.glob("cache/table/*/manifest.json"))
    index = ["--index", "cache/table/index.parquet"]
    made.avemo("corpus", "labels", "--cfg", "labels.json", *index, "--out", f"{data}/labels.parquet")
    inputs = ["--labels", f"{data}/labels.parquet", "--splits", f"{data}/splits.json"]
    told = made.avemo("baselines", *inputs, "--out", "baselines.csv", succeeds=False)
    assert "splits.json: expected one made of the labels" in told
    made.avemo("splits", "--cfg", json.dumps(CONFIG["splits"]), *inputs[:2], "--out", f"{data}/splits.json")
    kept = ["--readings", "r.jsonl", "--predictions", "p.parquet", "--scores", "s.csv"]
    model = "results/r/train/mult/split00/model.safetensors"
    told = made.avemo(
        "evaluate", "--system", "mult", *inputs, "--audio", manifest, *kept, model, succeeds=False
    )
    assert f"{model}: expected one made of the labels" in told
    assert not (made.folder / "r.jsonl").exists()
    told = made.avemo("report", "--run", "results/r", "--out", "results/r/report.html", succeeds=False)
    assert 'found results/r/data/labels.parquet: labels.classes: ["b", "a"] → null' in told


def test_a_folder_without_records_is_told_and_none_of_its_clips_is_computed_again(made):
    """As an older avemo has left it."""
    for record in made.folder.rglob("*.made.json"):
        record.unlink()
    told = made.avemo("plan", "--configfile", "config.yaml")
    assert "no record says what made it" in told
    assert "other code" not in told
    assert "labels.parquet: no record says" in made.avemo("audit", "--run", "results/r", succeeds=False)
    made.avemo("report", "--run", "results/r", "--out", "results/r/report.html")
    made.snakemake(CONFIG, "features")
    logs = [path.read_text() for path in made.folder.glob("cache/table/logs/logmel-*/????.log")]
    assert [log.split(" computed")[0].split()[-1] for log in logs] == ["0", "0"]
    assert made.planned(CONFIG, "features") == {}


def pretend(record: Path, file: str = "avemo/media/sound.py") -> None:
    """Let a record tell that other code had made its file, without its being newer for that."""
    stat, told = record.stat(), json.loads(record.read_text())
    assert file in told["code"]
    told["code"][file] = "0" * 16
    record.write_text(json.dumps(told))
    os.utime(record, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_other_code_has_made_is_told_and_made_again_where_that_is_wanted(made):
    for record in (
        *made.folder.glob("cache/table/logmel-*/000?.made.json"),
        *made.folder.glob("cache/table/.store/*/*/madeby.json"),
    ):
        pretend(record)
    assert made.planned(CONFIG) == {}
    told = made.avemo("plan", "--configfile", "config.yaml")
    assert "Made by other code" in told
    assert "): avemo/media/sound.py" in told
    made.avemo("report", "--run", "results/r", "--out", "results/r/report.html")
    page = (made.folder / "results/r/report.html").read_text()
    assert "made by other code" in page
    assert "avemo/media/sound.py" in page
    (made.folder / "quiet.yaml").write_text(yaml.safe_dump(CONFIG | {"code_changes": "ignore"}))
    assert "other code" not in made.avemo("plan", "--configfile", "quiet.yaml")
    again = CONFIG | {"code_changes": "rerun"}
    planned = made.planned(again)
    assert {"audio_features": 2, "manifest": 1, "train": 2, "evaluate": 1}.items() <= planned.items()
    assert not {"index", "labels", "splits"} & set(planned)
    made.snakemake(again, "features")
    logs = [path.read_text() for path in made.folder.glob("cache/table/logs/logmel-*/????.log")]
    assert sum(int(log.split(" computed")[0].split()[-1]) for log in logs) == 8
    assert made.planned(again, "features") == {}
    # What was trained on the old numbers is found without what Snakemake remembers, though their keys are the same.
    shutil.rmtree(made.folder / ".snakemake")
    assert {"train": 2, "linear": 1}.items() <= made.planned(again).items()


def test_a_clip_added_by_other_code_leaves_its_shard_told(made):
    for record in made.folder.glob("cache/table/.store/*/*/madeby.json"):
        pretend(record)
    with (made.folder / "clips.csv").open("a") as table:
        table.write("c8,c0.wav,s8,a\n")
    made.snakemake(CONFIG, "features")
    told = made.avemo("plan", "--configfile", "config.yaml")
    assert "): avemo/media/sound.py" in told


def test_media_swapped_between_index_and_extraction_lie_under_no_key(made):
    made.snakemake(CONFIG, "cache/table/index.parquet")
    spec = made.avemo("config", "show", "--config", "config.yaml", "--part", "audio")
    (made.folder / "audio.json").write_text(spec)
    path = made.folder / "c3.wav"
    stat, content = path.stat(), path.read_bytes()
    (made.folder / "other.wav").write_bytes(content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    os.utime(made.folder / "other.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (made.folder / "other.wav").rename(path)
    arguments = [
        "--cfg",
        "audio.json",
        "--index",
        "cache/table/index.parquet",
        "--shards",
        "1",
        "--shard",
        "0",
    ]
    told = made.avemo("extract", *arguments, "--store", "store", "--out", "0000.h5", succeeds=False)
    assert "c3: expected c3.wav as the clip table has seen it" in told
    assert not (made.folder / "0000.h5").exists()


def install(made: Workflow, library: str, version: str) -> Path:
    """Let a distribution have another version, by a folder that is looked at first."""
    folder = made.folder / "elsewhere"
    info = folder / f"{library.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: {version}\n")
    made.environment["PYTHONPATH"] = f"{folder}:{made.environment.get('PYTHONPATH', '')}"
    return info


@pytest.mark.parametrize("library", ["torchaudio", "av"])
def test_another_version_of_a_library_makes_the_features_again(made, library):
    before = made.environment.get("PYTHONPATH", "")
    install(made, library, "99.0")
    again = planned(made)
    assert {rule: again.get(rule) for rule in ("audio_features", "manifest")} == {
        "audio_features": 2,
        "manifest": 1,
    }
    made.environment["PYTHONPATH"] = before
    assert planned(made) == {}


def test_a_clip_added_after_an_upgrade_does_not_stand_among_those_of_the_old_version(made):
    install(made, "torchaudio", "99.0")
    with (made.folder / "clips.csv").open("a") as table:
        table.write("c8,c0.wav,s8\n")
    made.snakemake(CONFIG, "features")
    assert len(list(made.folder.glob("cache/table/logmel-*/manifest.json"))) == 2
    logs = [path.read_text() for path in made.folder.glob("cache/table/logs/logmel-*/????.log")]
    assert sum(int(log.split(" computed")[0].split()[-1]) for log in logs) == 8 + 9


def test_a_machine_with_another_version_is_named_and_computes_nothing(made):
    spec = made.avemo("config", "show", "--config", "config.yaml", "--part", "audio")
    (made.folder / "audio.json").write_text(spec)
    install(made, "torchaudio", "99.0")
    arguments = [
        "--cfg",
        "audio.json",
        "--index",
        "cache/table/index.parquet",
        "--shard",
        "0",
        "--shards",
        "2",
    ]
    told = made.avemo("extract", *arguments, "--store", "store", "--out", "0000.h5", succeeds=False)
    assert "expected torchaudio 2." in told
    assert "found av 1" in told
    assert not (made.folder / "store").exists()


def forget(made: Workflow) -> None:
    """What `make clean` deletes."""
    for memory in (".snakemake", ".avemo"):
        shutil.rmtree(made.folder / memory, ignore_errors=True)


def test_results_of_a_clock_that_went_ahead_run_again_as_any(made):
    forget(made)
    ahead = time.time() + 86_400
    for path in (*made.folder.glob("results/**/*"), *made.folder.glob("cache/**/*")):
        os.utime(path, (ahead, ahead))
    assert made.planned(CONFIG) == {}
    again = made.planned(other("training", epochs=2))
    assert again == {"train": 2, "run_config": 1, **AFTER_TRAINING, "all": 1}


def test_a_plan_made_while_a_workflow_is_at_work_tells_what_has_changed_meanwhile(made):
    locks = made.folder / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/r/report.html\n")
    before = (made.folder / ".avemo" / "changed").stat().st_mtime_ns
    table = made.folder / "clips.csv"
    table.write_text(table.read_text().replace("s0,a", "s0,b"))
    assert {"index": 1, "labels": 1}.items() <= made.planned(CONFIG).items()
    assert (made.folder / ".avemo" / "changed").stat().st_mtime_ns == before


def test_a_system_that_the_run_has_no_more_is_not_in_the_tests_that_stand(made):
    two = other("systems", second=CONFIG["systems"]["mult"] | {"title": "second"})
    made.snakemake(two)
    forget(made)
    assert made.planned(two) == {}
    assert made.planned(CONFIG) == {"tests": 1, "run_config": 1, "report": 1, "all": 1}


def test_the_linear_baseline_follows_its_features_and_its_code(made):
    """Features that are made again by other code have the same keys."""
    again = CONFIG | {"code_changes": "rerun"}
    record = made.folder / "results/r/scores/linear.made.json"
    pretend(record, "avemo/evaluation/linear.py")
    forget(made)
    assert made.planned(CONFIG) == {}
    assert "linear: avemo/evaluation/linear.py" in made.avemo("plan", "--configfile", "config.yaml")
    assert made.planned(again)["linear"] == 1
    pretend(made.folder / "results/r/scores/tests.made.json", "avemo/report/ttest.py")
    pretend(made.folder / "results/r/report.made.json", "avemo/report/tables.py")
    assert made.planned(CONFIG) == {}
    told = made.avemo("plan", "--configfile", "config.yaml")
    assert "report: avemo/report/tables.py changed since" in told
    assert made.planned(again) == {"linear": 1, "tests": 1, "run_config": 1, "report": 1, "all": 1}


def test_the_record_of_the_linear_baseline_is_missed(made):
    """By it the audit knows what the baseline read; without it nothing would speak against it."""
    (made.folder / "results/r/scores/linear_fits.json").unlink()
    told = made.avemo("audit", "--run", "results/r", succeeds=False)
    assert "linear_fits.json: expected a file of a finished run, found none" in told
    assert made.planned(CONFIG)["linear"] == 1
