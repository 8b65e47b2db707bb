"""A trained system of a run, or of a bundle, as it answers for clips: its models' answers, calibrated, and their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import avemo
from avemo.base.arithmetic import arithmetic
from avemo.base.contracts import AvemoError, Clip, ClipFailure, MachineError, Status, digest
from avemo.base.file_hashes import sha256_of
from avemo.base.registry import nearest
from avemo.base.result_tables import read_results
from avemo.dataset import TASKS
from avemo.dataset.loading import ClipData
from avemo.dataset.normalise import read_normaliser
from avemo.dataset.tasks import Task
from avemo.evaluation.calibration import PREFIX, has_probabilities, scaled
from avemo.evaluation.prediction import Extractors, OneClip, Seen
from avemo.evaluation.scoring import load_system
from avemo.faces.jpeg import JpegCrops
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.models.base import System
from avemo.study.layout import MODEL, scores_file, training_folder
from avemo.study.run import Component, Feature, Run
from avemo.training.checkpoint import model_meta
from avemo.weights.find import random_seed

ALIKE = ("model", "task", "outputs", "dims", "weights")
"""What the saved models of a system's splits have in common."""


@dataclass(frozen=True)
class Prediction:
    """``values`` by output, ``kind`` (``probabilities``, or ``values`` of attributes), the ``modalities`` that were used,
    and what a reader must know: missing modalities, odd media, random weights."""

    values: dict[str, float]
    kind: str
    notes: list[str]
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A model with the ``meta`` that it was saved with."""

    model: System
    meta: dict[str, Any]

    def readout(self, seen: Seen, task: Task) -> np.ndarray:
        """What the model says of a clip, ``(1, C)`` float64."""
        data = ClipData(seen.sources.get("audio"), seen.sources.get("visual"), {seen.clip_id: 0})
        data.use({name: read_normaliser(values) for name, values in self.meta["normalisers"].items()})
        with torch.no_grad(), arithmetic("float32"):
            (batch,) = data.batches([seen.clip_id], 1)
            return task.readout(self.model(batch).prediction)


class Predictor:
    """The models of a system, by split; networks are loaded at the first clip and kept.

    ``temperatures`` by split, where there are any. Raises `AvemoError` where models were trained for other answers, on
    other features or with other weights than the first: their mean would say nothing.
    """

    def __init__(self, run: Run, models: Mapping[str, Path], temperatures: Mapping[str, float] | None = None):
        self.run, self.models = run, dict(models)
        self.temperatures = dict(temperatures or {})
        first = next(iter(self.models.values()))
        meta = model_meta(first)
        for path in self.models.values():
            _require_alike(first, meta, path, model_meta(path))
        self.task: Task = TASKS.load(meta["task"])(meta["outputs"])
        self.extractors = Extractors(run, first)

    @cached_property
    def loaded(self) -> dict[str, Loaded]:
        """The models by split."""
        return {split: _load(path) for split, path in self.models.items()}

    def predict(self, clip: Clip) -> Prediction:
        """Faces and features once, a pass of each model, and the mean of what they say. Raises `NothingSeen` where no modality
        can be used, and `ClipFailure` for an answer that is not finite, or that a model refuses."""
        seen, models = self.extractors.see(clip), self.loaded
        try:
            (values,) = np.mean([self._answer(split, one, seen) for split, one in models.items()], axis=0)
        except MachineError:
            raise
        except AvemoError as error:
            raise ClipFailure(Status.invalid_features, clip.clip_id, str(error)) from error
        if not np.isfinite(values).all():
            detail = f"expected finite {self.task.readout_name}, found {values.tolist()}"
            raise ClipFailure(Status.invalid_features, clip.clip_id, detail)
        named = dict(zip(self.task.names, values.tolist(), strict=True))
        notes = [*seen.notes, *map(str, seen.failures)]
        return Prediction(named, self.task.readout_name, notes, tuple(seen.modalities))

    def _answer(self, split: str, one: Loaded, seen: Seen) -> np.ndarray:
        found = one.readout(seen, self.task)
        return scaled(self.task, found, self.temperatures[split]) if split in self.temperatures else found

    @cached_property
    def identity(self) -> str:
        """A digest of all that decides an answer beside the clip: the same for a run and for its bundle."""
        stages = {
            stage: [one.model_dump(mode="json", exclude={"speed", "places"}), _here(stage, one)]
            for stage, one in self.run.components.items()
        }
        models = {split: sha256_of(path) for split, path in self.models.items()}
        return digest([avemo.__version__, stages, models, self.temperatures])

    @cached_property
    def cautions(self) -> list[str]:
        """What makes every answer less than real, and what is otherwise here than where the system was trained."""
        found = [
            f"{feature.extractor}: random weights"
            for feature in self.run.features.values()
            if _is_random(feature.places)
        ]
        if self.run.corpus.synthetic:
            found.append(f"trained on a synthetic corpus ({self.run.corpus.title})")
        for stage, one in self.run.components.items():
            trained, here = {_maker(stage, one): str(one.version)} | one.libraries, _here(stage, one)
            found += [
                f"{stage}: trained with {what} {version}, here {here.get(what, 'none')}"
                for what, version in trained.items()
                if here.get(what) != version
            ]
        return list(dict.fromkeys(found))


def open_predictor(
    folder: Path, run: Run, system: str = "", split: str = "", temperature: bool = True
) -> Predictor:
    """A system of a run's folder, by default the first, with the model of one split or of all that are trained.

    With ``temperature`` answers are calibrated where dev clips gave one (`avemo.evaluation.calibration`). Raises
    `AvemoError` for a name that is none, and where no model is trained.
    """
    systems = list(run.systems)
    name = system or systems[0]
    if name not in systems:
        raise AvemoError(
            f"{folder}: no system {name!r}{nearest(name, systems)}; trained: {', '.join(systems)}"
        )
    if split and split not in run.split_names:
        raise AvemoError(
            f"{folder}: no split {split!r}{nearest(split, run.split_names)}; there are {', '.join(run.split_names)}"
        )
    places = {
        one: training_folder(folder, name, one) / MODEL for one in ([split] if split else run.split_names)
    }
    models = {one: path for one, path in places.items() if path.is_file()}
    if not models:
        raise AvemoError(
            f"{next(iter(places.values()))}: expected a saved model, found no file; train the system first"
        )
    found = Predictor(run, models)
    if temperature and has_probabilities(found.task):
        known = read_temperatures(scores_file(folder, name))
        found.temperatures = {one: known[one] for one in models if one in known}
    return found


def read_temperatures(scores: Path) -> dict[str, float]:
    """By split, of a system's scores; none where it was not scored, or before temperatures were counted."""
    if not scores.is_file():
        return {}
    table = read_results(scores)
    rows = table[(table["metric"] == f"{PREFIX}temperature") & (table["modality"] == "av")]
    return dict(zip(rows["split"], rows["value"].astype(float), strict=True))


def predict_clip(clip: Clip, run: Run, model_path: Path) -> Prediction:
    """What one model says of a clip: faces, features and one forward pass; a modality that fails is left out and noted.

    Raises `AvemoError` when both fail.
    """
    return Predictor(run, {model_path.parent.name: model_path}).predict(clip)


def _require_alike(first: Path, expected: dict[str, Any], path: Path, found: dict[str, Any]) -> None:
    for key in ALIKE:
        if expected.get(key) != found.get(key):
            raise AvemoError(
                f"{path}: expected {key} as in {first}, {str(expected.get(key))[:200]}, found "
                f"{str(found.get(key))[:200]}; run the workflow again, or choose one model with --split"
            )


def _load(path: Path) -> Loaded:
    meta = model_meta(path)
    widths = {name: meta["dims"][f"{name}_dim"] for name in meta["normalisers"]}
    sources = {name: OneClip("", None, width) for name, width in widths.items()}
    model, meta = load_system(path, ClipData(sources.get("audio"), sources.get("visual"), {}))
    return Loaded(model.eval(), meta)


def _maker(stage: str, component: Component | Feature) -> str:
    return component.extractor if isinstance(component, Feature) else stage


def _here(stage: str, component: Component | Feature) -> dict[str, str]:
    """What makes a stage's numbers on this machine, by name, as the run's config says it of another."""
    if isinstance(component, Feature):
        if component.imported:
            return {component.extractor: str(component.version)} | component.libraries
        kind = EXTRACTORS.load(component.extractor)
    else:
        kind = {"faces": FaceTracker, "crops": JpegCrops}[stage]
    return {_maker(stage, component): str(kind.release()), **kind.versions()}


def _is_random(places: Mapping[str, Any]) -> bool:
    return any(
        _is_random(place) if isinstance(place, dict) else random_seed(str(place)) is not None
        for place in places.values()
    )
