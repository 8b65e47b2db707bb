"""Every kind of bad input in one user table: each clip gets its own status and remedy, the run goes on."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from avemo.cache.manifest import FeatureSet
from avemo.dataset.labels import load_labels
from avemo.index.clip_table import read_table
from media_factory import write_video, write_wav
from workflow_runner import Workflow

RATE_HZ = 16_000


def config() -> dict:
    tiny = {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}
    return {
        "run": "bad",
        "corpus": {
            "name": "table",
            "shards": 2,
            "config": {"csv": "clips.csv"},
            "labels": {"classes": ["calm", "loud"]},
        },
        "features": {
            "audio": {"extractor": "compare_lld"},
            "visual": {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}},
        },
        "systems": {"mult": tiny},
    }


def make_media(folder: Path, shared_data: Path) -> list[dict[str, str]]:
    """One file of each kind, and the table's rows."""
    group = cv2.cvtColor(cv2.imread(str(shared_data / "faces" / "multiface.jpg")), cv2.COLOR_BGR2RGB)
    height, width = (side // 2 * 2 for side in group.shape[:2])
    people = np.repeat(group[None, :height, :width], 8, axis=0)
    blank = np.full((8, 96, 96, 3), 90, np.uint8)
    sound = 0.1 * np.sin(2 * np.pi * 150 * np.arange(RATE_HZ // 2) / RATE_HZ)
    write_video(folder / "several.mp4", people, fps=16, audio=sound)
    write_video(folder / "mute.mp4", people, fps=16)
    write_video(folder / "blank.mp4", blank, fps=16, audio=sound)
    write_wav(folder / "sound.wav", sound)
    (folder / "empty.mp4").touch()
    (folder / "pointer.mp4").write_bytes(
        (shared_data / "crema-d" / "lfs-pointer_1001_DFA_ANG_XX.flv").read_bytes()
    )
    talking = (shared_data / "clips" / "lp_d10.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(talking[: len(talking) // 2])
    names = ("several", "mute", "blank", "sound", "empty", "pointer", "truncated", "absent")
    paths = {name: f"{name}.wav" if name == "sound" else f"{name}.mp4" for name in names}
    rows = [{"clip_id": name, "path": path, "speaker": name, "label": "calm"} for name, path in paths.items()]
    rows += [{"clip_id": "twice", "path": "several.mp4", "speaker": "s", "label": "loud"}] * 2
    rows += [{"clip_id": "mislabelled", "path": "several.mp4", "speaker": "s", "label": "lod"}]
    return rows


@pytest.fixture(scope="module")
def run(repository, shared_data, tmp_path_factory) -> Workflow:
    folder = tmp_path_factory.mktemp("bad")
    rows = make_media(folder, shared_data)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    workflow = Workflow(repository, folder)
    workflow.snakemake(config(), "features", "results/bad/data/labels.parquet")
    return workflow


def statuses(run: Workflow, component: str) -> pd.DataFrame:
    (manifest,) = run.folder.glob(f"cache/table/{component}-*/manifest.json")
    with FeatureSet(manifest) as features:
        return features.statuses().set_index("clip_id")


VISUAL = {
    "several": ("ok", ""),
    "mute": ("ok", ""),
    "blank": ("no_face", "no face in any of 8 frames"),
    "sound": ("no_video", ""),
    "empty": ("empty_file", ""),
    "pointer": ("lfs_pointer", ""),
    "truncated": ("truncated", ""),
    "absent": ("missing_file", ""),
    "twice": ("duplicate_id", "2 rows share this id"),
    "mislabelled": ("ok", ""),
}


def test_each_clip_has_the_status_of_its_own_defect(run):
    faces, visual = statuses(run, "mtcnn"), statuses(run, "efficientnet_b2")
    assert {name: row.status for name, row in faces.iterrows()} == {n: s for n, (s, _) in VISUAL.items()}
    assert {name: row.status for name, row in visual.iterrows()} == {n: s for n, (s, _) in VISUAL.items()}
    for name, (_, detail) in VISUAL.items():
        assert detail in faces.detail[name]


def test_sound_is_extracted_wherever_there_is_sound(run):
    found = statuses(run, "compare_lld").status.to_dict()
    assert {name for name, status in found.items() if status == "ok"} == {
        "several",
        "blank",
        "sound",
        "mislabelled",
    }
    assert found["mute"] == "no_audio"
    assert found["twice"] == "duplicate_id"


def test_the_clip_table_lists_what_a_look_at_the_file_tells(run):
    rows = {row.clip_id: row for row in read_table(run.folder / "cache/table/index.parquet")}
    assert rows["pointer"].status == "lfs_pointer"
    assert "git lfs pull" in str(rows["pointer"].problem)
    assert rows["twice"].status == "duplicate_id"
    assert rows["several"].status == "ok"


def test_the_logs_name_each_clip_with_its_remedy(run):
    logs = "".join(path.read_text() for path in run.folder.glob("cache/table/logs/mtcnn-*/*.log"))
    assert "failed: blank: no_face: no face in any of 8 frames; look at the clip" in logs
    assert "failed: twice: duplicate_id: 2 rows share this id" in logs
    assert logs.count("failed: ") == sum(status != "ok" for status, _ in VISUAL.values())


def test_a_label_outside_the_class_list_is_left_out_with_its_reason(run):
    table = load_labels(run.folder / "results/bad/data/labels.parquet").table.set_index("clip_id")
    assert "'lod' is not in the class list (calm, loud); did you mean 'loud'?" in table.reason["mislabelled"]
    assert table.label.notna().sum() == len(table) - 1


def test_a_corrected_file_is_the_only_clip_computed_again(run, shared_data):
    (run.folder / "empty.mp4").write_bytes((run.folder / "several.mp4").read_bytes())
    run.snakemake(config(), "features")
    assert statuses(run, "efficientnet_b2").status["empty"] == "ok"
    logs = [path.read_text() for path in run.folder.glob("cache/table/logs/mtcnn-*/*.log")]
    assert sum("1 computed" in log for log in logs) == 1
