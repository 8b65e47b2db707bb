"""A published shard that is gone is made again, whatever took it away, though its manifest is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from avemo.cache.manifest import FeatureSet
from workflow_runner import Workflow

CONFIG = {
    "run": "r",
    "corpus": {"name": "table", "shards": 2, "config": {"csv": "clips.csv"}},
    "features": {"audio": {"extractor": "logmel"}},
    "systems": {"mult": {"model": "mult"}},
}


@pytest.fixture
def made(repository, tmp_path) -> Workflow:
    """Features of eight noises in two shards."""
    for number in range(8):
        noise = np.random.default_rng(number).normal(0, 3000, 16_000).astype(np.int16)
        wavfile.write(tmp_path / f"c{number}.wav", 16_000, noise)
    rows = [f"c{number},c{number}.wav,s{number}" for number in range(8)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip_id,path,speaker", *rows]))
    workflow = Workflow(repository, tmp_path)
    workflow.snakemake(CONFIG, "features")
    return workflow


def shards(made: Workflow) -> list[Path]:
    found = sorted(made.folder.glob("cache/table/logmel-*/*.h5"))
    assert len(found) == 2
    return found


def planned(made: Workflow) -> set[str]:
    output = made.snakemake(CONFIG, "features", "-n")
    return {rule for rule in ("index", "audio_features", "manifest") if f"\n{rule} " in output}


def test_a_shard_that_is_gone_is_made_again(made):
    shard = shards(made)[0]
    content = shard.read_bytes()
    shard.unlink()
    assert planned(made) == {"audio_features", "manifest"}
    made.snakemake(CONFIG, "features")
    assert shard.read_bytes() == content
    assert planned(made) == set()


def test_a_job_killed_in_an_update_leaves_the_shard_to_its_readers_and_is_tried_again(made):
    before = {shard: shard.read_bytes() for shard in shards(made)}
    wavfile.write(made.folder / "c0.wav", 16_000, np.full(16_000, 9, np.int16))
    deadly = made.folder / "bin" / "avemo"
    deadly.parent.mkdir()
    avemo = shutil.which("avemo", path=made.environment["PATH"])
    deadly.write_text(f'#!/bin/sh\n[ "$1" = extract ] && kill -9 $$\nexec "{avemo}" "$@"\n')
    deadly.chmod(0o755)
    path = made.environment["PATH"]
    made.environment["PATH"] = f"{deadly.parent}:{path}"
    made.snakemake(CONFIG, "features", succeeds=False)
    made.environment["PATH"] = path
    assert {shard: shard.read_bytes() for shard in shards(made)} == before
    with FeatureSet(shards(made)[0].with_name("manifest.json")) as features:
        assert len(features.clip_ids) == 8
    # What Snakemake remembers of the failure is not needed.
    shutil.rmtree(made.folder / ".snakemake")
    assert planned(made) == {"audio_features", "manifest"}
    made.snakemake(CONFIG, "features")
    changed = [shard for shard in shards(made) if shard.read_bytes() != before[shard]]
    assert len(changed) == 1
    assert planned(made) == set()


@pytest.mark.parametrize("attack", ["table cut to two rows", "six files on a disk that is away"])
def test_clips_that_one_run_does_not_name_are_not_computed_again_by_the_next_and_their_loss_is_said(
    made, attack
):
    table, rows = made.folder / "clips.csv", (made.folder / "clips.csv").read_text()
    away = made.folder / "away"
    away.mkdir()
    if attack.startswith("table"):
        table.write_text("\n".join(rows.splitlines()[:3]))
        said = "warning: table: 6 of 8 clips have left the table (c2, c3, c4, …)"
    else:
        for number in range(2, 8):
            (made.folder / f"c{number}.wav").rename(away / f"c{number}.wav")
        said = "warning: table: 6 of 8 clips have lost a file (c2, c3, c4, …)"
    assert said in made.avemo("plan", "--configfile", "config.yaml", "features")
    made.snakemake(CONFIG, "features")
    table.write_text(rows)
    for path in away.iterdir():
        path.rename(made.folder / path.name)
    made.snakemake(CONFIG, "features")
    printed = [log.read_text() for log in made.folder.glob("cache/table/logs/logmel-*/000?.log")]
    assert ["\n0 computed, " in "\n" + text for text in printed] == [True, True]
    assert "warning" not in made.avemo("plan", "--configfile", "config.yaml", "features")
