"""Frame features against the same network called once per frame in float32, in the order pixels are stored (NCHW).

One thread, CPU time: other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contracts import Clip
from pipeline.faces.crop import cut
from pipeline.features.crop_network import CropNetwork
from pipeline.features.efficientnet import EfficientNetB2, load_model
from pipeline.features.vgg_face import VGGFaceFC6
from pipeline.features.vgg_network import Shape, load_network
from pipeline.features.weights import find
from pipeline.media import iter_frames

WEIGHTS = "random-seed-0"
SUBJECTS = {
    "efficientnet_b2": (EfficientNetB2, lambda: load_model(find(WEIGHTS))),
    "vgg_face_fc6": (VGGFaceFC6, lambda: load_network(find(WEIGHTS), Shape())),
}
"""Extractors, and how a user would build their network."""


def centre_crops(path: Path, count: int, extractor: CropNetwork) -> list[tuple[float, np.ndarray]]:
    """The middle of the first ``count`` frames; where the face is changes no speed."""
    crops = []
    for (time_s, frame), _ in zip(
        iter_frames(Clip(path.stem, "?", "?", video_path=path)), range(count), strict=False
    ):
        height, width = frame.shape[:2]
        box = np.array([width * 0.3, height * 0.1, width * 0.7, height * 0.8])
        crops.append((time_s, cut(frame, box, extractor.crop)))
    return crops


def per_frame(ours: CropNetwork, model: Any, crops: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """What a user would write: normalise one frame, run it, keep ``(frames, dim)``."""
    import torch

    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (ours.mean, ours.std))
    with torch.no_grad():
        images = (torch.from_numpy(crop).permute(2, 0, 1).contiguous() for _, crop in crops)
        return torch.cat([model(((image - mean) / std)[None]) for image in images]).numpy()


def compare(ours: CropNetwork, model: Any, crops: list[tuple[float, np.ndarray]]) -> dict[str, float]:
    """CPU seconds per frame of both, their ratio, the largest relative difference and the lowest cosine."""
    begin = time.process_time()
    x = ours.extract(crops).x
    middle = time.process_time()
    expected = per_frame(ours, model, crops)
    end = time.process_time()
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(expected, axis=1)
    return {
        "frames": len(crops),
        "ours_s": (middle - begin) / len(crops),
        "theirs_s": (end - middle) / len(crops),
        "ratio": (end - middle) / (middle - begin),
        "max_rel_diff": float(np.abs(x - expected).max() / np.abs(expected).max()),
        "min_cosine": float(((x * expected).sum(axis=1) / lengths).min()),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print one line a clip and the mean."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of .mp4 clips")
    parser.add_argument("--frames", type=int, default=32, help="frames of each clip (default 32)")
    parser.add_argument("--extractor", choices=SUBJECTS, default="efficientnet_b2")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of ours")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    extractor, build = SUBJECTS[options.extractor]
    ours = extractor(extractor.Config(weights=WEIGHTS, precision=options.precision, device="cpu"))
    model = build()
    paths = sorted(options.clips.glob("*.mp4"))
    if not paths:
        parser.error(f"no .mp4 clips in {options.clips}")
    compare(ours, model, centre_crops(paths[0], 4, ours))  # the first calls set up both networks
    rows = {path.stem: compare(ours, model, centre_crops(path, options.frames, ours)) for path in paths}
    names = list(next(iter(rows.values())))
    rows["mean"] = {name: float(np.mean([row[name] for row in rows.values()])) for name in names}
    print(f"{'clip':<12}" + "".join(f"{name:>14}" for name in names))
    for clip_id, row in rows.items():
        print(f"{clip_id:<12}" + "".join(f"{row[name]:>14.4g}" for name in names))


if __name__ == "__main__":
    main()
