"""Whatever made a result, its change runs again what rests on it, also where Snakemake remembers nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from workflow_runner import Workflow

CONFIG = {
    "run": "r",
    "corpus": {"name": "table", "shards": 2, "config": {"csv": "clips.csv"}},
    "features": {"audio": {"extractor": "logmel"}},
    "systems": {"mult": {"model": "mult"}},
}


@pytest.fixture(scope="module")
def once(repository, tmp_path_factory) -> Path:
    """Features of eight noises in two shards."""
    folder = tmp_path_factory.mktemp("once")
    for number in range(8):
        noise = np.random.default_rng(number).normal(0, 3000, 16_000).astype(np.int16)
        wavfile.write(folder / f"c{number}.wav", 16_000, noise)
    rows = [f"c{number},c{number}.wav,s{number}" for number in range(8)]
    (folder / "clips.csv").write_text("\n".join(["clip_id,path,speaker", *rows]) + "\n")
    Workflow(repository, folder).snakemake(CONFIG, "features")
    return folder


@pytest.fixture
def made(once, repository, tmp_path) -> Workflow:
    """A copy of it, to be changed."""
    shutil.copytree(once, tmp_path / "copy")
    return Workflow(repository, tmp_path / "copy")


def planned(made: Workflow, *targets: str) -> dict[str, int]:
    """Jobs by rule that a dry run of the features announces."""
    return made.planned(CONFIG, *(targets or ["features"]))


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
