"""AffectNet's layout: one picture a face, and lists with its box and expression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from avemo.base.atomic import aside
from avemo.corpora.affectnet import COLUMNS, EXPRESSIONS, IMAGES, LISTS
from avemo.corpora.base import Counting
from avemo.synthetic.generate import render
from avemo.synthetic.miniatures.studio import FEELINGS, open_folder, settings, takes_by_speaker, write_rows
from avemo.synthetic.prototypes import FACE_AXES
from avemo.synthetic.takes import Take

NAMES = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
NAMES["SUR"] = "surprise"
AFFECT = FEELINGS | {"SUR": (4.2, 3.2, 2.6)}
SURPRISED = {"brow_inner": 1.0, "brow_outer": 1.0, "lid": 1.0, "stretch": -0.4}


def write(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Seven pictures of each of ``speakers``; the last one's are the validation list."""
    config = settings(speakers, seed=3)
    open_folder(root, "AffectNet")
    rows: dict[str, list[list[object]]] = {name: [] for name in LISTS}
    people = takes_by_speaker(config)
    for number, takes in enumerate(people, start=1):
        for take in [*takes, _surprised(takes)]:
            path = root / IMAGES / str(number) / f"{take.name}.jpg"
            if not path.exists():
                _write_picture(path, render(take, config)[0])
            rows["validation" if number == speakers else "training"].append(
                _row(f"{number}/{path.name}", take, config.size_px)
            )
        if progress:
            progress(number, speakers)
    for name, listed in rows.items():
        write_rows(root / LISTS[name], COLUMNS, listed)


def _surprised(takes: list[Take]) -> Take:
    """What the demo's actors never play: a take without expression, with brows, lids and mouth opened."""
    neutral = next(take for take in takes if take.emotion == "NEU")
    face = neutral.face + [SURPRISED.get(axis, 0.0) for axis in FACE_AXES]
    return replace(neutral, name=neutral.name.replace("NEU", "SUR"), emotion="SUR", face=face)


def _write_picture(path: Path, frames: np.ndarray) -> None:
    """The middle frame, where the expression is at its height."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary:
        Image.fromarray(frames[len(frames) // 2]).save(temporary, "JPEG", quality=92)


def _row(name: str, take: Take, size_px: int) -> list[object]:
    arousal, valence, _ = ((value - 3) / 2 for value in AFFECT[take.emotion])
    expression = EXPRESSIONS.index(NAMES[take.emotion])
    return [name, 0, 0, size_px, size_px, "", expression, round(valence, 3), round(arousal, 3)]
