"""Where extraction's time goes: each stage's share on real clips, and what that makes for a corpus of CREMA-D's size.

One process; on a GPU, where there is one, for the networks. Every component decodes for itself, so that each can be
computed, cached and dropped apart; `decode` is what that costs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.clips import CLIPS, clip, paths
from benchmarks.results import publish

from avemo.base.contracts import Clip, FeatureSequence, Status
from avemo.cache.items import Item
from avemo.cache.store import ShardStore
from avemo.faces.crop import crops
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.features.extraction import extract_audio, extract_visual, track_clip
from avemo.media.pictures import iter_frames
from avemo.media.sound import read_audio

CORPUS_CLIPS, CORPUS_CLIP_S = 7442, 2.54
"""CREMA-D."""
AUDIO = ("compare_lld", "egemaps", "logmel", "wav2vec2")
VISUAL = ("efficientnet_b2", "vgg_face_fc6")
WEIGHTS = "random-seed-0"


def opened(name: str, precision: str) -> Any:
    """An extractor; networks with random weights, which are as fast as others."""
    kind = EXTRACTORS.load(name)
    asked = {"weights": WEIGHTS, "precision": precision}
    return kind(kind.Config(**{key: asked[key] for key in asked if key in kind.Config.model_fields}))


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds, and what ``work`` gives."""
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def write(features: dict[str, FeatureSequence]) -> None:
    """Keep features in a shard's store and publish it."""
    items = [Item(name, "key", Status.ok, "", found.x, found.times_s) for name, found in features.items()]
    with tempfile.TemporaryDirectory() as folder, ShardStore(Path(folder), {}) as store:
        store.append(items)
        store.publish(dict.fromkeys(features, "key"), Path(folder) / "0000.h5")


Tracked = list[tuple[Clip, FeatureSequence]]


def visual(extractor: Any, clips: Tracked) -> tuple[float, float, dict[str, FeatureSequence]]:
    """Seconds to decode and crop, seconds to decode, crop and embed, and the features."""
    cut_s, _ = spent(lambda: [sum(1 for _ in crops(iter_frames(c), t, extractor.crop)) for c, t in clips])
    whole_s, features = spent(lambda: {c.clip_id: extract_visual(extractor, c, t) for c, t in clips})
    return cut_s, whole_s, features


def measure(clips: Path, seconds: float, precision: str) -> tuple[dict[str, float], float]:
    """Seconds a stage, and seconds of media. Files are read, and everything else runs on a short clip, before it is timed."""
    chosen, short = [clip(path, seconds) for path in paths(clips)], clip(paths(clips)[0], 0.3)
    found: dict[str, float] = {}
    tracker = FaceTracker()
    warm = [(short, track_clip(tracker, short))]
    for c in chosen:
        read_audio(c, 16_000)
        sum(1 for _ in iter_frames(c))
    found["decode pictures"], _ = spent(lambda: [sum(1 for _ in iter_frames(c)) for c in chosen])
    found["decode sound"], sounds = spent(lambda: [read_audio(c, 16_000) for c in chosen])
    tracked_s, tracks = spent(lambda: [track_clip(tracker, c) for c in chosen])
    found["detect and track"] = tracked_s - found["decode pictures"]
    for name in VISUAL:
        extractor = opened(name, precision)
        visual(extractor, warm)
        cut_s, whole_s, features = visual(extractor, list(zip(chosen, tracks, strict=True)))
        found[f"crop for {name}"], found[name] = cut_s - found["decode pictures"], whole_s - cut_s
        found[f"write {name}"], _ = spent(partial(write, features))
    for name in AUDIO:
        extractor = opened(name, precision)
        extract_audio(extractor, short)
        whole_s, _ = spent(partial(sound, extractor, chosen))
        found[name] = whole_s - found["decode sound"]
    return found, sum(len(x) for x in sounds) / 16_000


def sound(extractor: Any, clips: list[Clip]) -> list[FeatureSequence]:
    """Acoustic features of each clip."""
    return [extract_audio(extractor, c) for c in clips]


def main(arguments: list[str] | None = None) -> None:
    """Add a row a stage to the page."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument(
        "--seconds", type=float, default=CORPUS_CLIP_S, help="of each clip (default CREMA-D's)"
    )
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found, length_s = measure(asked.clips, asked.seconds, asked.precision)
    total = sum(found.values())
    scale = CORPUS_CLIPS * CORPUS_CLIP_S / length_s / 3600
    rows = [
        {
            "stage": stage,
            "ms a second of media": 1000 * seconds / length_s,
            "share": f"{seconds / total:.1%}",
            "hours of one process, CREMA-D": scale * seconds,
        }
        for stage, seconds in found.items()
    ]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU, one thread"
    publish(
        "shares",
        f"Where extraction's time goes: {length_s:.0f} s of real clips, networks in {asked.precision} on the {device}. "
        f"A machine runs as many such processes as it has cores ({os.cpu_count()} here); every component decodes for "
        "itself, so that it can be computed, cached and dropped apart.",
        rows,
    )


if __name__ == "__main__":
    main()
