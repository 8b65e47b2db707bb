"""`avemo.load` on a small cache and a run's folder: what is read is what was written, on any side, in any process."""

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import avemo
from avemo.base.contracts import AvemoError
from avemo.dataset.normalise import Normalise
from avemo.study.inputs import inputs_of, open_inputs
from avemo.study.layout import Layout
from avemo.study.study import read_run
from kept_run import BLIND, NAMES, frames_of, write_run
from runs import FEATURE, run_of


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working folder with a cache of two features and a run on it."""
    home = tmp_path_factory.mktemp("home")
    write_run(home)
    return home


def test_three_lines_give_a_batch_with_masks_and_targets(home):
    train = avemo.load(home / "results" / "r", split=0)["train"]
    loader = DataLoader(train, batch_size=4, collate_fn=train.collate)
    batch = next(iter(loader))
    assert batch["clip_id"] == NAMES[:4]
    assert batch["target"].tolist() == [0, 1, 0, 1]
    for name, dim in (("audio", 3), ("visual", 4)):
        lengths = [0 if name == "visual" and c == BLIND else len(frames_of(c, dim).x) for c in NAMES[:4]]
        assert batch[f"{name}_mask"].sum(1).tolist() == lengths
        assert batch[name].shape == (4, max(lengths), dim)
        found = frames_of("clip0", dim)
        np.testing.assert_array_equal(batch[name][0, : lengths[0]], found.x)
        np.testing.assert_array_equal(batch[f"{name}_times_s"][0, : lengths[0]], found.times_s)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_the_same(home, start):
    train = avemo.load(home / "results" / "r", split="split00")["train"]
    loader = DataLoader(
        train, batch_size=2, num_workers=2, collate_fn=train.collate, multiprocessing_context=start
    )
    found = [frames for batch in loader for frames in batch["audio"]]
    alone = [
        frames
        for batch in DataLoader(train, batch_size=2, collate_fn=train.collate)
        for frames in batch["audio"]
    ]
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))


def test_a_clip_without_a_label_or_features_is_left_out(home):
    sides = avemo.load(home / "results" / "r", split=0)
    assert sides["dev"].clip_ids == ["clip4"]
    only = avemo.load(home / "results" / "r", features=["visual"], split=0)
    assert BLIND not in only["train"].clip_ids


def test_a_cache_is_read_without_a_run_and_with_one(home):
    every = avemo.load(home / "cache" / "c")["all"]
    assert every.clip_ids == NAMES
    assert set(every[0]) == {"clip_id", "lld-1", "lld-1_times_s", "net-2", "net-2_times_s"}
    test = avemo.load(home / "cache" / "c", features=["net/1"], run=home / "results" / "r", split=0)["test"]
    np.testing.assert_array_equal(test[0]["net/1"], frames_of("clip6", 4).x[:, 2:])
    assert test[0]["target"] == 0


def test_arrays_and_tables_hold_the_same_numbers(home):
    train = avemo.load(home / "results" / "r", split=0)["train"]
    arrays, table = train.to_numpy(), train.to_pandas()
    assert list(arrays["clip_id"]) == list(table.clip_id) == NAMES[:4]
    assert arrays["target"].tolist() == [0, 1, 0, 1]
    assert list(table.label) == ["a", "b", "a", "b"]
    for row, x in enumerate(arrays["audio"]):
        np.testing.assert_allclose(
            table.loc[row, ["audio_0", "audio_1", "audio_2"]].astype(float), x.mean(0), rtol=1e-5
        )
    assert table[table.clip_id == BLIND]["visual_0"].isna().all()


def test_what_is_not_there_is_named(home):
    for arguments, words in (
        (
            {"folder": home / "nowhere"},
            "expected a run's folder under results, or a corpus' under cache, found nothing",
        ),
        (
            {"folder": home / "results" / "r", "features": ["sound"]},
            "expected one feature 'sound', found audio, visual",
        ),
        ({"folder": home / "results" / "r", "split": 3}, "expected a split 'split03'.* found split00"),
        ({"folder": home / "cache" / "c", "split": 0}, "expected a run, whose splits to take"),
        (
            {"folder": home / "cache" / "c", "features": ["net/7"]},
            r"expected a part of its frames \(0, 1\), found '7'",
        ),
    ):
        with pytest.raises(AvemoError, match=words):
            avemo.load(**arguments)


def test_of_several_features_each_comes_by_itself_and_systems_see_them_joined(home, tmp_path, monkeypatch):
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    seen = {
        "audio": FEATURE | {"id": "lld-1"},
        "audio-2": FEATURE | {"id": "net-2", "reading": {"parts": ["1"]}},
    }
    run = run_of(features=seen)
    Layout(run).config.write_text(json.dumps(run.record()))
    assert read_run(Path("results/r")) == run
    clips = avemo.load("results/r")["all"]
    assert {name: one.dim for name, one in clips.features.items()} == {"audio": 3, "audio-2/1": 2}
    whole = avemo.load("results/r", features=["audio", "audio-2"])["all"]
    assert whole[0]["audio-2"].shape[1] == 4
    with ExitStack() as stack:
        data = open_inputs(inputs_of(run), stack).clips(dict.fromkeys(NAMES, 0))
        assert data.usable([BLIND, "clip0"]) == (["clip0"], {BLIND: "no features of audio-2"})
        data.fit(["clip0", "clip1"], Normalise(audio="none"))
        found = data.collate(["clip0"]).audio_BTD[0].numpy()
    first, second = frames_of("clip0", 3), frames_of("clip0", 4)
    np.testing.assert_array_equal(found[:, :3], first.x)
    nearest = np.abs(first.times_s[:, None] - second.times_s).argmin(1)
    np.testing.assert_array_equal(found[:, 3:], second.x[nearest, 2:])
