"""docs/gpu.md: the bars, what was measured of each, and a table a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = """# On a GPU

Written by `make gpu` (`python -m benchmarks.gpu`), which checks and measures in order of worth, in under 8 minutes, on one
GPU with 16 cores. Clips are drawn, voices synthetic, weights random: their speed is that of others, and they say nothing
about people. `make gpu-pack` makes what a machine without a network needs beside PyTorch.
"""
NOT_MEASURED = """**Not measured.** No GPU could be had yet. Every stage runs on a CPU in the tests, in small; figures below are estimates
from counted operations, bytes and launches.
"""
BARS = (
    (
        "all features of CREMA-D: faces, EfficientNet-B2, ComParE, wav2vec 2.0, min",
        "12 to 20",
        5.0,
        "extraction",
    ),
    ("the same with VGG-Face fc6, min", "16 to 24", 6.0, "extraction with VGG-Face"),
    ("AV-Ladder's Table 1: 6 systems × 20 splits × 40 epochs, h", "22", 1.0, "table"),
    ("feeding a training step, share of the step", "1.1", 0.1, "feeding"),
)
"""What is aimed at on one H100 or H200: estimated before this page's ways to be fast, the bar, and what measures it."""


def page(found: Mapping[str, Any]) -> str:
    """The page of `Kit.found`."""
    lines = [HEAD] if found else [HEAD, NOT_MEASURED]
    lines += ["## Bars", "", *_table(bars(found))]
    for stage, value in found.items():
        lines += ["", f"## {stage.capitalize()}", "", *_table(_rows(value))]
    return "\n".join(lines) + "\n"


def bars(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a bar: estimated, aimed at, measured, and whether it is met, or open."""
    measured = _measured(found)
    rows = []
    for what, estimated, bar, key in BARS:
        value = measured.get(key)
        met = "open" if value is None else "yes" if value <= bar else "no"
        rows.append({"work": what, "estimated before": estimated, "bar": bar, "measured": value, "met": met})
    return rows


def _measured(found: Mapping[str, Any]) -> dict[str, float]:
    """What the stages have found of the bars, as far as they have run on a GPU."""
    measured: dict[str, float] = {}
    if found.get("ceilings", {}).get("device", "cpu") == "cpu":
        return measured
    if rows := found.get("extraction"):
        fastest = min(rows, key=lambda row: row["CREMA-D, min"])
        whole, fc6 = fastest["CREMA-D, min"], fastest.get("network of vgg_face_fc6, share", 0.0)
        measured |= {"extraction with VGG-Face": whole, "extraction": whole * (1 - fc6)}
    if hours := found.get("Table 1, hours of steps in one process"):
        measured["table"] = min(hours.values())
    steps = [row for row in found.get("training", []) if row["system"] == "av_ladder"]
    if steps and "feeding" in found:
        step_ms = min(row["step, ms"] for row in steps)
        measured["feeding"] = found["feeding"]["gathered on the device, ms a batch"] / step_ms
    return measured


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return value if isinstance(value, list) else [{"what": key, "value": one} for key, one in value.items()]


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, ["---"] * len(columns), *([_cell(row.get(c)) for c in columns] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in cells]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
