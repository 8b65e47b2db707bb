"""From a trained system to predictions, scores, and the scores that need no system at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.contracts import AvemoError
from pipeline.dataset.loading import ClipData
from pipeline.dataset.normalise import Normaliser
from pipeline.metrics import classification_scores, per_class
from pipeline.models import build_model
from pipeline.models.base import System
from pipeline.training.checkpoint import load_model, model_meta
from pipeline.training.inference import Data, infer

ABSENT: dict[str, str | None] = {"av": None, "audio": "visual", "visual": "audio"}
"""Modalities an evaluation may use, and the one each zeroes."""

CHANCE_DRAWS = 1000


def load_system(path: Path, data: ClipData) -> tuple[System, dict[str, Any]]:
    """A trained system and its ``meta``; ``data`` takes over its train statistics.

    ``meta`` holds ``model, config, dims, normalisers`` (by modality), as the
    train command writes them. Raises `AvemoError` for features of other widths.
    """
    meta = model_meta(path)
    found = {"audio_dim": data.audio_dim, "visual_dim": data.visual_dim}
    expected = {name: meta["dims"][name] for name in found}
    if found != expected:
        raise AvemoError(
            f"{path}: expected features of {expected}, found {found}; use the run's own features"
        )
    model = build_model(meta["model"], **meta["dims"], **meta["config"])
    load_model(path, model)
    data.use({name: Normaliser.from_dict(values) for name, values in meta["normalisers"].items()})
    return model, meta


def predict(
    model: System,
    data: Data,
    clip_ids: Sequence[str],
    *,
    modality: str = "av",
    batch_size: int = 32,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """``clip_id, target, prediction, p_0 … p_{C-1}``: a row a clip, probabilities in float64.

    ``modality`` is what the system may see: ``av``, ``audio`` or ``visual``;
    the other's input is zero. Raises `AvemoError` for another name, for no
    clips, and for probabilities that are not finite.
    """
    if modality not in ABSENT:
        raise AvemoError(
            f"modality: expected one of {', '.join(ABSENT)}, found {modality!r}; choose one of them"
        )
    model.to(device)
    frames = [
        _table(batch.clip_ids, batch.targets.cpu().numpy(), outputs.prediction)
        for batch, outputs in infer(
            model, data, clip_ids, batch_size=batch_size, device=device, without=ABSENT[modality]
        )
    ]
    if not frames:
        raise AvemoError("prediction: expected clips, found none; check the split and the features")
    return pd.concat(frames, ignore_index=True)


def _table(clip_ids: list[str], targets_B: np.ndarray, logits_BC: torch.Tensor) -> pd.DataFrame:
    p_BC = logits_BC.double().softmax(-1).cpu().numpy()
    bad = [clip for clip, fine in zip(clip_ids, np.isfinite(p_BC).all(1), strict=True) if not fine]
    if bad:
        raise AvemoError(
            f"clips {', '.join(bad)}: expected finite logits, found others; "
            "check their features for extreme values"
        )
    columns = {"clip_id": clip_ids, "target": targets_B, "prediction": p_BC.argmax(1)}
    return pd.DataFrame(columns | {f"p_{c}": p_BC[:, c] for c in range(p_BC.shape[1])})


def score(predictions: pd.DataFrame, n_classes: int) -> dict[str, float]:
    """Macro and micro precision, recall and F1 of a table made by `predict`."""
    return classification_scores(
        predictions["target"].to_numpy(), predictions["prediction"].to_numpy(), n_classes
    )


def baselines(
    train_targets: Sequence[int], test_targets: Sequence[int], n_classes: int, seed: int
) -> dict[str, dict[str, float]]:
    """Scores on the test clips of two predictors that look at nothing; also each class' F1, as ``f1_<class>``.

    ``majority`` always says the class most frequent in train (the first of
    equals). ``chance`` says any class with equal probability; its scores are
    means over 1000 seeded draws.
    """
    targets = np.asarray(test_targets)
    most_frequent = np.bincount(train_targets, minlength=n_classes).argmax()
    rng = np.random.default_rng(seed)
    draws = [
        _all_scores(targets, rng.integers(n_classes, size=len(targets)), n_classes)
        for _ in range(CHANCE_DRAWS)
    ]
    return {
        "majority": _all_scores(targets, np.full(len(targets), most_frequent), n_classes),
        "chance": {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]},
    }


def _all_scores(targets: np.ndarray, predictions: np.ndarray, n_classes: int) -> dict[str, float]:
    by_class = per_class(targets, predictions, n_classes).f1
    scores = classification_scores(targets, predictions, n_classes)
    return scores | {f"f1_{number}": float(f1) for number, f1 in enumerate(by_class)}
