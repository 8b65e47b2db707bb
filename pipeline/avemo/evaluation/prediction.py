"""What the systems of a finished run see of one clip that no table lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import AvemoError, Clip, ClipFailure, FeatureSequence, Status
from avemo.cache.fill import is_the_machines
from avemo.cache.manifest import columns_of
from avemo.dataset.source import TimedSource
from avemo.evaluation.clip_quality import concerns, face_quality, sound_quality
from avemo.faces.jpeg import JpegCrops
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.features.extraction import (
    extract_audio,
    extract_frames,
    extract_kept,
    extract_visual,
    keep_crops,
    track_clip,
)
from avemo.media.probe import probe
from avemo.media.sound import read_sound
from avemo.study.inputs import by_modality
from avemo.study.run import Run, modality_of
from avemo.training.checkpoint import model_meta


class NothingSeen(AvemoError):
    """No modality of a clip could be used; ``failures`` say why, one for each."""

    def __init__(self, failures: Sequence[ClipFailure]):
        self.failures = list(failures)
        super().__init__("\n".join(dict.fromkeys(map(str, failures))))


@dataclass(frozen=True)
class Seen:
    """What systems see of one clip: ``sources`` by modality, each there or not, and what a reader must know:
    ``failures`` of a modality that is left out, odd media, random weights."""

    clip_id: str
    sources: dict[str, TimedSource]
    notes: list[str]
    failures: list[ClipFailure]

    @property
    def modalities(self) -> list[str]:
        """Those that the clip has."""
        return [name for name, source in self.sources.items() if source.has(self.clip_id)]


class OneClip:
    """A `FeatureSource` that holds one clip, or none if the clip lacks the modality."""

    dtype = "float32"

    def __init__(self, clip_id: str, features: FeatureSequence | None, dim: int):
        self.clip_id, self.features, self.dim = clip_id, features, dim

    def has(self, clip_id: str) -> bool:
        return self.features is not None and clip_id == self.clip_id

    def length(self, clip_id: str) -> int:
        return len(self.read(clip_id).x)

    def read(self, clip_id: str) -> FeatureSequence:
        if self.features is None:
            raise AvemoError(f"{clip_id}: expected features, found none")
        return self.features

    def read_into(self, clip_id: str, out: np.ndarray) -> None:
        out[...] = self.read(clip_id).x[: len(out)]

    def moments(self, clip_ids: Any) -> Any:
        raise AvemoError("one clip has no train statistics; use the trained system's own")


class Extractors:
    """Those of a run, each loaded once, with the weights that the model at ``model_path`` was trained with."""

    def __init__(self, run: Run, model_path: Path):
        self.run, self.model_path = run, model_path
        self._loaded: dict[str, tuple[Any, list[str]]] = {}

    def of(self, name: str, notes: list[str]) -> Any:
        """That of the feature of this name; ``notes`` are told what there is to say of it."""
        if name not in self._loaded:
            own: list[str] = []
            self._loaded[name] = trained_with(self.model_path, self.run, name, own), own
        found, own = self._loaded[name]
        notes += [note for note in own if note not in notes]
        return found

    def see(self, clip: Clip) -> Seen:
        """Faces and features of a clip; a modality that fails is left out. Raises `NothingSeen` when all do."""
        run, notes = self.run, _odd(clip)
        failures: list[ClipFailure] = []
        track, found = None, {}
        for name in run.features:
            if name == "visual" and "faces" in run.components:
                track = _attempt(_track, clip, run, notes, failures)
            found[name] = _attempt(partial(_features, name, track, self), clip, run, notes, failures)
        sources = _sources(clip.clip_id, run, found, model_meta(self.model_path)["dims"])
        seen = Seen(clip.clip_id, sources, notes, failures)
        if not seen.modalities:
            raise NothingSeen(failures)
        notes += _concerns(clip, "audio" in seen.modalities, track)
        return seen


def _sources(
    clip_id: str, run: Run, found: Mapping[str, FeatureSequence | None], dims: Mapping[str, int]
) -> dict[str, TimedSource]:
    """The modalities of one clip, as wide as a model wants them; a modality is there where all its features are."""
    lost = {modality_of(name) for name, one in found.items() if one is None}
    there = {
        name: (run.features[name].reading, OneClip(clip_id, one, one.x.shape[1]))
        for name, one in found.items()
        if one is not None and modality_of(name) not in lost
    }
    return by_modality(there) | {m: OneClip(clip_id, None, dims[f"{m}_dim"]) for m in lost}


def _odd(clip: Clip) -> list[str]:
    """What is odd about the clip's files; nothing where they cannot be read, which each modality says for itself."""
    try:
        return list(filter(None, [probe(clip).notes]))
    except ClipFailure:
        return []


def _concerns(clip: Clip, heard: bool, track: FeatureSequence | None) -> list[str]:
    """What the quality table of a run would say of what was extracted."""
    try:
        info = probe(clip)
    except ClipFailure:
        return []
    found: dict[str, Any] = {"failed": "", "audio_rate_hz": info.audio_rate_hz, "fps": info.fps}
    if heard and info.audio_rate_hz:
        found |= sound_quality(read_sound(clip, info.audio_rate_hz).samples, info.audio_rate_hz)
    if track is not None:
        found |= face_quality(track)
    if heard and track is not None:
        found["mismatch_s"] = found["audio_s"] - found["video_s"]
    return concerns(found)


def _attempt(
    extract: Any, clip: Clip, run: Run, notes: list[str], failures: list[ClipFailure]
) -> FeatureSequence | None:
    try:
        return extract(clip, run, notes)
    except ClipFailure as failure:
        failures.append(failure)
        return None


def _require_ours(run: Run, name: str, clip: Clip) -> None:
    """Raise `ClipFailure` where another program made the run's features: a new clip has none."""
    if run.features[name].imported:
        text = f"the run's {name} features were made by another program"
        raise ClipFailure(Status.not_imported, clip.clip_id, text)


def trained_with(model_path: Path, run: Run, name: str, notes: list[str]) -> Any:
    """The extractor of a run's feature; raises `AvemoError` for weights that the model has not been trained with."""
    feature = run.features[name]
    found = EXTRACTORS.load(feature.extractor)
    extractor = found(found.Config(**feature.config, **feature.places))
    weights = extractor.provenance().get("weights")
    expected = model_meta(model_path).get("weights", {}).get(name, weights)
    if expected != weights:
        raise AvemoError(
            f"{', '.join(map(str, feature.places.values()))}: expected the weights that {model_path} was trained with "
            f"({expected[:12]}), found {str(weights)[:12]}; put them back, or run the workflow again"
        )
    if extractor.provenance().get("random_weights"):
        notes.append(f"{feature.extractor}: random weights")
    return extractor


def _features(
    name: str, track: FeatureSequence | None, extractors: Extractors, clip: Clip, run: Run, notes: list[str]
) -> FeatureSequence | None:
    """What systems see of the feature of this name; None where it needs a face track and there is none."""
    _require_ours(run, name, clip)
    feature, of_faces = run.features[name], modality_of(name) == "visual" and not run.features[name].faceless
    if of_faces and track is None:
        return None
    extractor, reading = extractors.of(name, notes), feature.reading
    try:
        if of_faces and track is not None:
            features = visual_features(extractor, track, clip, run)
        else:
            features = (extract_frames if feature.whole_frames else extract_audio)(extractor, clip)
            notes += [note for note in features.notes if note not in notes]
    except AvemoError as error:
        # As in a run's cache: what an extractor refuses is the clip's failure.
        if isinstance(error, ClipFailure) or is_the_machines(error):
            raise
        raise ClipFailure(Status.unreadable, clip.clip_id, str(error)) from error
    if not np.isfinite(features.x).all():
        detail = f"expected finite {name} features, found others"
        raise ClipFailure(Status.invalid_features, clip.clip_id, detail)
    columns = [columns_of(name, extractor.parts, features.x.shape[1], part) for part in reading.parts]
    return replace(features, x=np.hstack([features.x[:, one] for one in columns])) if columns else features


def _track(clip: Clip, run: Run, notes: list[str]) -> FeatureSequence:
    track = track_clip(FaceTracker(FaceTracker.Config(**run.faces.config)), clip)
    notes += track.notes
    return track


def visual_features(extractor: Any, track: FeatureSequence, clip: Clip, run: Run) -> FeatureSequence:
    """A clip's features as the run's systems were trained on: by way of kept crops where it keeps them."""
    if run.crops is None:
        return extract_visual(extractor, clip, track)
    keeper = JpegCrops(JpegCrops.Config(**run.crops.config))
    return extract_kept(extractor, clip.clip_id, keep_crops(keeper, clip, track))
