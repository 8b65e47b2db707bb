"""Batches from features in memory: normalised, padded, masked, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.dataset.loading import ClipData
from avemo.dataset.normalise import Normalise
from feature_source import Source

CLIPS = ["a", "b", "c", "d", "e"]
TARGETS = {clip_id: i for i, clip_id in enumerate(CLIPS)}


def make(**kwargs) -> ClipData:
    """Five clips; ``d`` lacks sound, ``e`` lacks video."""
    audio = Source({"a": 3, "b": 7, "c": 5, "e": 4}, dim=2)
    visual = Source({"a": 2, "b": 1, "c": 6, "d": 3}, dim=3, seed=1)
    return ClipData(audio, visual, TARGETS, **kwargs)


def fitted(**kwargs) -> ClipData:
    data = make(**kwargs)
    data.fit(["a", "b", "d"])
    return data


def test_pixels_stay_pixels():
    data = make()
    data.sources["visual"].dtype = "uint8"
    pixels = data.sources["visual"].x["c"]
    data.fit(["a", "b", "d"])
    assert torch.equal(data.collate(["c"]).visual_BTD[0], torch.from_numpy(pixels))
    assert not torch.equal(data.collate(["c"]).audio_BTD[0], torch.from_numpy(data.sources["audio"].x["c"]))


def test_statistics_are_of_train_frames_only():
    data = make()
    found = data.fit(["a", "b", "d"])
    frames = np.concatenate([data.sources["audio"].x[c] for c in "ab"]).astype(np.float64)
    np.testing.assert_allclose(found["audio"].mean, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["audio"].std, frames.std(axis=0) + 1e-6, rtol=1e-6)
    frames = np.concatenate([data.sources["visual"].x[c] for c in "abd"]).astype(np.float64)
    np.testing.assert_allclose(found["visual"].mean, frames.mean(axis=0), rtol=1e-6)


def test_batch_holds_normalised_frames_zeros_at_the_right_and_masks():
    data = fitted()
    (batch,) = data.batches(CLIPS, 5)
    assert batch.clip_ids == CLIPS
    assert batch.targets.tolist() == [0, 1, 2, 3, 4]
    assert batch.targets.dtype == torch.int64
    assert batch.audio_BTD.shape == (5, 7, 2)
    assert batch.visual_BTD.shape == (5, 6, 3)
    assert batch.audio_mask_BT.sum(dim=1).tolist() == [3, 7, 5, 1, 4]
    assert batch.visual_mask_BT.sum(dim=1).tolist() == [2, 1, 6, 3, 1]
    for x, mask in ((batch.audio_BTD, batch.audio_mask_BT), (batch.visual_BTD, batch.visual_mask_BT)):
        assert mask.dtype == torch.bool
        assert (x[~mask] == 0).all()
        assert (mask.int().diff(dim=1) <= 0).all()  # real frames first
    frames = np.concatenate([data.sources["audio"].x[c] for c in "ab"]).astype(np.float64)
    expected = (data.sources["audio"].x["c"] - frames.mean(axis=0)) / frames.std(axis=0)
    np.testing.assert_allclose(batch.audio_BTD[2, :5], expected, atol=1e-5)


def test_clips_all_without_a_modality_have_one_zero_frame_that_counts():
    (batch,) = fitted().batches(["d"], 4)
    assert batch.audio_BTD.shape == (1, 1, 2)
    assert not batch.audio_BTD.any()
    assert batch.audio_mask_BT.all()


def test_without_a_source_the_modality_is_one_column_of_zeros():
    data = ClipData(None, Source({"a": 2}, dim=3), {"a": 1})
    assert set(data.fit(["a"])) == {"visual"}
    (batch,) = data.batches(["a"], 1)
    assert (data.audio_dim, data.visual_dim) == (1, 3)
    assert batch.audio_BTD.tolist() == [[[0.0]]]
    assert batch.audio_mask_BT.tolist() == [[True]]


def test_order_is_given_or_drawn_from_the_generator_at_the_call():
    data = fitted()
    given = [batch.clip_ids for batch in data.batches(CLIPS, 2)]
    assert given == [["a", "b"], ["c", "d"], ["e"]]
    clips = CLIPS * 20
    expected = [clips[i] for i in torch.randperm(100, generator=torch.Generator().manual_seed(7)).tolist()]
    generator = torch.Generator().manual_seed(7)
    epoch = data.batches(clips, 8, generator)
    state = generator.get_state()
    drawn = [clip_id for batch in epoch for clip_id in batch.clip_ids]
    assert drawn == expected != clips
    assert torch.equal(generator.get_state(), state)


def test_usable_gives_a_reason_for_every_other_clip():
    source = Source({"a": 2, "empty": 0, "unlabelled": 2}, dim=2)
    data = ClipData(source, None, {"a": 0, "empty": 1, "failed": 1})
    kept, left_out = data.usable(["failed", "a", "empty", "unlabelled"])
    assert kept == ["a"]
    assert left_out == {
        "failed": "no features of audio",
        "empty": "no features of audio",
        "unlabelled": "no target",
    }


@pytest.mark.parametrize("memory_bytes", [0, 60, 100, 10**6])
def test_memory_changes_speed_only(memory_bytes):
    plain, kept = fitted(memory_bytes=0), fitted(memory_bytes=memory_bytes)
    for _ in range(2):
        for expected, found in zip(plain.batches(CLIPS, 2), kept.batches(CLIPS, 2), strict=True):
            assert torch.equal(found.audio_BTD, expected.audio_BTD)
            assert torch.equal(found.visual_BTD, expected.visual_BTD)
        assert kept._memory.used == sum(t.nbytes for t in kept._memory._kept.values()) <= memory_bytes


def test_clips_in_memory_are_read_once_for_all_splits():
    data = make(memory_bytes=10**6)
    for train_ids in (["a", "b", "d"], ["c", "d", "e"]):
        data.fit(train_ids)
        list(data.batches(CLIPS, 5))
    assert (data.sources["audio"].reads, data.sources["visual"].reads) == (4, 4)


def test_clips_can_be_normalised_by_themselves():
    data, train = make(), fitted()
    data.fit(["a", "b", "d"], Normalise(audio="clip"))
    (found,), (other,) = data.batches(CLIPS, 5), train.batches(CLIPS, 5)
    frames = data.sources["audio"].x["c"].astype(np.float64)
    expected = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    np.testing.assert_allclose(found.audio_BTD[2, :5], expected, atol=1e-5)
    assert not found.audio_BTD[3].any()  # no sound, so nothing to normalise
    assert torch.equal(found.visual_BTD, other.visual_BTD)


def test_frames_can_stay_as_they_were_extracted():
    """A clip without faces is then zeros, no longer the train part's average face."""
    data, train = make(), fitted()
    data.fit(["a", "b", "d"], Normalise(visual="none"))
    (found,), (other,) = data.batches(CLIPS, 5), train.batches(CLIPS, 5)
    for row, clip in enumerate(CLIPS):
        if data.sources["visual"].has(clip):
            frames = data.sources["visual"].x[clip]
            np.testing.assert_array_equal(found.visual_BTD[row, : len(frames)], frames)
        else:
            assert not found.visual_BTD[row].any()
    assert torch.equal(found.audio_BTD, other.audio_BTD)
    assert not torch.equal(found.visual_BTD, other.visual_BTD)


def test_a_changed_batch_leaves_the_memory_alone():
    data = fitted()
    (batch,) = data.batches(CLIPS, 5)
    before = batch.audio_BTD.clone()
    batch.audio_BTD.zero_()
    (again,) = data.batches(CLIPS, 5)
    assert torch.equal(again.audio_BTD, before)


def test_a_new_fit_forgets_old_statistics():
    data = fitted()
    list(data.batches(CLIPS, 5))
    data.fit(["c", "d", "e"])
    fresh = make()
    fresh.fit(["c", "d", "e"])
    (found,), (expected,) = data.batches(CLIPS, 5), fresh.batches(CLIPS, 5)
    assert torch.equal(found.audio_BTD, expected.audio_BTD)


def test_statistics_can_be_given():
    data, other = fitted(), make()
    other.use(data.normalisers)
    (found,), (expected,) = other.batches(CLIPS, 5), data.batches(CLIPS, 5)
    assert torch.equal(found.visual_BTD, expected.visual_BTD)
    with pytest.raises(AvemoError, match="audio: expected statistics of 2 dimensions, found 3"):
        other.use({"audio": data.normalisers["visual"], "visual": data.normalisers["visual"]})
    with pytest.raises(AvemoError, match="visual: expected statistics of 3 dimensions, found None"):
        other.use({"audio": data.normalisers["audio"]})


def test_mistakes_are_named_at_the_call():
    with pytest.raises(AvemoError, match="call fit"):
        make().batches(CLIPS, 2)
    with pytest.raises(AvemoError, match=r"zoe: no target \(and 1 more"):
        fitted().batches(["a", "zoe", "yan"], 2)
    with pytest.raises(AvemoError, match="batch_size"):
        fitted().batches(CLIPS, 0)
    with pytest.raises(AvemoError, match="audio: expected features of train clips, found none of 1"):
        make().fit(["d"])
