"""Quality of clips: measures by hand, concerns in words, the worst first."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from avemo.base.contracts import TRACK_COLUMNS, Clip, FeatureSequence, Status, TrackStatus
from avemo.cache.items import Item
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.shard_writer import write_shard
from avemo.evaluation.clip_quality import face_quality, quality_table, sound_quality
from avemo.index.clip_table import index_clips
from avemo.index.media_hashes import HashCache
from media_factory import write_video, write_wav

RATE_HZ = 16_000


def tone(seconds: float, amplitude: float = 0.3) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def track(statuses: list[float], fps: float = 25, faces: int = 1, margin: float = 1.0) -> FeatureSequence:
    x = np.zeros((len(statuses), len(TRACK_COLUMNS)), np.float32)
    for name, value in (("status", statuses), ("n_faces", faces), ("margin", margin)):
        x[:, TRACK_COLUMNS.index(name)] = value
    return FeatureSequence(x, np.arange(len(statuses)) / fps)


def test_sound_by_hand():
    signal = np.concatenate([tone(0.75), np.zeros(RATE_HZ // 4)]).astype(np.float32)
    signal[:160] = 1.0
    found = sound_quality(signal, RATE_HZ)
    assert found == {
        "audio_s": 1.0,
        "peak": 1.0,
        "clipped": 160 / 16_000,
        "silent": 12 / 50,
    }


def test_just_above_sixty_decibels_below_full_scale_is_not_silent():
    for level_db, silent in ((-59.0, 0.0), (-61.0, 1.0)):
        amplitude = np.sqrt(2) * 10 ** (level_db / 20)
        assert sound_quality(tone(1, amplitude).astype(np.float32), RATE_HZ)["silent"] == silent


def test_faces_by_hand():
    kinds = (
        [TrackStatus.detected] * 5
        + [TrackStatus.tracked] * 2
        + [TrackStatus.interpolated]
        + [TrackStatus.missing] * 2
    )
    found = face_quality(track(kinds, faces=2, margin=0.25))
    assert found == pytest.approx(
        {
            **{"video_s": 0.4, "frames": 10, "faces": 2, "margin": 0.25},
            **{"detected": 0.5, "tracked": 0.2, "interpolated": 0.1, "missing": 0.2},
        }
    )


@pytest.fixture(scope="module")
def quality(tmp_path_factory) -> pd.DataFrame:
    """A good clip, one of each concern, and one that failed; media and stores are real."""
    folder = tmp_path_factory.mktemp("quality")
    pictures = np.zeros((25, 64, 64, 3), np.uint8)
    sounds = {
        "good": tone(1),
        "clipped": np.clip(tone(1, 1.5), -1, 1),
        "silent": tone(1, 0.0),
        "short": tone(0.5),
    }
    clips = []
    for name in ("good", "clipped", "silent", "short", "crowd", "lost", "none"):
        video = write_video(folder / f"{name}.mp4", pictures)
        wav = write_wav(folder / f"{name}.wav", sounds.get(name, sounds["good"]), RATE_HZ)
        clips.append(Clip(name, "s", "s", audio_path=wav, video_path=video))
    tracks = {name: track([TrackStatus.detected] * 25) for name in sounds}
    tracks["crowd"] = track([TrackStatus.detected] * 25, faces=3, margin=0.05)
    tracks["lost"] = track([TrackStatus.detected] * 20 + [TrackStatus.missing] * 5)
    items = [Item(name, "k", Status.ok, "", t.x, t.times_s) for name, t in tracks.items()]
    items.append(Item("none", "k", Status.no_face, "no face in any of 25 frames"))
    write_shard(folder / "0.h5", items, {})
    write_manifest(folder / "manifest.json", [folder / "0.h5"], "faces", {})
    rows = index_clips(clips, HashCache(folder / "hashes.json"))
    with FeatureSet(folder / "manifest.json") as faces:
        return quality_table(rows, {"faces": faces})


def test_each_concern_is_named_and_a_good_clip_has_none(quality):
    concern = dict(quality[["clip_id", "concern"]].itertuples(index=False))
    assert concern["good"] == ""
    assert concern["none"] == "faces: no_face"
    assert concern["lost"] == "no face detected in 20% of frames"
    assert concern["crowd"] == "3 faces, margin of choice 0.05"
    assert concern["silent"] == "100% silent"
    assert concern["short"] == "sound 0.50 s shorter than picture"
    # |1.5 sin| is at least 0.999 for 1 - 2 asin(0.666) / pi of the time.
    share, words = concern["clipped"].split("%")
    assert float(share) == pytest.approx(100 * (1 - 2 * np.arcsin(0.999 / 1.5) / np.pi), abs=0.5)
    assert words == " of samples clipped"


def test_what_decoding_and_tracking_noted_is_a_concern(tmp_path):
    pictures, left = np.zeros((25, 64, 64, 3), np.uint8), tone(1)
    wav = write_wav(tmp_path / "a.wav", np.stack([left, -left]), RATE_HZ)
    video = write_video(tmp_path / "a.mp4", pictures, pixels=Fraction(4, 3))
    tracked = track([TrackStatus.detected] * 25)
    write_shard(
        tmp_path / "0.h5",
        [Item("a", "k", Status.ok, "2 of 25 frames damaged", tracked.x, tracked.times_s)],
        {},
    )
    write_manifest(tmp_path / "manifest.json", [tmp_path / "0.h5"], "faces", {})
    clips = [Clip("a", "s", "s", audio_path=wav, video_path=video, start_s=-0.2)]
    with FeatureSet(tmp_path / "manifest.json") as faces:
        (row,) = quality_table(
            index_clips(clips, HashCache(tmp_path / "h.json")), {"faces": faces}
        ).itertuples()
    assert (row.damaged, row.sound_damaged) == (0.08, 0)
    assert "channels in antiphase: their mean keeps 0% of their level" in row.concern
    assert "2 of 25 frames damaged" in row.concern
    assert row.note == "start -0.200 s taken as 0"


def test_the_worst_come_first(quality):
    assert quality.clip_id[0] == "none"
    assert quality.clip_id.iloc[-1] == "good"
    assert quality.severity.is_monotonic_decreasing
