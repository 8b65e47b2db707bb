"""Batches gathered from features on a device are those that are read clip by clip, bit for bit on a CPU."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from avemo.dataset import resident
from avemo.dataset.loading import ClipData
from avemo.dataset.normalise import Normalise
from avemo.dataset.resident import ResidentData, near
from avemo.training.loop import train_batch
from avemo.training.recipe import TrainingConfig
from feature_source import Source
from training_standins import Towers, fresh

CLIPS = ["a", "b", "c", "d", "e"]
CPU, ELSEWHERE = torch.device("cpu"), torch.device("meta")


def made(dtype: str = "float32", clips=CLIPS, **sources) -> ClipData:
    """Five clips; ``d`` lacks sound, ``e`` lacks video."""
    audio = Source({"a": 3, "b": 7, "c": 5, "e": 4}, dim=2)
    visual = Source({"a": 2, "b": 1, "c": 6, "d": 3}, dim=3, seed=1)
    visual.dtype = dtype
    if dtype != "float32":
        visual.x = {clip: np.abs(x).astype(dtype).astype(np.float32) for clip, x in visual.x.items()}
    given = {"audio": audio, "visual": visual} | sources
    return ClipData(given["audio"], given["visual"], {clip: number for number, clip in enumerate(clips)})


def assert_same_batches(ours: ClipData, theirs: ClipData, **order) -> None:
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    pairs = zip(
        ours.batches(CLIPS, 2, generators[0], **order),
        theirs.batches(CLIPS, 2, generators[1], **order),
        strict=True,
    )
    for a, b in pairs:
        for field in fields(a):
            x, y = getattr(a, field.name), getattr(b, field.name)
            assert torch.equal(x, y) and x.dtype == y.dtype if isinstance(x, torch.Tensor) else x == y, (
                field.name
            )


@pytest.mark.parametrize("way", ["train", "clip", "none"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("bucketing", [1, 2])
def test_batches_are_clip_datas(way, dtype, bucketing):
    data = made(dtype)
    data.fit(["a", "b", "d"], Normalise(audio=way, visual=way))
    kept = ResidentData(data, CPU)
    assert_same_batches(kept, data, bucketing=bucketing)
    kept.fit(["c", "d"], Normalise(audio=way))
    data.fit(["c", "d"], Normalise(audio=way))
    assert_same_batches(kept, data, bucketing=bucketing)


@pytest.mark.parametrize("missing", ["audio", "visual"])
def test_a_modality_without_a_source_is_zeros(missing):
    data = made(clips=["a", "b", "c"], **{missing: None})
    data.fit(["a", "b"])
    batch, kept = (one.collate(["c", "a"]) for one in (data, ResidentData(data, CPU)))
    assert torch.equal(batch.frames(missing)[0], kept.frames(missing)[0])
    assert batch.frames(missing)[0].any() == False  # noqa: E712


def test_each_clip_is_read_once_for_all_splits_of_a_job():
    kept = ResidentData(made(), CPU)
    reads = {name: source.reads for name, source in kept.sources.items()}
    for train in (["a", "b", "d"], ["c", "d", "e"]):
        kept.fit(train)
        for _ in range(3):
            list(kept.batches(CLIPS, 2))
    assert {name: source.reads for name, source in kept.sources.items()} == reads == {"audio": 4, "visual": 4}


def test_what_clips_are_normalised_by_themselves_is_found_once_for_all_splits():
    kept = ResidentData(made(), CPU)
    way = Normalise(audio="clip", visual="clip")
    kept.fit(["a", "b", "d"], way)
    reads = {name: source.reads for name, source in kept.sources.items()}
    for train in (["a", "c", "d"], ["c", "d", "e"]):
        kept.fit(train, way)
        kept.use(kept.normalisers)
    assert {name: source.reads for name, source in kept.sources.items()} == reads


def test_only_a_gpu_with_room_keeps_features(monkeypatch, capsys):
    data = made()
    assert near(data, CPU) is data
    assert isinstance(near(data, ELSEWHERE), ResidentData)
    monkeypatch.setattr(resident, "RESIDENT_MB", 1e-6)
    assert near(data, ELSEWHERE) is data
    assert "at most 1e-06 MB stay on a GPU" in capsys.readouterr().out


def test_training_takes_batches_whose_frames_lie_elsewhere():
    """What a batch goes through before its step, with frames on a device that refuses to be read."""
    kept = ResidentData(made(), ELSEWHERE)
    kept.fit(["a", "b", "d"])
    changes = {
        "modality_drop": 0.5,
        "drop_scope": "clip",
        "ablate_visual_clips": 0.5,
        "ablate_visual_frames": 0.5,
    }
    run = fresh(Towers(), TrainingConfig(unpaired=0.5, **changes))
    for _ in range(5):
        for batch in kept.batches(CLIPS, 3):
            seen = train_batch(run, batch.without("audio"))
            assert {seen.audio_BTD.device.type, seen.visual_BTD.device.type} == {"meta"}
            assert seen.has_audio_B.device.type == "cpu"
            assert seen.to(ELSEWHERE).has_audio_B.device.type == "meta"
