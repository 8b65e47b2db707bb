"""From a trained system to its predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from avemo.base.contracts import AvemoError
from avemo.base.metrics import cosine_distance
from avemo.dataset.batch import Batch
from avemo.dataset.labels import Labels
from avemo.dataset.loading import ClipData
from avemo.dataset.normalise import read_normaliser
from avemo.dataset.splits import load_split
from avemo.dataset.tasks import Task
from avemo.evaluation.calibration import calibration_scores, has_probabilities
from avemo.models import build_model
from avemo.models.base import Outputs, System
from avemo.training.checkpoint import load_model, model_meta
from avemo.training.inference import Data, infer

ABSENT: dict[str, str | None] = {"av": None, "audio": "visual", "visual": "audio"}
"""Modalities an evaluation may use, and the one each zeroes."""


def load_system(path: Path, data: ClipData, task: Task | None = None) -> tuple[System, dict[str, Any]]:
    """A trained system and its ``meta``; ``data`` takes over its train statistics.

    ``meta`` holds ``model, config, dims, normalisers`` (by modality), ``task`` and ``outputs``, as the
    train command writes them. Raises `AvemoError` for features of other widths, and where a
    ``task`` is given for a system trained on another one.
    """
    meta = model_meta(path)
    if task is not None and [task.kind, *task.names] != [meta["task"], *meta["outputs"]]:
        raise AvemoError(
            f"{path}: expected a system for {task.kind} {', '.join(task.names)}, "
            f"found one for {meta['task']} {', '.join(meta['outputs'])}; train it again"
        )
    found = {"audio_dim": data.audio_dim, "visual_dim": data.visual_dim}
    expected = {name: meta["dims"][name] for name in found}
    if found != expected:
        raise AvemoError(
            f"{path}: expected features of {expected}, found {found}; use the run's own features"
        )
    model = build_model(meta["model"], **meta["dims"], **meta["config"])
    load_model(path, model)
    data.use({name: read_normaliser(values) for name, values in meta["normalisers"].items()})
    return model, meta


@dataclass(frozen=True)
class Scored:
    """A system's test ``predictions``, a row a clip, split and modality, and ``scores``, a row a metric."""

    predictions: pd.DataFrame
    scores: pd.DataFrame


def score_models(
    system: str,
    models: Sequence[Path],
    data: ClipData,
    known: Labels,
    splits: Path,
    before: Callable[[Path, str, dict[str, str]], None],
    device: torch.device | str = "cpu",
) -> Scored:
    """What a system's models, one a split, say of their test clips, with both modalities and with each alone.

    Of both modalities there is calibration too, its temperature fitted on dev clips. ``before`` is told the model, its
    split and why clips are left out, before any test clip is read.
    """
    speakers = dict(zip(known.table.clip_id, known.table.speaker, strict=True))
    frames, rows = [], []
    for path in models:
        model, meta = load_system(path, data, known.task)
        split = load_split(splits, meta["split"])
        test_ids, left_out = data.usable(split.test)
        before(path, meta["split"], left_out)
        dev_ids, _ = data.usable(split.dev)
        predict_dev = partial(
            predict, model, data, dev_ids, known.task, batch_size=meta["batch_size"], device=device
        )
        alone = [name for name in data.sources if name in model.modalities]
        for modality in ("av", *alone) if len(data.sources) > 1 else ("av",):
            how = {"modality": modality, "batch_size": meta["batch_size"], "device": device}
            frame = predict(model, data, test_ids, known.task, **how)
            place = {"system": system, "split": meta["split"], "modality": modality}
            values = known.task.score(frame)
            if modality == "av" and has_probabilities(known.task):
                values |= calibration_scores(known.task, frame, predict_dev())
            if frame.get("cosine_distance", pd.Series(dtype=float)).notna().any():
                values["cosine_distance"] = float(frame.cosine_distance.mean())
            rows += [place | {"metric": metric, "value": value} for metric, value in values.items()]
            frames.append(frame.assign(**place, speaker=frame.clip_id.map(speakers)))
    return Scored(pd.concat(frames, ignore_index=True), pd.DataFrame(rows))


def predict(
    model: System,
    data: Data,
    clip_ids: Sequence[str],
    task: Task,
    *,
    modality: str = "av",
    batch_size: int = 32,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """``clip_id`` and the columns of the task's table, a row a clip, in float64.

    For classes: ``target, prediction, p_0 … p_{C-1}``. Systems that represent both modalities alike
    add ``cosine_distance`` between them, NaN for clips that lack one. ``modality`` is what the system may
    see: ``av``, ``audio`` or ``visual``; the other's input is zero. Raises `AvemoError` for
    another name, for no clips, and for logits that are not finite.
    """
    if modality not in ABSENT:
        raise AvemoError(
            f"modality: expected one of {', '.join(ABSENT)}, found {modality!r}; choose one of them"
        )
    model.to(device)
    frames = [
        _table(task, batch, task.readout(outputs.prediction)).assign(**_distance(batch, outputs))
        for batch, outputs in infer(
            model, data, clip_ids, batch_size=batch_size, device=device, without=ABSENT[modality]
        )
    ]
    if not frames:
        raise AvemoError("prediction: expected clips, found none; check the split and the features")
    return pd.concat(frames, ignore_index=True)


def _distance(batch: Batch, outputs: Outputs) -> dict[str, np.ndarray]:
    if outputs.representations.keys() != {"audio", "visual"}:
        return {}
    audio_BD, visual_BD = (
        outputs.representations[name].double().cpu().numpy() for name in ("audio", "visual")
    )
    paired_B = (batch.has_audio_B & batch.has_visual_B).cpu().numpy()
    return {"cosine_distance": np.where(paired_B, cosine_distance(audio_BD, visual_BD), np.nan)}


def _table(task: Task, batch: Batch, readout_BC: np.ndarray) -> pd.DataFrame:
    fine_B = np.isfinite(readout_BC).all(1)
    bad = [clip for clip, fine in zip(batch.clip_ids, fine_B, strict=True) if not fine]
    if bad:
        raise AvemoError(
            f"clips {', '.join(bad)}: expected finite logits, found others; "
            "check their features for extreme values"
        )
    return pd.DataFrame({"clip_id": batch.clip_ids} | task.table(batch.targets.cpu().numpy(), readout_BC))
