"""One clip through faces and features: what a shard job does to each of its clips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from avemo.base.contracts import TRACK_COLUMNS, Clip, ClipFailure, FeatureSequence, Status, TrackStatus
from avemo.faces.crop import CropPolicy, crops, whole
from avemo.faces.jpeg import JpegCrops, decoded
from avemo.media.decoding import Tally
from avemo.media.pictures import iter_frames
from avemo.media.sound import read_sound

STATUS_COLUMN = TRACK_COLUMNS.index("status")


def has_face(track: FeatureSequence) -> np.ndarray:
    """``(frames,)`` booleans: where a track has a box."""
    return track.x[:, STATUS_COLUMN] != TrackStatus.missing


def track_clip(tracker: Any, clip: Clip) -> FeatureSequence:
    """The clip's face track; raises `ClipFailure` (no_face, or what the media room finds)."""
    tally = Tally()
    track = tracker.track(iter_frames(clip, tally))
    if not has_face(track).any():
        raise ClipFailure(Status.no_face, clip.clip_id, f"no face in any of {len(track.x)} frames")
    return replace(track, notes=(str(tally),)) if tally.share else track


def extract_audio(extractor: Any, clip: Clip) -> FeatureSequence:
    """The clip's acoustic features."""
    sound = read_sound(clip, extractor.rate_hz)
    return replace(extractor.extract(sound.samples), notes=sound.notes)


def extract_visual(extractor: Any, clip: Clip, track: FeatureSequence) -> FeatureSequence:
    """The clip's visual features: one row a frame that has a face."""
    return extractor.extract(crops(iter_frames(clip), track, extractor.crop))


def extract_frames(extractor: Any, clip: Clip) -> FeatureSequence:
    """The features of a clip's whole pictures, one row each."""
    tally = Tally()
    found = extractor.extract(whole(iter_frames(clip, tally), extractor.crop))
    return replace(found, notes=(str(tally),)) if tally.share else found


def keep_crops(keeper: JpegCrops, clip: Clip, track: FeatureSequence) -> FeatureSequence:
    """The clip's face crops, as `extract_kept` reads them."""
    return keeper.encode(crops(iter_frames(clip), track, keeper.config))


def extract_kept(extractor: Any, clip_id: str, kept: FeatureSequence) -> FeatureSequence:
    """As `extract_visual`, from crops that were kept: no media are read."""
    return extractor.extract(decoded(clip_id, kept, extractor.crop.size_px))


def sample_crops(clip: Clip, track: FeatureSequence, count: int, policy: CropPolicy) -> list[np.ndarray]:
    """``count`` face crops, evenly spaced over the frames that have a face; fewer if there are fewer."""
    faces = int(has_face(track).sum())
    chosen = set(np.linspace(0, faces - 1, min(count, faces)).round().astype(int).tolist())
    frames = crops(iter_frames(clip), track, policy)
    return [crop for number, (_, crop) in enumerate(frames) if number in chosen]
