"""Face tracking against facenet-pytorch's MTCNN called once per frame at full size."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from benchmarks.clips import CLIPS, decoded
from benchmarks.results import publish
from benchmarks.sides import Side, Work, race, shards

from avemo.base.contracts import TrackStatus
from avemo.faces.track import FaceTracker, iou

NEAR = 0.9
"""Boxes are equal from this intersection over union."""
BAR, SHARE = 5.0, 0.99
Boxes = list[np.ndarray | None]


def ours(clips: Path, count: int, config: FaceTracker.Config) -> Work:
    """Our tracker: the chosen face of each frame."""
    frames, tracker = list(decoded(clips, count).values()), FaceTracker(config)

    def boxes(clip: int) -> Boxes:
        track = tracker.track(iter(frames[clip]))
        return [row[:4] if row[-2] != TrackStatus.missing else None for row in track.x]

    return lambda items: [boxes(clip) for clip in items]


def theirs(clips: Path, count: int) -> Work:
    """What a user would write: the largest face of each frame, or None."""
    import torch
    from facenet_pytorch import MTCNN

    frames, detector = list(decoded(clips, count).values()), MTCNN(device=torch.device("cpu"))

    def boxes(clip: int) -> Boxes:
        found = [detector.detect(frame)[0] for _, frame in frames[clip]]
        return [None if box is None else np.asarray(box[0], dtype=np.float32) for box in found]

    return lambda items: [boxes(clip) for clip in items]


def overlaps(ours: Sequence[np.ndarray | None], theirs: Sequence[np.ndarray | None]) -> np.ndarray:
    """Intersection over union of the frames in which both see a face."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    return np.array([iou(a, b[None])[0] for a, b in pairs])


def main(arguments: list[str] | None = None) -> None:
    """Race both; add a row a clip to the page."""
    default = FaceTracker.Config()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--frames", type=int, default=48, help="frames of each clip (default 48)")
    parser.add_argument("--key-every", type=int, default=default.key_every)
    asked = parser.parse_args(arguments)
    names = list(decoded(asked.clips, 1))
    config = FaceTracker.Config(device="cpu", key_every=asked.key_every)
    sides = {
        "ours": shards(ours, asked.clips, asked.frames, config),
        "theirs": Side(theirs, (asked.clips, asked.frames)),
    }
    found = race(sides, len(names))
    ratio = found["theirs"].seconds / found["ours"].seconds
    rows, near, seen = [], 0, 0
    for name, a, b in zip(names, found["ours"].outputs, found["theirs"].outputs, strict=True):
        shared = overlaps(a, b)
        near, seen = near + int((shared >= NEAR).sum()), seen + len(shared)
        rows.append(
            {
                "clip": name,
                "frames": len(a),
                "with a face, ours": sum(box is not None for box in a) / len(a),
                "with a face, theirs": sum(box is not None for box in b) / len(b),
                "mean IoU": float(shared.mean()),
                f"IoU >= {NEAR}": float((shared >= NEAR).mean()),
            }
        )
    frames = sum(len(boxes) for boxes in found["ours"].outputs)
    speeds = ", ".join(f"{name} {frames / timing.seconds:.1f}" for name, timing in found.items())
    what = "face tracking, against MTCNN per frame at native size"
    bars = {what: (ratio, BAR), f"face boxes: share of frames with IoU >= {NEAR}": (near / seen, SHARE)}
    publish("faces", f"{what}. Frames a second: {speeds}; ratio {ratio:.2f}.", rows, bars)


if __name__ == "__main__":
    main()
