"""A run's folder with models that nobody has trained: what is read, carried and counted does not depend on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from avemo.base.result_tables import to_result_csv
from avemo.models import build_model
from avemo.study.layout import CONFIG, MODEL, RECORD, scores_file, training_folder
from avemo.study.resolve import resolve
from avemo.training.checkpoint import save_model
from avemo.weights.hashes import sha256_path

MODEL_CONFIG = {"model": "auxformer_unimodal", "config": {"width": 8, "heads": 2, "layers": 1}}
DIM = 240
TEMPERATURES = (2.0, 0.5)
NAMES = {"classes": ["calm", "loud"], "bits": ["calm", "loud"], "attributes": ["arousal", "valence"]}


def make_run(
    place: Path, weights: str = "", task: str = "classes", temperatures: tuple[float, ...] = TEMPERATURES
) -> Path:
    """``place/results/r``: the systems ``a`` and ``b`` on log-mel energies and two splits, ``a`` with temperatures.

    With ``weights`` of a name or a path, these make the features; "file" writes some beside the folder.
    """
    if weights == "file":
        path = place / "lab" / "network.safetensors"
        path.parent.mkdir(parents=True)
        save_file({"factor": torch.tensor(0.5)}, path)
        weights = str(path)
    extractor: dict[str, Any] = {"extractor": "logmel"}
    if weights:
        extractor = {
            "extractor": "weighted_logmel:WeightedLogMel",
            "config": {"weights": weights},
        }
    run = resolve(
        {
            "run": "r",
            "cache": str(place / "cache"),
            "results": str(place / "results"),
            "corpus": {"name": "table", "config": {"csv": str(place / "secret" / "clips.csv")}},
            "features": {"audio": extractor},
            "splits": {"n": 2},
            "systems": {"a": MODEL_CONFIG, "b": MODEL_CONFIG},
        }
    )
    folder = place / "results" / "r"
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(run.record()))
    identity = {"audio": sha256_path(weights) if Path(weights).is_file() else weights} if weights else {}
    for system in run.systems:
        for number, split in enumerate(run.split_names):
            _train(training_folder(folder, system, split), number, system, split, task, identity)
    rows = [
        {"system": "a", "split": split, "modality": "av", "metric": metric, "value": value}
        for split, temperature in zip(run.split_names, temperatures, strict=False)
        for metric, value in (("calibration_temperature", temperature), ("macro_f1", temperature / 4))
    ]
    scores_file(folder, "a").parent.mkdir()
    scores_file(folder, "a").write_text(to_result_csv(pd.DataFrame(rows)))
    return folder


def _train(folder: Path, seed: int, system: str, split: str, task: str, identity: dict[str, str]) -> None:
    torch.manual_seed(seed + 10 * (system == "b"))
    dims = {"audio_dim": DIM, "visual_dim": 1, "outputs": 2}
    model = build_model("auxformer_unimodal", **dims, **MODEL_CONFIG["config"])
    rng = np.random.default_rng(seed)
    normal = {"mean": rng.uniform(-9, -5, DIM).tolist(), "std": rng.uniform(1, 3, DIM).tolist()}
    meta = {**MODEL_CONFIG, "dims": dims, "task": task, "outputs": NAMES[task], "split": split}
    meta |= {"normalisers": {"audio": normal}, "weights": identity}
    save_model(folder / MODEL, model.state_dict(), meta)
    record = {
        **{"avemo": "0.1.0", "parameters": 1234, "best_epoch": 3 + seed, "wall_s": 30.0},
        "versions": {"torch": "2"},
        "hardware": {"processor": "a processor", "gpu": None},
        "read": {"train": {"clips": 70}, "dev": {"clips": 15}},
    }
    (folder / RECORD).write_text(json.dumps(record))
