"""Clip to stored frame features: our shard jobs against the order of work that the papers' code follows.

Published order: decode with OpenCV, detect in every frame at native size, save the crop as a picture, read it
back, embed frame by frame in float32, save one .npy a clip. Ours: track, then crop and embed from the decoded
frames in batches, into a shard's store, published.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.clips import CLIPS, clip, paths
from benchmarks.embedding import PRECISIONS, SUBJECTS, extractor
from benchmarks.results import publish
from benchmarks.sides import Side, Work, race, shards

from avemo.base.contracts import Clip, FeatureSequence
from avemo.cache.fill import fill
from avemo.cache.shard import Shard
from avemo.cache.store import ShardStore
from avemo.faces.track import FaceTracker
from avemo.features.extraction import extract_visual, track_clip

BAR = 4.0


def interval(path: Path, number: int, seconds: float) -> Clip:
    """The first seconds of a file, under an id of its own."""
    return replace(clip(path, seconds), clip_id=f"clip{number:03d}")


def shard_jobs(name: str, precision: str, clips: Path, seconds: float) -> Work:
    """What `avemo faces track` and `avemo extract` do with a shard's clips."""
    files, tracker, embed = paths(clips), FaceTracker(), extractor(name, precision)

    def work(items):
        chosen = [interval(files[item % len(files)], item, seconds) for item in items]
        with tempfile.TemporaryDirectory() as folder:
            faces = stored(Path(folder) / "faces", chosen, lambda clip: track_clip(tracker, clip))
            tracks = dict(zip(chosen, faces, strict=True))
            return [
                sequence.x
                for sequence in stored(
                    Path(folder) / "features", chosen, lambda clip: extract_visual(embed, clip, tracks[clip])
                )
            ]

    return work


def stored(folder: Path, clips: list[Clip], compute) -> list[FeatureSequence]:
    """Fill a store with the clips, publish its shard, read it."""
    by_id = {clip.clip_id: clip for clip in clips}
    wanted = dict.fromkeys(by_id, "key")
    with ShardStore(folder, {}) as store:
        summary = fill(store, wanted, lambda name: compute(by_id[name]))
        assert not summary.failed, summary.failed
        store.publish(wanted, folder / "0000.h5")
    with Shard(folder / "0000.h5") as shard:
        return [shard.read(name) for name in by_id]


def published_order(name: str, clips: Path, seconds: float) -> Work:
    """What a user would write, after the papers' repositories."""
    import cv2
    import torch
    from facenet_pytorch import MTCNN

    files, ours = paths(clips), extractor(name, "float32")
    detector, model = MTCNN(device=torch.device("cpu")), SUBJECTS[name][1]()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (ours.mean, ours.std))
    side = ours.crop.size_px

    def save_crops(path: Path, folder: Path) -> list[Path]:
        video, saved = cv2.VideoCapture(str(path)), []
        while True:
            read, frame = video.read()
            if not read or video.get(cv2.CAP_PROP_POS_MSEC) >= 1000 * seconds:
                return saved
            boxes, _ = detector.detect(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            if boxes is not None:
                x0, y0, x1, y1 = (max(0, round(float(value))) for value in boxes[0])
                saved.append(folder / f"{len(saved):05d}.png")
                cv2.imwrite(str(saved[-1]), cv2.resize(frame[y0:y1, x0:x1], (side, side)))

    def embed(picture: Path) -> np.ndarray:
        image = torch.from_numpy(cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB))
        with torch.no_grad():
            return model(((image.permute(2, 0, 1).float() - mean) / std)[None])[0].numpy()

    def work(items):
        found = []
        for item in items:
            with tempfile.TemporaryDirectory() as folder:
                crops = save_crops(files[item % len(files)], Path(folder))
                np.save(Path(folder) / "features.npy", np.stack([embed(crop) for crop in crops]))
                found.append(np.load(Path(folder) / "features.npy"))
        return found

    return work


def main(arguments: list[str] | None = None) -> None:
    """Race both orders; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each clip (default 1)")
    parser.add_argument("--extractor", choices=SUBJECTS, nargs="+", default=list(SUBJECTS))
    asked = parser.parse_args(arguments)
    items = 2 * len(paths(asked.clips))  # an even number, which two processes share equally
    rows, bars = [], {}
    for name in asked.extractor:
        sides = {"published order": Side(published_order, (name, asked.clips, asked.seconds))}
        sides |= {p: shards(shard_jobs, name, p, asked.clips, asked.seconds) for p in PRECISIONS}
        found = race(sides, items, rounds=2)
        for side, timing in found.items():
            ratio = found["published order"].seconds / timing.seconds
            frames = sum(map(len, timing.outputs))
            rows.append(
                {
                    "features": name,
                    "way": side,
                    "frames": frames,
                    "frames a second": frames / timing.seconds,
                    "ratio": ratio,
                }
            )
            if side in PRECISIONS:
                bars[f"whole published order of work, {name} in {side}"] = (ratio, BAR)
    publish("published_order", "Real clips to stored frame features.", rows, bars)


if __name__ == "__main__":
    main()
