"""EfficientNet-B2 features against timm called once per frame, in the order pixels are stored (NCHW).

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
from pipeline.features.efficientnet import EfficientNetB2, load_model
from pipeline.features.known_weights import IMAGENET_MEAN, IMAGENET_STD
from pipeline.features.weights import find
from pipeline.media import iter_frames


def centre_crops(path: Path, count: int, extractor: EfficientNetB2) -> list[tuple[float, np.ndarray]]:
    """The middle of the first ``count`` frames; where the face is changes no speed."""
    crops = []
    for (time_s, frame), _ in zip(
        iter_frames(Clip(path.stem, "?", "?", video_path=path)), range(count), strict=False
    ):
        height, width = frame.shape[:2]
        box = np.array([width * 0.3, height * 0.1, width * 0.7, height * 0.8])
        crops.append((time_s, cut(frame, box, extractor.crop)))
    return crops


def per_frame(model: Any, crops: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """What a user would write: normalise one frame, run it, keep ``(frames, 1408)``."""
    import torch

    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        images = (torch.from_numpy(crop).permute(2, 0, 1).contiguous() / 255 for _, crop in crops)
        return torch.cat([model(((image - mean) / std)[None]) for image in images]).numpy()


def compare(ours: EfficientNetB2, model: Any, crops: list[tuple[float, np.ndarray]]) -> dict[str, float]:
    """CPU seconds per frame of both, their ratio, and the largest difference relative to the largest value."""
    begin = time.process_time()
    x = ours.extract(crops).x
    middle = time.process_time()
    expected = per_frame(model, crops)
    end = time.process_time()
    return {
        "frames": len(crops),
        "ours_s": (middle - begin) / len(crops),
        "theirs_s": (end - middle) / len(crops),
        "ratio": (end - middle) / (middle - begin),
        "max_rel_diff": float(np.abs(x - expected).max() / np.abs(expected).max()),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print one line a clip and the mean."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of .mp4 clips")
    parser.add_argument("--frames", type=int, default=32, help="frames of each clip (default 32)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ours = EfficientNetB2(EfficientNetB2.Config(weights="random-seed-0", device="cpu"))
    model = load_model(find("random-seed-0"))
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
