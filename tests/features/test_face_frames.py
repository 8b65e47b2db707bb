"""Face crops as a feature: pixels in, the same pixels out, stored as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from avemo.base.contracts import TRACK_COLUMNS, AvemoError, FeatureSequence, Status, TrackStatus
from avemo.cache.items import Item, storable
from avemo.cache.shard import Shard
from avemo.cache.shard_writer import write_shard
from avemo.faces.crop import crops
from avemo.features.face_frames import FaceFrames


@pytest.fixture
def features() -> FeatureSequence:
    extractor = FaceFrames(FaceFrames.Config())
    x = np.zeros((50, len(TRACK_COLUMNS)), np.float32)
    x[:, :4], x[:, TRACK_COLUMNS.index("status")] = [16, 16, 112, 112], TrackStatus.detected
    times_s = np.arange(50) / 25
    frames = [np.full((128, 128, 3), (n, 2 * n, 255 - n), np.uint8) for n in range(50)]
    return extractor.extract(
        crops(zip(times_s, frames, strict=True), FeatureSequence(x, times_s), extractor.crop)
    )


def test_three_pictures_a_second_come_back_from_the_store(features, tmp_path):
    assert features.x.shape == (6, 49_152)
    assert features.x.dtype == np.uint8
    np.testing.assert_allclose(features.times_s, [0, 0.36, 0.68, 1.0, 1.36, 1.68])
    write_shard(tmp_path / "0.h5", [Item("a", "k", Status.ok, "", features.x, features.times_s)], {}, "uint8")
    with Shard(tmp_path / "0.h5") as shard:
        assert shard.dtype == "uint8"
        pictures = shard.read("a").x.reshape(-1, 128, 128, 3)
        assert shard.verify() == []
    np.testing.assert_array_equal(pictures[:, 5, 7], [[n, 2 * n, 255 - n] for n in (0, 9, 17, 25, 34, 42)])


def test_numbers_that_are_not_bytes_are_refused(features):
    item = Item("a", "k", Status.ok, "", features.x.astype(np.float32) - 1, features.times_s)
    with pytest.raises(AvemoError, match="a: expected uint8 frames, found float32"):
        storable(item, "uint8")
