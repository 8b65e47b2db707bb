"""MSP-Podcast: speaking turns with arousal, valence, dominance; input of the speech network's fine-tuning.

Lotfian, Busso: Building Naturalistic Emotionally Balanced Speech Corpus by
Retrieving Emotional Speech from Existing Podcast Recordings, IEEE Trans.
Affective Computing 10(4), 2019. Free for research under an agreement with the
Multimodal Signal Processing lab, which also sends the link. Expected::

    Audios/MSP-PODCAST_0001_0008.wav     (or Audio/)
    Labels/labels_consensus.csv          FileName, EmoAct, EmoVal, EmoDom, Split_Set

Attributes go from 1 to 7 and become (x - 1) / 6. Test sets stay test sets, so
that the fine-tuning, which reads train and dev only, never sees them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts import AvemoError
from pipeline.corpora.examples import Examples, collect

ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
SIDES = {
    "Train": "train",
    "Development": "dev",
    "Validation": "dev",
    "Test": "test",
    "Test1": "test",
    "Test2": "test",
    "Test3": "test",
}


def examples(root: Path) -> Examples:
    """``path, arousal, valence, dominance, split`` of every turn, attributes from 0 to 1."""
    return collect(("path", *ATTRIBUTES, "split"), _rows(root), _left_out)


def _left_out(row: tuple[object, ...]) -> str:
    """Why a row is no example, or nothing: releases differ in their sets, so an unknown one is told."""
    return "" if row[-1] in SIDES.values() else f"Split_Set {row[-1]!r}"


def _rows(root: Path) -> Iterator[tuple[object, ...]]:
    path = root / "Labels" / "labels_consensus.csv"
    if not path.is_file():
        raise AvemoError(f"{path}: expected MSP-Podcast's consensus labels, found no file; give its folder")
    folder = root / "Audio" if (root / "Audio").is_dir() else root / "Audios"
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"FileName", "Split_Set", *ATTRIBUTES.values()} - set(reader.fieldnames or ())
        if missing:
            raise AvemoError(f"{path}: expected columns {sorted(missing)}, found {reader.fieldnames}")
        for row in reader:
            values = (_scaled(path, row, column) for column in ATTRIBUTES.values())
            yield folder / row["FileName"], *values, SIDES.get(row["Split_Set"], row["Split_Set"])


def _scaled(path: Path, row: dict[str, str], column: str) -> float:
    """(x - 1) / 6 of a rating from 1 to 7."""
    try:
        value = float(row[column])
    except ValueError:
        value = -1.0
    if not 1 <= value <= 7:
        raise AvemoError(f"{path}: {row['FileName']}: expected {column} from 1 to 7, found {row[column]!r}")
    return (value - 1) / 6
