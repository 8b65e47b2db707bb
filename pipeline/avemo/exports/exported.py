"""What is written for other programs: a run's clips with their features, by side, and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.cache.manifest import FeatureSet
from avemo.dataset.labels import Labels
from avemo.dataset.splits import load_split
from avemo.exports.loaded import Clips, frames_of, load, run_at
from avemo.study.inputs import limits_of

SIDES = ("train", "dev", "test")


@dataclass(frozen=True)
class Exported:
    """A ``run``'s labelled clips by side of a ``split``.

    ``index`` is the clip table, which knows where media lie, seen from ``home``. ``left_out`` counts clips that are in no file, by reason;
    ``notes`` are what must be said wherever the features stand.
    """

    run: str
    split: str
    sides: dict[str, Clips]
    labels: Labels
    index: Path
    home: Path
    left_out: dict[str, int]
    notes: tuple[str, ...]

    @property
    def features(self) -> dict[str, FeatureSet]:
        """By name; those of all sides are the same."""
        return self.sides["train"].features

    def said(self, clip_ids: Iterable[str]) -> pd.DataFrame:
        """A row a clip, in this order: ``clip_id, speaker, group``, its ``label`` where labels are classes, its
        ``value_<name>`` where they are numbers, and what else the corpus says. Missing text is empty."""
        table = self.labels.table.set_index("clip_id").drop(columns=["reason", "kept_with"], errors="ignore")
        if self.labels.task.kind != "classes":
            table = table.drop(columns="label")
        found = table.loc[list(clip_ids)].reset_index()
        texts = [name for name in map(str, found) if not pd.api.types.is_numeric_dtype(found[name])]
        return found.assign(**{name: found[name].fillna("").astype(str) for name in texts})

    def frames(self, name: str, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
        """A clip's ``(frames, dim)`` and their times; no frames where it lacks the feature."""
        return frames_of(self.features[name], clip_id)

    def length(self, name: str, clip_id: str) -> int:
        """A clip's number of frames; 0 where it lacks the feature."""
        return self.features[name].length(clip_id) if self.features[name].has(clip_id) else 0

    def parts(self, clip_ids: Sequence[str], limit: int) -> Iterator[list[str]]:
        """The clips in order, in parts of ``limit`` bytes of frames at most, or of one clip; none without clips."""
        part, size = list[str](), 0
        for clip_id in clip_ids:
            own = sum(
                self.length(name, clip_id) * one.dim * np.dtype(one.dtype).itemsize
                for name, one in self.features.items()
            )
            if part and size + own > limit:
                yield part
                part, size = [], 0
            part.append(clip_id)
            size += own
        if part:
            yield part

    def record(self) -> dict[str, Any]:
        """What made it, as JSON."""
        features = {
            name: {"dim": one.dim, "part": one.part, **one.info} for name, one in self.features.items()
        }
        return {
            "run": self.run,
            "split": self.split,
            "clips": {side: len(clips) for side, clips in self.sides.items()},
            "left_out": self.left_out,
            "task": self.labels.task.kind,
            "outputs": list(self.labels.task.names),
            "features": features,
            "notes": list(self.notes),
        }


def read_exported(folder: Path, split: int | str = 0, features: Sequence[str] | None = None) -> Exported:
    """A run's folder under ``results``; ``features`` and ``split`` as `load` has them.

    Raises `AvemoError` as it does, and where no clip has a label, a side and features.
    """
    layout, config, home = run_at(folder)
    sides = load(folder, features, split)
    labels = sides["train"].labels
    assert labels is not None  # a run has labels
    name = f"split{split:02d}" if isinstance(split, int) else split
    known, labelled = set(labels.table.clip_id), set(labels.targets)
    sided = labelled & set().union(*load_split(layout.splits, name).sides().values())
    written = {clip_id for clips in sides.values() for clip_id in clips.clip_ids}
    left_out = {
        "no label": len(known - labelled),
        "on no side of the split": len(labelled - sided),
        "no features": len(sided - written),
    }
    if not written:
        told = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise AvemoError(
            f"{folder}: expected clips with labels and features in {name}, found none ({told}); "
            "run its features, or choose others by --feature"
        )
    infos = {name.partition("/")[0]: one.info for name, one in sides["train"].features.items()}
    notes = [f"{limit['kind']}: {limit['text']}" for limit in limits_of(config, infos)]
    return Exported(
        config.run,
        name,
        {side: sides[side] for side in SIDES},
        labels,
        layout.index,
        home,
        {reason: count for reason, count in left_out.items() if count},
        tuple(notes),
    )


def file_names(names: Iterable[str]) -> dict[str, str]:
    """What features are called in names of files, where dots and slashes would mean something.

    >>> file_names(["audio", "audio-2/9"])
    {'audio': 'audio', 'audio-2/9': 'audio-2_9'}
    """
    found = {name: re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in names}
    if len(set(found.values())) < len(found):
        raise AvemoError(
            f"features: expected names that differ in letters, found {', '.join(found)}; take fewer"
        )
    return found
