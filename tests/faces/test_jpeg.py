"""Kept crops against those they were made from."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from avemo.base import component
from avemo.base.contracts import TRACK_COLUMNS, Clip, FeatureSequence, MachineError, TrackStatus
from avemo.faces.crop import CropPolicy, crops, cut
from avemo.faces.jpeg import ROW_BYTES, JpegCrops, decoded
from avemo.features.extraction import keep_crops
from avemo.media.pictures import iter_frames
from avemo.synthetic.actors import make_actor
from avemo.synthetic.face import draw_face
from avemo.synthetic.motion import FACE_AXES, Pose
from media_factory import write_video

ERROR_95 = 2.0
"""Of 255; drawn faces, which are noisy, come back within 1.6 on average, photographed ones within 1."""
TIMES_S = [0.0, 0.04, 0.04, 0.2]
"""Two equal ones: old containers have such."""


def keeper(**config) -> JpegCrops:
    return JpegCrops(JpegCrops.Config(**{"size_px": 96, "quality": 95} | config))


def faces() -> list[tuple[float, np.ndarray]]:
    """Drawn faces of different people."""
    pose = Pose(dict.fromkeys(FACE_AXES, 0.0), jaw=0.2, lids=1, yaw=0, gaze_x=0, gaze_y=0, x=0, y=0)
    generator = np.random.default_rng(0)
    pictures = [draw_face(make_actor(n, 0).look, pose, 96, generator) for n in range(len(TIMES_S))]
    return list(zip(TIMES_S, pictures, strict=True))


def error(found: list[tuple[float, np.ndarray]], expected: list[tuple[float, np.ndarray]]) -> float:
    """Mean absolute difference of pixels, of 255."""
    return float(
        np.mean([np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(found, expected, strict=True)])
    )


def test_crops_come_back_within_jpegs_error_at_their_times():
    kept = keeper().encode(iter(faces()))
    assert kept.x.shape == (len(kept.times_s), ROW_BYTES)
    found = list(decoded("a", kept, 96))
    assert [time_s for time_s, _ in found] == TIMES_S
    assert error(found, faces()) < ERROR_95
    worse = list(decoded("a", keeper(quality=30).encode(faces()), 96))
    assert error(worse, faces()) > 2 * error(found, faces())


def test_colour_is_kept_at_every_pixel():
    """Stripes of one lightness, a pixel wide: halved colour would leave none of them."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (190, 90, 90), (80, 137, 90)
    (found,) = decoded("a", keeper().encode([(0.0, stripes)]), 96)
    assert error([found], [(0.0, stripes)]) < 5


def test_the_crops_of_a_clip_are_those_that_a_feature_would_be_given(tmp_path):
    path = write_video(tmp_path / "a.mp4", np.stack([face for _, face in faces()]), fps=10)
    x = np.zeros((4, len(TRACK_COLUMNS)), np.float32)
    x[:, :4], x[:, TRACK_COLUMNS.index("status")] = [16, 16, 80, 80], TrackStatus.detected
    x[2, TRACK_COLUMNS.index("status")] = TrackStatus.missing
    clip, track = Clip("a", "s", "s", video_path=path), FeatureSequence(x, np.arange(4) / 10)
    policy = CropPolicy(size_px=64, background="masked", fps=5)
    expected = list(crops(iter_frames(clip), track, policy))
    found = list(decoded("a", keep_crops(keeper(**policy.numbers()), clip, track), 64))
    assert [time_s for time_s, _ in found] == [time_s for time_s, _ in expected] == [0.0]
    assert error(found, expected) < ERROR_95


def test_a_real_face_comes_back_within_one_of_255(shared_data):
    clip = Clip("a", "s", "s", video_path=shared_data / "clips" / "lp_d20.mp4")
    frames = list(islice(iter_frames(clip), 10))
    height, width = frames[0][1].shape[:2]
    box = np.array([width * 0.3, height * 0.1, width * 0.7, height * 0.8])
    expected = [(time_s, cut(frame, box, CropPolicy())) for time_s, frame in frames]
    kept = keeper(size_px=224).encode(expected)
    assert error(list(decoded("a", kept, 224)), expected) < 1
    assert kept.x.nbytes < 20_000 * len(frames)


def test_the_key_holds_policy_quality_and_encoder(monkeypatch):
    parts = {keeper(**config).key_part() for config in ({}, {"quality": 94}, {"margin": 0.3}, {"fps": 3})}
    monkeypatch.setattr(component, "version_of", lambda name: "0.0")
    assert len(parts | {keeper().key_part()}) == 5


@pytest.mark.parametrize(("size_px", "spoil", "found"), [(96, 9, "bytes that are none"), (64, 0, "96x96x3")])
def test_what_is_no_crop_names_clip_crop_and_remedy(size_px, spoil, found):
    kept = keeper().encode(faces()[:2])
    second = int(np.flatnonzero(kept.times_s)[0])
    kept.x[second, 4 : 4 + spoil] = 0
    expected = f"anna: crop {1 if spoil else 0} at .* expected a JPEG of {size_px}x{size_px} pixels, found {found}; delete"
    with pytest.raises(MachineError, match=expected):
        list(decoded("anna", kept, size_px))
