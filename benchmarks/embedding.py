"""Frame features against the same network called once per frame in float32, in the order pixels are stored (NCHW).

What a large product or convolution reaches alone stands beside them: no network goes much faster.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.clips import CLIPS, decoded
from benchmarks.peak import TITLE, peak
from benchmarks.results import publish
from benchmarks.sides import Side, Work, race, shards

from avemo.faces.crop import cut
from avemo.features.crop_network import CropNetwork
from avemo.features.efficientnet import EfficientNetB2, load_model
from avemo.features.vgg_face import VGGFaceFC6
from avemo.features.vgg_network import Shape, load_network
from avemo.weights.find import find

WEIGHTS = "random-seed-0"
SUBJECTS: dict[str, tuple[type[CropNetwork], Any, float]] = {
    "efficientnet_b2": (EfficientNetB2, lambda: load_model(find(WEIGHTS)), 2.5),
    "vgg_face_fc6": (VGGFaceFC6, lambda: load_network(find(WEIGHTS), Shape()), 4.0),
}
"""Extractors, how a user would build their network, and the ratio aimed at."""
PRECISIONS = ("float32", "bfloat16")


def extractor(name: str, precision: str) -> CropNetwork:
    """Ours, on the CPU."""
    kind = SUBJECTS[name][0]
    return kind(kind.Config(weights=WEIGHTS, precision=precision, device="cpu"))


def centre_crops(clips: Path, count: int, ours: CropNetwork) -> list[list[tuple[float, np.ndarray]]]:
    """The middle of the first ``count`` frames; where the face is changes no speed."""

    def middle(frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        return cut(frame, np.array([width * 0.3, height * 0.1, width * 0.7, height * 0.8]), ours.crop)

    return [
        [(time_s, middle(frame)) for time_s, frame in frames] for frames in decoded(clips, count).values()
    ]


def batched(name: str, precision: str, clips: Path, count: int) -> Work:
    """Our extractor, clip by clip."""
    ours = extractor(name, precision)
    crops = centre_crops(clips, count, ours)
    return lambda items: [ours.extract(crops[item % len(crops)]).x for item in items]


def per_frame(name: str, clips: Path, count: int) -> Work:
    """What a user would write: normalise one frame, run it, keep ``(frames, dim)``."""
    import torch

    ours = extractor(name, "float32")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (ours.mean, ours.std))
    model, crops = SUBJECTS[name][1](), centre_crops(clips, count, ours)

    def features(clip: int) -> np.ndarray:
        images = (torch.from_numpy(crop).permute(2, 0, 1).contiguous() for _, crop in crops[clip])
        with torch.no_grad():
            return torch.cat([model(((image - mean) / std)[None]) for image in images]).numpy()

    return lambda items: [features(item % len(crops)) for item in items]


def operations(name: str) -> float:
    """Floating-point operations that a network asks for a frame, in units of 1e9."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    side, model = extractor(name, "float32").crop.size_px, SUBJECTS[name][1]()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() / 1e9


def nearness(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The lowest cosine of two features of one frame."""
    a, b = np.concatenate(ours), np.concatenate(theirs)
    return float(((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def main(arguments: list[str] | None = None) -> None:
    """Race both networks in both precisions; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--frames", type=int, default=12, help="frames of each clip (default 12)")
    parser.add_argument("--extractor", choices=SUBJECTS, nargs="+", default=list(SUBJECTS))
    asked = parser.parse_args(arguments)
    items = 2 * len(decoded(asked.clips, 1))  # an even number, which two processes share equally
    rows, bars = [], {}
    for name in asked.extractor:
        sides = {"per frame": Side(per_frame, (name, asked.clips, asked.frames))}
        sides |= {p: shards(batched, name, p, asked.clips, asked.frames) for p in PRECISIONS}
        found = race(sides, items)
        theirs, frames = found["per frame"], sum(map(len, found["per frame"].outputs))
        a_frame = operations(name)
        for side, timing in found.items():
            ratio = theirs.seconds / timing.seconds
            rows.append(
                {
                    "network": name,
                    "way": side,
                    "frames a second": frames / timing.seconds,
                    "ratio": ratio,
                    "lowest cosine": nearness(timing.outputs, theirs.outputs),
                    "GFLOP/s": a_frame * frames / timing.seconds,
                }
            )
            if side in PRECISIONS:
                bars[f"{name} in {side}, against one frame at a time in float32"] = (ratio, SUBJECTS[name][2])
    none = dict.fromkeys(("frames a second", "ratio", "lowest cosine"), "")
    rows += [{"network": TITLE, "way": p} | none | {"GFLOP/s": peak(p)} for p in PRECISIONS]
    publish(
        "embedding",
        "Networks over face crops, against the same network called once per frame; and what a large product or "
        "convolution alone reaches on this machine.",
        rows,
        bars,
    )


if __name__ == "__main__":
    main()
