"""CMU-MOSEI: segments as intervals, bits, and label files that are something else."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.cmu_mosei import DIMENSIONS, EMOTIONS, CmuMosei, read_segments
from avemo.dataset.partitions import published_splits
from avemo.dataset.splits import SplitConfig
from avemo.index.clip_table import index_clips
from avemo.index.media_hashes import HashCache
from media_clips import noise
from media_factory import write_wav

CSV = "video,end_s,start_s,sad,happy,anger,surprise,disgust,fear\nabc,4,2.5,0,0.33,0,0,3,0\nabc,2.5,0,1,0,0,0,0,0\n"


def corpus(root: Path, labels: str = "CMU_MOSEI_Labels.csd", **rule) -> CmuMosei:
    return CmuMosei(CmuMosei.Config(root=root, labels=labels), CmuMosei.Labels(**rule))


def write_sequence(path, dimensions=DIMENSIONS, intervals=((0.0, 2.0),), value=1.0):
    with h5py.File(path, "w") as file:
        file["All Labels/data/abc/features"] = np.full((len(intervals), 7), value, np.float32)
        file["All Labels/data/abc/intervals"] = np.array(intervals, np.float32)
        file["All Labels/metadata/dimension names"] = [json.dumps(dimensions)]
    return path


def test_segments_are_intervals_of_whole_videos_numbered_by_time(tmp_path):
    (tmp_path / "l.csv").write_text(CSV)
    found = corpus(tmp_path, "l.csv")
    first, second = found.clips()
    assert (first.clip_id, first.start_s, first.end_s) == ("abc_0", 0.0, 2.5)
    assert (second.clip_id, second.start_s, second.end_s) == ("abc_1", 2.5, 4.0)
    assert second.video_path == tmp_path / "Raw" / "Videos" / "Full" / "Combined" / "abc.mp4"
    assert second.audio_path == tmp_path / "Raw" / "Audio" / "Full" / "WAV_16000" / "abc.wav"
    assert first.group == second.group == "abc"
    assert [label.intensity for label in found.labels([first, second])] == ["weak", "strong"]


def test_a_bit_is_an_intensity_above_0_by_name(tmp_path):
    (tmp_path / "l.csv").write_text(CSV)
    found = corpus(tmp_path, "l.csv")
    first, second = found.labels(found.clips())
    assert (found.task, found.classes) == ("bits", EMOTIONS)
    assert {name for name, bit in first.label.items() if bit} == {"sad"}
    assert {name for name, bit in second.label.items() if bit} == {"happy", "disgust"}


def test_the_sequence_s_columns_are_checked_by_name(tmp_path):
    (row,) = read_segments(write_sequence(tmp_path / "a.csd"))
    assert row == ("abc", 0.0, 2.0, (1.0,) * 6)
    swapped = ["happy", "sentiment", *DIMENSIONS[2:]]
    with pytest.raises(AvemoError, match=r"expected the columns \['sentiment', 'happy'"):
        read_segments(write_sequence(tmp_path / "b.csd", dimensions=swapped))


INTERVALS = ((-0.4776, 2.0), (2.0, 2.0), (2.5, 2.4), (np.nan, 2.6), (2.0, 2.7), (2.0, 9.0))


def test_segments_that_cannot_be_cost_themselves_alone(tmp_path):
    """The sequence as published has a start below 0; others are empty, turned round, no number or outside the film."""
    sound = tmp_path / "Raw" / "Audio" / "Full" / "WAV_16000" / "abc.wav"
    sound.parent.mkdir(parents=True)
    write_wav(sound, noise(3))
    write_sequence(tmp_path / "CMU_MOSEI_Labels.csd", intervals=INTERVALS)
    found = CmuMosei(CmuMosei.Config(root=tmp_path, media="audio"), CmuMosei.Labels())
    rows = index_clips(found.clips(), HashCache(tmp_path / "hashes.json"))
    said = {row.clip_id: (row.status, row.start_s) for row in rows}
    good = {"abc_0": ("ok", 0.0), "abc_2": ("ok", 2.0)}
    assert said == good | dict.fromkeys(("abc_1", "abc_4", "abc_5"), ("outside", 0.0)) | {
        "abc_3": ("outside", 2.0)
    }
    assert rows[0].detail == "start -0.478 s taken as 0"
    assert len(found.labels([row.clip for row in rows])) == 6


def test_intensities_that_are_no_numbers_are_no_label(tmp_path):
    write_sequence(tmp_path / "CMU_MOSEI_Labels.csd", value=np.nan)
    found = corpus(tmp_path)
    (label,) = found.labels(found.clips())
    assert label.label is None
    assert label.reason.startswith("expected finite intensities")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.csd").write_text("not HDF5")
    (tmp_path / "a.csv").write_text("video,start,end\n")
    with pytest.raises(AvemoError, match="expected the sequence 'All Labels'"):
        read_segments(tmp_path / "a.csd")
    with pytest.raises(AvemoError, match="a label table with columns"):
        read_segments(tmp_path / "a.csv")
    with pytest.raises(AvemoError, match=r"set corpus\.config\.root"):
        read_segments(tmp_path / "none.csd")


def test_the_miniature_s_folds_keep_videos_whole(miniatures):
    found = corpus(miniatures["cmu_mosei"])
    clips = found.clips()
    folds = miniatures["cmu_mosei"] / "cmu_mosei_std_folds.py"
    (split,) = published_splits(
        [clip.clip_id for clip in clips],
        [clip.group for clip in clips],
        SplitConfig(protocol="published", files=(folds,)),
    )
    assert [len(side) for side in split.sides().values()] == [6, 6, 6]
    assert any(label.label["surprise"] for label in found.labels(clips))


def test_a_video_that_is_not_there_is_reported_for_each_segment(miniatures, tmp_path):
    (tmp_path / "CMU_MOSEI_Labels.csd").symlink_to(miniatures["cmu_mosei"] / "CMU_MOSEI_Labels.csd")
    (tmp_path / "Raw/Videos/Full/Combined").mkdir(parents=True)
    (tmp_path / "Raw/Videos/Full/Combined/unknown.mp4").write_bytes(b"x")
    found = corpus(tmp_path)
    assert len(found.clips()) == 18
    assert found.notes() == ["1 videos have no labelled segment: unknown"]
