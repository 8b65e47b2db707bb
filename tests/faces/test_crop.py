"""Crops against pictures in which each pixel tells where it was."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts import TRACK_COLUMNS, AvemoError, FeatureSequence, TrackStatus
from pipeline.faces.crop import CropPolicy, crops, cut
from pipeline.faces.sheet import contact_sheet

MAP = np.zeros((120, 160, 3), np.uint8)
MAP[..., 0], MAP[..., 1] = np.arange(160)[None], np.arange(120)[:, None]
"""Red is the column, green the row."""


def track(boxes, statuses, times_s) -> FeatureSequence:
    x = np.zeros((len(boxes), len(TRACK_COLUMNS)), np.float32)
    x[:, :4], x[:, TRACK_COLUMNS.index("status")] = boxes, statuses
    return FeatureSequence(x, np.asarray(times_s, float))


def test_unscaled_crop_is_a_slice():
    found = cut(MAP, np.array([40, 30, 80, 70]), CropPolicy(size_px=60, margin=0.25))
    np.testing.assert_array_equal(found, MAP[20:80, 30:90])


def test_a_tall_box_gives_a_square_about_its_centre():
    found = cut(MAP, np.array([70, 20, 90, 100]), CropPolicy(size_px=80, margin=0))
    np.testing.assert_array_equal(found, MAP[20:100, 40:120])


def test_beyond_the_border_the_edge_repeats():
    found = cut(MAP, np.array([-20, -10, 20, 30]), CropPolicy(size_px=40, margin=0))
    expected = np.pad(MAP[:30, :20], ((10, 0), (20, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(found, expected)


def test_shrinking_averages_areas():
    checkers = np.indices((120, 160)).sum(axis=0) % 2 * 200
    frame = np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8)
    found = cut(frame, np.array([20, 20, 100, 100]), CropPolicy(size_px=40, margin=0))
    np.testing.assert_array_equal(found, np.full((40, 40, 3), 100))


@given(
    box=st.tuples(*[st.floats(-50, 200) for _ in range(2)], *[st.floats(0.1, 150) for _ in range(2)]),
    margin=st.floats(0, 1),
    size=st.integers(1, 64),
)
@settings(max_examples=50, deadline=None)
def test_every_box_gives_a_crop_of_the_size_asked(box, margin, size):
    x, y, width, height = box
    found = cut(MAP, np.array([x, y, x + width, y + height]), CropPolicy(size_px=size, margin=margin))
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8


def test_frames_without_a_face_give_no_crop():
    statuses = [TrackStatus.detected, TrackStatus.missing, TrackStatus.tracked, TrackStatus.interpolated]
    boxes = [[40, 30, 80, 70]] * 4
    times = [0.0, 0.04, 0.08, 0.12]
    frames = ((t, MAP) for t in times)
    found = list(crops(frames, track(boxes, statuses, times), CropPolicy(size_px=8)))
    assert [t for t, _ in found] == [0.0, 0.08, 0.12]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0], "expected 0.040 s, found the end"),
        ([0.0, 0.04, 0.08], "expected the end, found 0.080 s"),
        ([0.0, 0.05], "expected 0.040 s, found 0.050 s"),
    ],
)
def test_frames_that_were_not_tracked_are_an_error(times, message):
    tracked = track([[40, 30, 80, 70]] * 2, [TrackStatus.detected] * 2, [0.0, 0.04])
    with pytest.raises(AvemoError, match=message):
        list(crops(((t, MAP) for t in times), tracked, CropPolicy()))


def test_policies_need_no_heavy_library():
    code = (
        "import sys, pipeline.faces.crop, pipeline.faces.track, pipeline.media\n"
        "heavy = {'torch', 'cv2', 'av', 'facenet_pytorch'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_contact_sheet_places_labels_and_crops():
    red, blue = np.zeros((2, 50, 50, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = contact_sheet([("1001_X\nno_face", []), ("1002_Y\nok", [red, blue])], cell_px=40)
    assert sheet.shape == (88, 176, 3)
    np.testing.assert_array_equal(sheet[50, 90], [255, 0, 0])
    np.testing.assert_array_equal(sheet[50, 140], [0, 0, 255])
    assert (sheet[:40, :80] < 128).any()
    assert (sheet[:40, 88:] == 255).all()


def test_contact_sheet_of_nothing():
    assert (contact_sheet([]) == 255).all()
