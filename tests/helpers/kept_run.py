"""A working folder as a small run leaves it: clip table, two features, labels and a split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import Clip, FeatureSequence, Status
from avemo.cache.items import Item
from avemo.cache.manifest import write_manifest
from avemo.cache.shard_writer import write_shard
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels, save_labels
from avemo.dataset.splits import Split, save_splits
from avemo.index.clip_table import Row, write_table
from avemo.study.layout import Layout
from runs import FEATURE, run_of

NAMES = [f"clip{n}" for n in range(8)]
BLIND, UNKNOWN = "clip3", "clip5"
"""A clip without faces, and one without a label."""
OUTPUTS = {
    "classes": ["a", "b"],
    "shares": ["a", "b"],
    "attributes": ["arousal", "valence"],
    "bits": ["joy", "fear"],
}
TASK = {"shares": "classes"}
"""What labels of a kind are for, where that is called otherwise."""
IMPORTED = {"provenance": {"imported": "units.csv", "file": "0" * 64}}


def frames_of(clip_id: str, dim: int) -> FeatureSequence:
    rng = np.random.default_rng([*clip_id.encode(), dim])
    length = int(rng.integers(2, 7))
    return FeatureSequence(rng.normal(size=(length, dim)).astype(np.float32), 0.04 * np.arange(length))


def label_of(number: int, kind: str) -> str | dict[str, float]:
    """Of the clip with this number. Among shares the first clip has a class."""
    if kind == "classes" or (kind == "shares" and number == 0):
        return "ab"[number % 2]
    if kind == "shares":
        return {"a": 1 - number / 8, "b": number / 8}
    values = (number / 8, -number / 4) if kind == "attributes" else (number % 2, number % 3 == 0)
    return dict(zip(OUTPUTS[kind], map(float, values), strict=True))


def class_of(number: int, kind: str) -> str | None:
    """The class of the clip with this number, None where labels are no classes."""
    label = label_of(number, kind)
    if isinstance(label, str):
        return label
    return max(label, key=label.__getitem__) if kind == "shares" else None


def numbers_of(number: int, kind: str) -> dict[str, float]:
    """The numbers of the clip with this number, none where all labels are classes."""
    label = label_of(number, kind)
    if isinstance(label, str):
        return {name: float(name == label) for name in OUTPUTS[kind]} if kind == "shares" else {}
    return label


def write_run(
    home: Path,
    kind: str = "classes",
    outputs: int = 2,
    info: dict | None = None,
    ends: bool = False,
    second: bool = False,
    blind: Sequence[str] = (BLIND,),
    dev: Sequence[str] = NAMES[4:6],
    media: Path | None = None,
) -> Path:
    """The folder of the run, in ``home``.

    ``info`` is said of the feature of faces; with ``ends`` clips are intervals; with ``second`` there is a feature
    ``audio-2``, of half precision; ``blind`` are the clips without faces; ``dev`` is that side; ``media`` is where the clip
    table says that the media lie.
    """
    features = {"audio": FEATURE | {"id": "lld-1"}, "visual": FEATURE | {"id": "net-2"}}
    if second:
        features = {"audio": features["audio"], "audio-2": FEATURE | {"id": "lld-3"}, **features}
    run = run_of(features=features)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        layout = Layout(run)
        parts = {"parts": ["0", "1"]}
        made = {"lld-1": (3, {}), "net-2": (4, parts | (info or {}))} | ({"lld-3": (2, {})} if second else {})
        for component, (dim, own) in made.items():
            lacking = blind if component == "net-2" else ()
            shard = layout.shard(component, 0)
            shard.parent.mkdir(parents=True)
            items = [_item(name, dim, name in lacking) for name in NAMES]
            write_shard(shard, items, own, "float16" if component == "lld-3" else "float32")
            write_manifest(layout.manifest(component), [shard], component, own)
        write_table(layout.index, [_row(n, media or home / "media", ends) for n in range(len(NAMES))])
        layout.labels.parent.mkdir(parents=True)
        clips = [Clip(name, f"s{n // 2}", f"s{n // 2}") for n, name in enumerate(NAMES)]
        names = OUTPUTS[kind][:outputs]
        given = [_label(n, kind, names) for n in range(len(NAMES))]
        save_labels(make_labels(clips, given, TASK.get(kind, kind), names), layout.labels)
        save_splits(layout.splits, [Split("split00", tuple(NAMES[:4]), tuple(dev), tuple(NAMES[6:]))])
        layout.config.write_text(json.dumps(run.record()))
    return home / layout.results


def _label(number: int, kind: str, names: list[str]) -> Label:
    found = label_of(number, kind)
    if isinstance(found, dict):
        found = {name: found[name] for name in names}
    label = None if NAMES[number] == UNKNOWN else found
    return Label(NAMES[number], label, "no votes", facts={"sex": "fm"[number % 2]})


def _item(clip_id: str, dim: int, blind: bool) -> Item:
    if blind:
        return Item(clip_id, "key", Status.no_face, "no face")
    found = frames_of(clip_id, dim)
    return Item(clip_id, "key", Status.ok, "", found.x, found.times_s)


def _row(number: int, media: Path, ends: bool) -> Row:
    film = str(media / f"s{number // 2}" / (f"clip{number}.mp4" if not ends else "all.mp4"))
    start_s, end_s = (float(number), number + 0.5) if ends else (0.0, None)
    speaker = f"s{number // 2}"
    streams = "0" * 64, "0" * 64, 0.5, 16000, 25.0, 12
    return Row(NAMES[number], speaker, speaker, film, film, start_s, end_s, *streams, "ok", "")
