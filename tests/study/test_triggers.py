"""What makes rules run again beside their settings, and what makes none."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path

import pytest

from avemo.cli.corpus import index
from avemo.index import clip_table
from avemo.index.clip_table import Row, stream_table, summaries, write_table
from avemo.study.environment import job_environment
from avemo.study.layout import Layout
from avemo.study.specs import IndexSpec, as_cfg, settings
from avemo.study.study import Study
from avemo.study.triggers import NOT_YET, Triggers
from runs import run_of


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return Study({"r": run_of(("mult",), "lld-1", splits={"n": 3}, speed={"splits_per_job": 2})})


def row(clip: str) -> Row:
    return Row(clip, "s", "s", None, None, 0.0, None, None, None, 1.5, None, None, None, "ok", "")


def test_before_there_is_a_clip_table_nothing_is_known(study):
    triggers = Triggers(study)
    assert (triggers.clips("c", "0001"), triggers.labels("r")) == (NOT_YET, NOT_YET)
    assert (triggers.seconds("c", "0001"), triggers.count("c")) == (None, None)


def test_a_shard_is_known_by_its_own_clips(study):
    index = study.layouts["r"].index
    index.parent.mkdir(parents=True)
    write_table(index, [row("a"), row("b"), row("c")])
    triggers, found = Triggers(study), summaries(stream_table(index), 2)
    for shard, summary in enumerate(found):
        assert triggers.clips("c", f"{shard:04d}") == summary.digest
        assert triggers.seconds("c", f"{shard:04d}") == 1.5 * summary.clips
    assert triggers.count("c") == 3


def test_the_command_that_makes_a_clip_table_sums_it_up_for_the_workflow(study, monkeypatch):
    with wave.open("a.wav", "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(32_000))
    Path("clips.csv").write_text("clip_id,path,speaker\na,a.wav,s\n")
    run = run_of(corpus={"config": {"csv": "clips.csv"}, "shards": 3})
    cfg, given = as_cfg(run.corpus, IndexSpec), settings({"r": run}).model_dump_json()
    index(cfg, Layout(run).index, Path("hashes.json"), given)
    monkeypatch.setattr(clip_table, "stream_table", lambda path: pytest.fail("the table is read again"))
    assert Triggers(Study({"r": run})).count("c") == 1


def test_settings_reach_the_commands_by_environment(study, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    told = job_environment(study, Path("/checkout"))
    assert json.loads(told["AVEMO_SETTINGS"])["speed"]["r/mult"]["device"] == "auto"
    assert told["APPTAINERENV_PYTHONPATH"] == "/checkout/pipeline"
    monkeypatch.setenv("PYTHONPATH", "/components")
    told = job_environment(study, Path("/checkout"))
    assert told["APPTAINERENV_PYTHONPATH"] == os.pathsep.join(["/checkout/pipeline", "/components"])


def test_splits_are_packed_in_turn_and_one_asked_for_by_itself_is_trained_alone(study):
    run = study.run("r")
    assert [run.first_split(split) for split in run.split_names] == ["split00", "split00", "split02"]
    packs = [run.pack(split) for split in run.split_names]
    assert packs == [["split00", "split01"], ["split01"], ["split02"]]


def test_manifests_are_options_named_for_their_stage(study):
    assert study.manifest_options("r", "faces", "audio") == ["--audio", "cache/c/lld-1/manifest.json"]
