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

from collections.abc import Iterator
from pathlib import Path

from avemo.corpora.csv_file import number, read_csv
from avemo.corpora.examples import Examples, collect

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
    folder = root / "Audio" if (root / "Audio").is_dir() else root / "Audios"
    columns = ("FileName", "Split_Set", *ATTRIBUTES.values())
    for row in read_csv(path, columns, "MSP-Podcast's consensus labels", "give the corpus' folder"):
        where = f"{path}: {row['FileName']}"
        values = ((number(where, row, column, 1, 7) - 1) / 6 for column in ATTRIBUTES.values())
        yield folder / row["FileName"], *values, SIDES.get(row["Split_Set"], row["Split_Set"])
