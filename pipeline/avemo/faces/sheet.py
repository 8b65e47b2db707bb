"""Contact sheet: a row of face crops per clip, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PAPER, INK, GAP_PX = 255, 40, 4


def contact_sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]], cell_px: int = 96) -> np.ndarray:
    """RGB image ``(height, width, 3)`` uint8: each row's label, then its crops, in the order given.

    A label (lines parted by a newline) takes two cells on the left. A row
    without crops keeps its label. No rows give an empty sheet of one cell.
    """
    columns = max((len(crops) for _, crops in rows), default=0)
    pitch = cell_px + GAP_PX
    sheet = np.full((max(1, len(rows)) * pitch, (2 + columns) * pitch, 3), PAPER, dtype=np.uint8)
    for number, (label, crops) in enumerate(rows):
        top = number * pitch
        _write(sheet[top : top + cell_px, : 2 * pitch - GAP_PX], label)
        for column, crop in enumerate(crops):
            left = (2 + column) * pitch
            sheet[top : top + cell_px, left : left + cell_px] = _resized(crop, cell_px)
    return sheet


def _resized(crop: np.ndarray, cell_px: int) -> np.ndarray:
    import cv2

    return cv2.resize(crop, (cell_px, cell_px), interpolation=cv2.INTER_AREA)


def _write(area: np.ndarray, label: str) -> None:
    """Draw the label's lines into ``area`` in place, each as large as fits its width."""
    import cv2

    lines = label.split("\n")
    step = area.shape[0] // (len(lines) + 1)
    canvas = np.ascontiguousarray(area)
    for number, line in enumerate(lines, start=1):
        (width, _), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
        scale = min(0.5, step / 30, (area.shape[1] - 4) / max(1, width))
        where = (2, number * step)
        cv2.putText(canvas, line, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (INK, INK, INK), 1, cv2.LINE_AA)
    area[:] = canvas
