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
BASIS = """What the estimates of today rest on:

- Extraction: 44 calls a frame for faces ([counted](benchmarks.md#host)) at 3 to 4 µs and 567,000 frames are 1.2 to 1.7 min
  of one GPU; EfficientNet-B2 is taken to do 8,000 crops a second in bfloat16, 1.2 min; wav2vec 2.0 needs seconds; about 4 ms of CPU
  a frame are 2.4 min of 16 cores, beside the GPU where several clips are decoded at a time; jobs start for up to 1 min.
- VGG-Face fc6 in bfloat16: 31 GFLOP a frame, at half of 450 TFLOP/s another 1.3 min.
- Table 1: bytes and operations of a step over the hardware's speed, in bfloat16 with fused attention, give 0.9 h, its
  launches in one process 1.1 h; waits for the GPU are gone from the step. Batches are 64 clips of 311 frames of sound and
  75 of faces, and dev clips are not counted; the kit measures 150 of faces, a clip of 5 s, and counts them. What
  compiling (`training.compile`) gains is open.
- Feeding: a gather moves about 1 GB on the GPU, 0.4 ms, in some 20 calls, beside steps of 17 to 28 ms; nobody waits.

Open until a GPU was had: whether a picture's numbers there depend on its place in a batch (jobs ask at
their start and do without where they do), how much of a thread's decoding another's Python holds up, and what a
compiler and CUDA graphs gain.
"""
APART = """## Left apart

Faces and crops are decoded one after the other, by two jobs. A track is chosen when all of a clip has been seen, so crops
cannot be cut on the way; and a track is an item of its own, which several extractors read, under keys and in a job of
its own. One job for both would run again for either's settings, and hold a clip's pictures until its track is known. It
would spare 0.75 of about 4 ms of CPU a frame: half a minute of 16 cores for CREMA-D.
"""
BARS = (
    (
        "all features of CREMA-D: faces, EfficientNet-B2, ComParE, wav2vec 2.0, min",
        "12 to 20",
        "3 to 5",
        5.0,
        "extraction",
    ),
    ("the same with VGG-Face fc6, min", "16 to 24", "4 to 7", 6.0, "extraction with VGG-Face"),
    ("AV-Ladder's Table 1: 6 systems × 20 splits × 40 epochs, h", "22", "1 to 2", 1.0, "table"),
    ("feeding a training step, share of the step", "1.1", "0.02 to 0.1", 0.1, "feeding"),
)
"""What is aimed at on one H100 or H200: estimated before this page's ways to be fast, and with them, the bar, and what
measures it."""


def page(found: Mapping[str, Any]) -> str:
    """The page of `Kit.found`."""
    lines = [HEAD] if found else [HEAD, NOT_MEASURED]
    lines += ["## Bars", "", *_table(bars(found)), "", BASIS, APART.rstrip()]
    for stage, value in found.items():
        lines += ["", f"## {stage.capitalize()}", "", *_table(_rows(value))]
    return "\n".join(lines) + "\n"


def bars(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a bar: estimated before, aimed at, what it is now and how that is known, and whether it is met, or open."""
    measured = _measured(found)
    rows = []
    for what, before, estimated, bar, key in BARS:
        value = measured.get(key)
        met = "open" if value is None else "yes" if value <= bar else "no"
        known = {"now": estimated, "which is": "estimated"}
        if value is not None:
            known = {"now": value, "which is": "measured"}
        rows.append({"work": what, "estimated before": before, "bar": bar, **known, "met": met})
    return rows


def _measured(found: Mapping[str, Any]) -> dict[str, float]:
    """What the stages have found of the bars, as far as they have run on a GPU."""
    measured: dict[str, float] = {}
    machine = found.get("ceilings", {})
    if machine.get("device", "cpu") == "cpu" or machine.get("tiny"):
        return measured
    if rows := found.get("extraction"):
        fastest = min(rows, key=lambda row: row["CREMA-D, min"])
        whole, fc6 = fastest["CREMA-D, min"], fastest.get("network of vgg_face_fc6, share", 0.0)
        measured |= {"extraction with VGG-Face": whole, "extraction": whole * (1 - fc6)}
    if hours := found.get("Table 1, hours of epochs in one process"):
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
