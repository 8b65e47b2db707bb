"""Face tracking against facenet-pytorch's MTCNN called once per frame at full size."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from pipeline.contracts import Clip, TrackStatus
from pipeline.faces.track import FaceTracker, iou
from pipeline.media import iter_frames


def per_frame(detector, frames: list[tuple[float, np.ndarray]]) -> list[np.ndarray | None]:
    """What a user would write: the largest face of each frame, or None."""
    boxes = [detector.detect(frame)[0] for _, frame in frames]
    return [None if found is None else np.asarray(found[0], dtype=np.float32) for found in boxes]


def compare(tracker: FaceTracker, detector, frames: list[tuple[float, np.ndarray]]) -> dict[str, float]:
    """Seconds per frame of both, their ratio, mean IoU where both see a face, frames with a face."""
    begin = time.perf_counter()
    track = tracker.track(iter(frames))
    middle = time.perf_counter()
    theirs = per_frame(detector, frames)
    end = time.perf_counter()
    ours = [row[:4] if row[-2] != TrackStatus.missing else None for row in track.x]
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    return {
        "frames": len(frames),
        "ours_s": (middle - begin) / len(frames),
        "theirs_s": (end - middle) / len(frames),
        "ratio": (end - middle) / (middle - begin),
        "iou": float(np.mean([iou(a, b[None])[0] for a, b in pairs])) if pairs else 0.0,
        "found": float(np.mean([a is not None for a in ours])),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print one line a clip and the mean."""
    import torch
    from facenet_pytorch import MTCNN

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--frames", type=int, default=100, help="frames of each clip (default 100)")
    parser.add_argument("--key-every", type=int, default=FaceTracker.Config().key_every)
    parser.add_argument("--side", type=int, default=FaceTracker.Config().detect_side_px)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tracker = FaceTracker(
        FaceTracker.Config(device="cpu", key_every=options.key_every, detect_side_px=options.side)
    )
    detector = MTCNN(device=torch.device("cpu"))
    results = {}
    for path in sorted(p for p in options.clips.iterdir() if p.suffix in (".mp4", ".avi", ".flv", ".mkv")):
        clip = Clip(path.stem, "?", "?", video_path=path)
        frames = [item for item, _ in zip(iter_frames(clip), range(options.frames), strict=False)]
        results[path.stem] = compare(tracker, detector, frames)
    if not results:
        parser.error(f"no videos in {options.clips}")
    names = list(next(iter(results.values())))
    results["mean"] = {name: float(np.mean([row[name] for row in results.values()])) for name in names}
    print(f"{'clip':<12}" + "".join(f"{name:>10}" for name in names))
    for clip_id, row in results.items():
        print(f"{clip_id:<12}" + "".join(f"{row[name]:>10.4g}" for name in names))


if __name__ == "__main__":
    main()
