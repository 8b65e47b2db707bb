"""Features, labels and sides of a cache or a run, for whoever writes a notebook: ``avemo.load``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from avemo.base.contracts import AvemoError
from avemo.base.registry import nearest
from avemo.cache.manifest import FeatureSet
from avemo.dataset.labels import Labels, load_labels
from avemo.dataset.splits import load_splits
from avemo.study.inputs import inputs_of
from avemo.study.layout import CONFIG, Layout
from avemo.study.run import Run

MANIFEST = "manifest.json"
NO_FRAMES_OF_FEATURES = ("mtcnn-", "crops-")
"""Components that are taken only when they are named."""


class Clips(Dataset[dict[str, Any]]):
    """Clips as dictionaries: ``clip_id``, ``target`` where there are labels, and of each feature its frames
    ``(frames, dim)`` under its name and their times under ``<name>_times_s``.

    Nothing is read before it is asked for, and worker processes open files for themselves. A clip that lacks a feature has no
    frames of it, ``(0, dim)``; one that lacks all is left out. Give `collate` to a ``DataLoader``.
    """

    def __init__(self, features: Mapping[str, FeatureSet], labels: Labels | None, clip_ids: Sequence[str]):
        self.features, self.labels = dict(features), labels
        self.targets = labels.targets if labels else {}
        self.clip_ids = [
            clip_id
            for clip_id in clip_ids
            if any(one.has(clip_id) for one in self.features.values())
            and (labels is None or clip_id in self.targets)
        ]

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip_id = self.clip_ids[index]
        item: dict[str, Any] = {"clip_id": clip_id}
        for name, features in self.features.items():
            x, times_s = frames_of(features, clip_id)
            item |= {name: torch.from_numpy(x), f"{name}_times_s": torch.from_numpy(times_s)}
        if self.labels is not None:
            item["target"] = torch.tensor(self.targets[clip_id])
        return item

    @staticmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Items padded to one batch: ``(B, T, D)`` under a feature's name, times, and ``<name>_mask (B, T)``, True for
        real frames."""
        batch: dict[str, Any] = {"clip_id": [item["clip_id"] for item in items]}
        for name in items[0]:
            if name == "target":
                batch[name] = torch.stack([item[name] for item in items])
            elif name != "clip_id":
                batch[name] = pad_sequence([item[name] for item in items], batch_first=True)
                if not name.endswith("_times_s"):
                    lengths = torch.tensor([len(item[name]) for item in items])
                    batch[f"{name}_mask"] = torch.arange(batch[name].shape[1]) < lengths[:, None]
        return batch

    def to_numpy(self) -> dict[str, Any]:
        """All of it in memory: ``clip_id``, ``target``, and of each feature a list of arrays and of their times."""
        found: dict[str, Any] = {"clip_id": np.array(self.clip_ids)}
        for name, features in self.features.items():
            pairs = [frames_of(features, clip_id) for clip_id in self.clip_ids]
            found |= {name: [x for x, _ in pairs], f"{name}_times_s": [times_s for _, times_s in pairs]}
        if self.labels is not None:
            found["target"] = np.array([self.targets[clip_id] for clip_id in self.clip_ids])
        return found

    def to_pandas(self) -> pd.DataFrame:
        """A row a clip: what the label table says of it, and of each feature the mean over its frames, a column a
        dimension (``<name>_0``, …); missing where there is none."""
        rows = pd.DataFrame({"clip_id": self.clip_ids})
        if self.labels is not None:
            rows = rows.merge(self.labels.table.drop(columns="reason"), on="clip_id", how="left")
        means = [means_of(name, features, self.clip_ids) for name, features in self.features.items()]
        return pd.concat([rows, *means], axis=1)


def load(
    folder: Path | str,
    features: Sequence[str] | None = None,
    split: int | str | None = None,
    run: Path | str | None = None,
) -> dict[str, Clips]:
    """The clips of a run's folder under ``results``, or of a corpus' folder under ``cache``, by side.

    ``features``: of a run ``audio``, ``visual``, and ``audio-2`` or the like where a modality has several; of a cache
    folders of components, or the names that they begin with; ``name/part`` is a part of its frames, such as a layer.
    None: all, of a run those parts that its systems see. Each comes by itself, at its own times. Labels and splits come from a run: from
    ``folder`` if it is one, else from ``run``. With ``split`` (a number or a name) the sides are ``train``, ``dev`` and
    ``test``; without one all clips are under ``all``. Raises `AvemoError` for what is not there.

    >>> load("results/none")
    Traceback (most recent call last):
    avemo.base.contracts.AvemoError: results/none: expected a run's folder under results, or a corpus' under cache, found nothing; correct the path
    """
    folder = Path(folder)
    of_run = folder if (folder / CONFIG).is_file() else Path(run) if run is not None else None
    layout, config, _ = run_at(of_run) if of_run else (None, None, None)
    if of_run == folder and layout and config:
        inputs = inputs_of(config, layout)
        there = {one.name: one.manifest for one in inputs}
        usual = [f"{one.name}/{part}".rstrip("/") for one in inputs for part in one.reading.parts or ("",)]
    else:
        there = {path.parent.name: path for path in sorted(folder.glob(f"*/{MANIFEST}"))}
        usual = [name for name in there if not name.startswith(NO_FRAMES_OF_FEATURES)]
    if not there:
        found = "no manifest.json in it" if folder.is_dir() else "nothing"
        raise AvemoError(
            f"{folder}: expected a run's folder under results, or a corpus' under cache, found {found}; correct the path"
        )
    sets = {name: _opened(folder, there, name) for name in features or usual}
    labels = load_labels(layout.labels) if layout else None
    if split is None:
        known = {entry.clip_id for one in sets.values() for entry in one.entries()}
        return {"all": Clips(sets, labels, sorted(known))}
    if layout is None:
        raise AvemoError(
            f"{folder}: expected a run, whose splits to take, with split={split!r}; give run='results/NAME'"
        )
    made = load_splits(layout.splits)
    names = [one.name for one in made]
    name = f"split{split:02d}" if isinstance(split, int) else split
    if name not in names:
        raise AvemoError(
            f"{layout.splits}: expected a split {name!r}{nearest(name, names)}, found {', '.join(names)}"
        )
    sides = made[names.index(name)].sides()
    return {side: Clips(sets, labels, clip_ids) for side, clip_ids in sides.items()}


def run_at(folder: Path) -> tuple[Layout, Run, Path]:
    """A run and its working folder, from which relative paths go; it is the one that ``folder`` lies in, wherever that is now.

    Raises `AvemoError` where ``folder`` is no run's.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise AvemoError(f"{folder}: expected a run's folder with {CONFIG}, found none; give results/NAME")
    config = Run.model_validate_json(path.read_bytes())
    results, cache = Path(config.results), Path(config.cache)
    if results.is_absolute():
        return Layout(config), config, Path.cwd()
    home = folder.absolute().parents[len(results.parts)]
    moved = {
        "results": str(folder.absolute().parent),
        "cache": str(cache if cache.is_absolute() else home / cache),
    }
    config = config.model_copy(update=moved | {"run": folder.absolute().name})
    return Layout(config), config, home


def _opened(folder: Path, there: Mapping[str, Path], name: str) -> FeatureSet:
    whole, _, part = name.partition("/")
    fitting = [whole] if whole in there else [one for one in there if one.rpartition("-")[0] == whole]
    if len(fitting) != 1:
        found = f"several: {', '.join(fitting)}" if fitting else f"{', '.join(there)}{nearest(whole, there)}"
        raise AvemoError(f"{folder}: expected one feature {whole!r}, found {found}; name the folder")
    return FeatureSet(there[fitting[0]], part)


def frames_of(features: FeatureSet, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """A clip's ``(frames, dim)`` and their times; no frames where it lacks the feature."""
    if not features.has(clip_id):
        return np.empty((0, features.dim), features.dtype), np.empty(0)
    found = features.read(clip_id)
    return found.x, found.times_s


def means_of(name: str, features: FeatureSet, clip_ids: Sequence[str]) -> pd.DataFrame:
    """The mean over each clip's frames, a column a dimension (``<name>_0``, …); missing where it lacks the feature."""
    means = np.full((len(clip_ids), features.dim), np.nan)
    for row, clip_id in enumerate(clip_ids):
        if features.has(clip_id):
            means[row] = features.read(clip_id).x.mean(0, dtype=np.float64)
    return pd.DataFrame(means, columns=[f"{name}_{number}" for number in range(features.dim)])
