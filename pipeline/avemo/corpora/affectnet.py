"""AffectNet: pictures of faces with an expression each; input of the face network's fine-tuning.

Mollahosseini, Hasani, Mahoor: AffectNet: A Database for Facial Expression,
Valence, and Arousal Computing in the Wild, IEEE Trans. Affective Computing
10(1), 2019. Free for research on request from the authors (University of
Denver). One of its two layouts is expected::

    Manually_Annotated/Manually_Annotated_Images/<folder>/<picture>.jpg
    Manually_Annotated_file_lists/{training,validation}.csv

    {train_set,val_set}/images/<number>.jpg        cropped faces
    {train_set,val_set}/annotations/<number>_exp.npy

Pictures of the seven expressions that AV-Ladder's network learns are taken;
contempt, none, uncertain and no-face are left out and counted. AffectNet's
test set is not public: its validation set is the dev side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.corpora.csv_file import read_csv
from avemo.corpora.examples import Examples, collect

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
"""The first seven of AffectNet's numbers, in their order."""
LEFT_OUT = ("contempt", "none", "uncertain", "non-face")
"""Numbers 7 to 10."""
IMAGES = Path("Manually_Annotated") / "Manually_Annotated_Images"
LISTS = {
    "training": Path("Manually_Annotated_file_lists") / "training.csv",
    "validation": Path("Manually_Annotated_file_lists") / "validation.csv",
}
SIDES = {"training": "train", "validation": "dev", "train_set": "train", "val_set": "dev"}
FACE = ("face_x", "face_y", "face_width", "face_height")
COLUMNS = ("subDirectory_filePath", *FACE, "facial_landmarks", "expression", "valence", "arousal")
NO_BOX = ("",) * 4


def examples(root: Path) -> Examples:
    """``path, label, x0, y0, x1, y1, split`` of every picture with one of the seven expressions.

    The box, in pixels, is the lists'; it is empty where a list has none and for pictures that are faces.
    """
    if (root / LISTS["training"]).is_file():
        rows = [row for name, path in LISTS.items() for row in _listed(root, name, path)]
    elif (root / "train_set" / "annotations").is_dir():
        rows = [row for name in ("train_set", "val_set") for row in _annotated(root, name)]
    else:
        raise AvemoError(
            f"{root}: expected {LISTS['training']} or train_set/annotations, found neither; give AffectNet's folder"
        )
    return collect(("path", "label", "x0", "y0", "x1", "y1", "split"), rows, _left_out)


def _left_out(row: tuple[object, ...]) -> str:
    """Why a row is no example, or nothing."""
    return "" if row[1] in EXPRESSIONS else f"expression {row[1]}"


def _listed(root: Path, name: str, path: Path) -> Iterator[tuple[object, ...]]:
    columns = ("subDirectory_filePath", "expression")
    for row in read_csv(root / path, columns, "AffectNet's list", "restore the corpus' file"):
        picture = root / IMAGES / row["subDirectory_filePath"]
        yield picture, _expression(picture, row["expression"]), *_box(row), SIDES[name]


def _box(row: dict[str, str]) -> tuple[object, ...]:
    """Corners of the face, or four empty cells: the lists write -1 or NULL where no face was found."""
    cells = [row.get(column) or "" for column in FACE]
    if not all(cell.isdigit() for cell in cells):
        return NO_BOX
    x, y, width, height = map(int, cells)
    return (x, y, x + width, y + height) if width and height else NO_BOX


def _annotated(root: Path, name: str) -> Iterator[tuple[object, ...]]:
    import numpy as np

    for path in sorted((root / name / "annotations").glob("*_exp.npy")):
        picture = root / name / "images" / f"{path.name.removesuffix('_exp.npy')}.jpg"
        # Kept as text by the corpus' authors.
        yield picture, _expression(picture, str(np.load(path, allow_pickle=False))), *NO_BOX, SIDES[name]


def _expression(picture: Path, number: str) -> str:
    names = (*EXPRESSIONS, *LEFT_OUT)
    if not number.isdigit() or int(number) >= len(names):
        raise AvemoError(f"{picture}: expected an expression from 0 to {len(names) - 1}, found {number!r}")
    return names[int(number)]
