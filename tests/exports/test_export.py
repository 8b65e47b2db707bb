"""Exported runs, each read back by the library that they are for: the numbers, labels and sides that `avemo.load` gives."""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import avemo
from avemo.base.contracts import AvemoError
from avemo.cli.app import app
from avemo.cli.exporting import Form
from avemo.exports import to_datasets, to_webdataset
from avemo.exports.export import FORMS, export
from kept_run import BLIND, IMPORTED, NAMES, UNKNOWN, class_of, frames_of, label_of, numbers_of, write_run

SIDES = {"train": NAMES[:4], "dev": ["clip4"], "test": NAMES[6:]}
"""Those with a label."""


@pytest.fixture(scope="module", params=["classes", "shares", "attributes", "bits"])
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def run(kind, tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("home"), kind)


@pytest.fixture
def classes(tmp_path) -> Path:
    return write_run(tmp_path, "classes", info=IMPORTED)


def number(clip_id: str) -> int:
    return NAMES.index(clip_id)


def assert_frames(clip_id: str, name: str, x: Any, times_s: Any) -> None:
    """That they are those which were cached; none where the clip lacks the feature."""
    dim = {"audio": 3, "visual": 4}[name]
    if clip_id == BLIND and name == "visual":
        assert x is None or len(x) == 0
        return
    found = frames_of(clip_id, dim)
    assert np.asarray(x).dtype == np.float32
    np.testing.assert_array_equal(x, found.x)
    np.testing.assert_array_equal(times_s, found.times_s)


def test_hugging_face_loads_sides_labels_and_frames(run, kind, tmp_path):
    datasets = pytest.importorskip("datasets")
    export(run, tmp_path / "out", "datasets")
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "hub"))
    assert {name: rows["clip_id"][:] for name, rows in found.items()} == {
        "train": SIDES["train"],
        "validation": SIDES["dev"],
        "test": SIDES["test"],
    }
    features = found["train"].features
    for rows in found.values():
        for row in rows.with_format("numpy"):
            clip_id = str(row["clip_id"])
            assert row["speaker"] == f"s{number(clip_id) // 2}"
            assert row["fact_sex"] == "fm"[number(clip_id) % 2]
            named, numbers = class_of(number(clip_id), kind), numbers_of(number(clip_id), kind)
            assert ("label" in row) == (named is not None)
            assert named is None or features["label"].int2str(int(row["label"])) == named
            values = {name: float(value) for name, value in row.items() if name.startswith("value_")}
            assert values == {f"value_{name}": value for name, value in numbers.items()}
        for row in rows:
            for name in ("audio", "visual"):
                x = None if row[name] is None else np.array(row[name], np.float32)
                assert_frames(row["clip_id"], name, x, row[f"{name}_times_s"])


def test_audformat_loads_tables_of_each_side_with_schemes_and_means(run, kind, tmp_path):
    import audformat

    export(run, tmp_path / "out", "audformat")
    database = audformat.Database.load(str(tmp_path / "out"))
    assert database.is_portable
    assert {name: split.type for name, split in database.splits.items()} == dict(
        zip(SIDES, SIDES, strict=True)
    )
    assert database.schemes["speaker"].labels == ["s0", "s1", "s2", "s3"]
    if kind in ("classes", "shares"):
        assert database.schemes["emotion"].labels == ["a", "b"]
    for side, clips in SIDES.items():
        table = database[f"emotion.{side}"]
        assert table.split_id == side
        frame = table.get()
        assert list(frame.clip_id) == clips
        assert [Path(database.meta["media_root"]) / file for file in table.files] == [
            run.parents[1] / "media" / f"s{number(c) // 2}" / f"{c}.mp4" for c in clips
        ]
        for _, row in frame.iterrows():
            named, numbers = class_of(number(row.clip_id), kind), numbers_of(number(row.clip_id), kind)
            assert row.speaker == f"s{number(row.clip_id) // 2}"
            assert row.get("emotion") == named
            assert {name: row[f"value_{name}" if named else name] for name in numbers} == numbers
    every = [clip_id for clips in SIDES.values() for clip_id in clips]
    for name, dim in (("audio", 3), ("visual", 4)):
        frame = database[name].get()
        for clip_id, values in zip(every, frame.to_numpy(float), strict=True):
            if name == "visual" and clip_id == BLIND:
                assert np.isnan(values).all()
            else:
                np.testing.assert_array_equal(values, frames_of(clip_id, dim).x.mean(0, dtype=np.float64))


def test_audformat_has_segments_where_clips_are_intervals_and_refuses_two_of_one(tmp_path, monkeypatch):
    import audformat

    run = write_run(tmp_path, ends=True)
    export(run, tmp_path / "out", "audformat")
    database = audformat.Database.load(str(tmp_path / "out"))
    index = database["emotion.test"].index
    assert list(index.get_level_values("file")) == ["s3/all.mp4", "s3/all.mp4"]
    assert index.get_level_values("start").total_seconds().tolist() == [6, 7]
    assert index.get_level_values("end").total_seconds().tolist() == [6.5, 7.5]
    from avemo.exports import to_audformat

    row = next(iter(to_audformat.stream_table(tmp_path / "cache" / "c" / "index.parquet")))
    monkeypatch.setattr(
        to_audformat, "stream_table", lambda _: [type(row)(**vars(row) | {"clip_id": name}) for name in NAMES]
    )
    with pytest.raises(
        AvemoError, match=r"clip1: expected a file or interval of its own.*which is clip0's too"
    ):
        export(run, tmp_path / "twice", "audformat")
    assert not (tmp_path / "twice").exists()


def test_webdataset_streams_what_was_cached(run, kind, tmp_path):
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed; it is in the dev extra")
    export(run, tmp_path / "out", "webdataset")
    for side, clips in SIDES.items():
        shards = [str(path) for path in sorted((tmp_path / "out").glob(f"{side}-*.tar"))]
        samples = list(wds.WebDataset(shards, shardshuffle=False).decode())
        assert [sample["json"]["clip_id"] for sample in samples] == clips
        for sample in samples:
            said = sample["json"]
            named, numbers = (
                class_of(number(said["clip_id"]), kind),
                numbers_of(number(said["clip_id"]), kind),
            )
            assert said.get("label") == named
            assert said["speaker"] == f"s{number(said['clip_id']) // 2}"
            assert said["target"] == (list(numbers.values()) or "ab".index(named or ""))
            for name in ("audio", "visual"):
                x, times_s = sample[f"{name}.npy"], sample[f"{name}_times_s.npy"]
                assert_frames(said["clip_id"], name, x, times_s)


def nested(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The dictionary that MMSA pickles."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            side, _, key = name.partition("/")
            found.setdefault(side, {})[key] = file[name]
    return found


def test_the_npz_has_the_documented_keys_of_mmsa(run, kind, tmp_path):
    export(run, tmp_path / "out", "mmsa")
    found = nested(tmp_path / "out" / "mmsa.npz")
    classes = {"annotations", "classification_labels"}
    labels = {"classes": classes, "shares": {*classes, "label_shares"}}.get(kind, {"regression_labels"})
    assert set(found) == {"train", "valid", "test"}
    for side, clips in zip(found, SIDES.values(), strict=True):
        documented = {"id", "audio", "vision", "audio_lengths", "vision_lengths"}
        assert set(found[side]) == {*documented, *labels, "speaker"}
        assert found[side]["id"].tolist() == clips
        assert found[side]["speaker"].tolist() == [f"s{number(c) // 2}" for c in clips]
        for row, clip_id in enumerate(clips):
            named, numbers = class_of(number(clip_id), kind), numbers_of(number(clip_id), kind)
            if named is not None:
                assert found[side]["annotations"][row] == named
                assert found[side]["classification_labels"][row] == "ab".index(named)
            if numbers:
                values = found[side]["label_shares" if named else "regression_labels"]
                np.testing.assert_array_equal(values[row], list(numbers.values()))
            for name, key, dim in (("audio", "audio", 3), ("visual", "vision", 4)):
                length = found[side][f"{key}_lengths"][row]
                assert_frames(clip_id, name, found[side][key][row, :length], frames_of(clip_id, dim).times_s)
                assert not found[side][key][row, length:].any()
    assert len({found[side]["audio"].shape[1] for side in found}) == 1


def test_mmsas_own_data_set_reads_it(tmp_path):
    """Its package imports far more than its data set, which is loaded alone."""
    spec = importlib.util.find_spec("MMSA")
    if spec is None or spec.origin is None:
        pytest.skip("MMSA is not installed; it is in the dev extra")
    path = Path(spec.origin).with_name("data_loader.py")
    alone = importlib.util.spec_from_file_location("mmsa_data_loader", path)
    assert alone is not None
    assert alone.loader is not None
    module = importlib.util.module_from_spec(alone)
    alone.loader.exec_module(module)
    export(write_run(tmp_path, "attributes", outputs=1), tmp_path / "out", "mmsa")
    data = nested(tmp_path / "out" / "mmsa.npz")
    for side in data.values():  # what avemo has not
        side |= {"text": np.zeros((len(side["id"]), 1, 1)), "raw_text": np.array([""] * len(side["id"]))}
    (tmp_path / "features.pkl").write_bytes(pickle.dumps(data))
    none = dict.fromkeys(["custom_feature", "feature_T", "feature_A", "feature_V", "need_data_aligned"])
    arguments = none | {
        "dataset_name": "mosi",
        "featurePath": str(tmp_path / "features.pkl"),
        "feature_dims": [0, 0, 0],
    }
    for side, clips in zip(("train", "valid", "test"), SIDES.values(), strict=True):
        found = module.MMDataset(dict(arguments), mode=side)
        assert found.get_feature_dim() == (1, 3, 4)
        for sample, clip_id in zip(map(found.__getitem__, range(len(found))), clips, strict=True):
            assert sample["id"] == clip_id
            assert float(sample["labels"]["M"]) == label_of(number(clip_id), "attributes")["arousal"]
            x = sample["audio"][: sample["audio_lengths"]].numpy()
            assert_frames(clip_id, "audio", x, frames_of(clip_id, 3).times_s)
            assert sample["vision_lengths"] == (0 if clip_id == BLIND else len(frames_of(clip_id, 4).x))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_what_made_it_and_appears_whole_or_not_at_all(form, classes, tmp_path, monkeypatch):
    given = export(classes, tmp_path / "out", form)
    record = json.loads((tmp_path / "out" / "avemo.json").read_text())
    assert record["clips"] == {"train": 4, "dev": 1, "test": 2}
    assert record["left_out"] == {"no label": 1}
    assert "imported features: compare_lld: units.csv" in record["notes"][0]
    assert record["features"]["visual"]["provenance"] == IMPORTED["provenance"]
    assert sum(map(len, given.sides.values())) == len(NAMES) - 1
    with pytest.raises(AvemoError, match="expected a new folder, found one"):
        export(classes, tmp_path / "out", form)
    monkeypatch.setattr(FORMS, "load", lambda _: lambda given, folder: (folder / "x").mkdir() or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(classes, tmp_path / "half", form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out", "results"]


@pytest.mark.parametrize("form", ["datasets", "mmsa", "webdataset"])
def test_the_same_clips_make_the_same_bytes(form, classes, tmp_path):
    for name in ("one", "two"):
        export(classes, tmp_path / name, form)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_large_runs_come_in_several_files_that_lose_no_clip(classes, tmp_path, monkeypatch):
    monkeypatch.setattr(to_webdataset, "SHARD_BYTES", 150)
    export(classes, tmp_path / "tars", "webdataset")
    tars = sorted((tmp_path / "tars").glob("train-*.tar"))
    assert len(tars) > 1
    names = []
    for path in tars:
        with tarfile.open(path) as tar:
            names += [name for name in tar.getnames() if name.endswith(".json")]
    assert names == [f"{n:08d}.json" for n in range(4)]
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(to_datasets, "FILE_BYTES", 300)
    monkeypatch.setattr(to_datasets, "GROUP_BYTES", 150)
    export(classes, tmp_path / "hf", "datasets")
    assert len(list((tmp_path / "hf" / "data").glob("train-*"))) > 1
    found = datasets.load_dataset(str(tmp_path / "hf"), split="train", cache_dir=str(tmp_path / "hub"))
    assert found["clip_id"][:] == NAMES[:4]


def test_features_are_chosen_by_name_and_what_is_wrong_is_named(classes, tmp_path):
    given = export(classes, tmp_path / "layer", "webdataset", features=["visual/1"])
    assert given.left_out["no features"] == 1  # the clip without a face
    assert BLIND not in given.sides["train"].clip_ids
    assert UNKNOWN not in given.sides["dev"].clip_ids
    with tarfile.open(tmp_path / "layer" / "train-000000.tar") as tar:
        member = tar.extractfile("00000000.visual_1.npy")
        assert member is not None
        np.testing.assert_array_equal(np.load(io.BytesIO(member.read())), frames_of("clip0", 4).x[:, 2:])
    for arguments, words in (
        (
            {"form": "mmsa", "features": ["visual/0", "visual/1"]},
            r"mmsa: expected one feature of visual, found visual/0",
        ),
        ({"form": "mmsa", "split": "split07"}, "expected a split 'split07'"),
        ({"form": "mmsa", "folder": tmp_path / "cache"}, "expected a run's folder"),
        ({"form": "mmsaa"}, "mmsaa"),
    ):
        with pytest.raises(AvemoError, match=words):
            export(**{"folder": classes, "out": tmp_path / "wrong"} | arguments)
    assert not (tmp_path / "wrong").exists()


def test_the_command_tells_sides_what_is_left_out_and_what_limits_the_features(classes, tmp_path):
    done = CliRunner().invoke(
        app, ["export", str(classes), "--out", str(tmp_path / "out"), "--format", "mmsa"]
    )
    assert done.exit_code == 0, done.output
    assert f"7 clips to {tmp_path / 'out'}: train 4, dev 1, test 2" in done.output
    assert "left out, no label: 1" in done.output
    assert "note: imported features: compare_lld: units.csv" in done.output
    assert avemo.load(classes, split=0)["train"].clip_ids == SIDES["train"]
    assert [form.value for form in Form] == list(FORMS)


def test_several_features_of_a_modality_come_each_by_itself_at_its_own_times_and_precision(tmp_path):
    import audformat

    datasets, wds = pytest.importorskip("datasets"), pytest.importorskip("webdataset")
    run = write_run(tmp_path, second=True)
    for form in ("datasets", "webdataset", "audformat"):
        export(run, tmp_path / form, form)
    wanted = {name: frames_of(name, 2) for name in SIDES["train"]}
    found = datasets.load_dataset(str(tmp_path / "datasets"), split="train", cache_dir=str(tmp_path / "hub"))
    assert {"audio", "audio-2", "visual", "audio-2_times_s"} <= set(found.column_names)
    for row in found:
        np.testing.assert_array_equal(row["audio-2"], wanted[row["clip_id"]].x.astype(np.float16))
        np.testing.assert_array_equal(row["audio-2_times_s"], wanted[row["clip_id"]].times_s)
        assert_frames(row["clip_id"], "audio", np.array(row["audio"], np.float32), row["audio_times_s"])
    shards = [str(path) for path in sorted((tmp_path / "webdataset").glob("train-*.tar"))]
    for sample in wds.WebDataset(shards, shardshuffle=False).decode():
        assert sample["audio-2.npy"].dtype == np.float16
        np.testing.assert_array_equal(
            sample["audio-2.npy"], wanted[sample["json"]["clip_id"]].x.astype(np.float16)
        )
    database = audformat.Database.load(str(tmp_path / "audformat"))
    assert list(database["audio-2"].get()) == ["audio-2_0", "audio-2_1"]
    with pytest.raises(AvemoError, match="expected one feature of audio, found audio and audio-2; choose by"):
        export(run, tmp_path / "mmsa", "mmsa")
    export(run, tmp_path / "mmsa", "mmsa", features=["audio-2"])
    side = nested(tmp_path / "mmsa" / "mmsa.npz")["train"]
    assert "vision" not in side
    for row, clip in enumerate(wanted.values()):
        x = side["audio"][row, : side["audio_lengths"][row]]
        np.testing.assert_array_equal(x, clip.x.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("form", FORMS)
def test_a_side_without_clips_and_a_feature_without_frames_are_read_too(form, tmp_path):
    """The only clip of dev has no label, and no clip has a face."""
    run = write_run(tmp_path, dev=[UNKNOWN], blind=NAMES)
    out = tmp_path / "out"
    given = export(run, out, form)
    assert {side: len(clips) for side, clips in given.sides.items()} == {"train": 4, "dev": 0, "test": 2}
    if form == "datasets":
        datasets = pytest.importorskip("datasets")
        found = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "hub"))
        assert {name: len(rows) for name, rows in found.items()} == {"train": 4, "test": 2}
        assert found["train"]["visual"][:] == [None] * 4
    elif form == "audformat":
        import audformat

        database = audformat.Database.load(str(out))
        assert [len(database[f"emotion.{side}"]) for side in SIDES] == [4, 0, 2]
        assert "visual" in database
    elif form == "mmsa":
        found = nested(out / "mmsa.npz")
        assert [len(side["id"]) for side in found.values()] == [4, 0, 2]
        assert not any(side["vision_lengths"].any() for side in found.values())
    else:
        wds = pytest.importorskip("webdataset")
        empty = wds.WebDataset(str(out / "dev-000000.tar"), shardshuffle=False, empty_check=False)
        assert list(empty) == []
        train = wds.WebDataset(str(out / "train-000000.tar"), shardshuffle=False).decode()
        assert [sample["visual.npy"].shape for sample in train] == [(0, 0)] * 4


@pytest.mark.parametrize("form", FORMS)
def test_no_clip_at_all_is_one_error_and_no_folder(form, tmp_path):
    run = write_run(tmp_path, blind=NAMES)
    with pytest.raises(AvemoError, match=r"expected clips with labels and features in split00, found none"):
        export(run, tmp_path / "out", form, features=["visual"])
    assert not (tmp_path / "out").exists()


def test_a_run_is_exported_from_anywhere(tmp_path, monkeypatch):
    """Paths of the clip table go from the working folder, which the command need not be started in."""
    import audformat

    (tmp_path / "home").mkdir()
    (tmp_path / "away").mkdir()
    run = write_run(tmp_path / "home", media=Path("media"))
    monkeypatch.chdir(tmp_path / "away")
    for form in FORMS:
        export(run, Path(form), form)
    database = audformat.Database.load("audformat")
    assert database.meta["media_root"] == str(tmp_path / "home" / "media")


def test_a_killed_export_leaves_nothing_under_its_name(classes, tmp_path):
    """Nor anything that a second one trips over. What kills it comes when all is written but the record."""
    out, form = tmp_path / "out", "webdataset"
    code = (
        "import os, signal, sys; from pathlib import Path; from avemo.exports import export as e; "
        "e.RECORD = type('Kills', (), {'__rtruediv__': lambda *_: os.kill(os.getpid(), signal.SIGKILL)})(); "
        "e.export(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(classes), str(out), form], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not out.exists()
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"cache", "results"}
    export(classes, out, form)
    assert (out / "avemo.json").is_file()
