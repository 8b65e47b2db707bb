"""wav2vec 2.0 (large) features against transformers' model called on one file at a time, random weights."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from benchmarks.clips import CLIPS, sounds
from benchmarks.embedding import PRECISIONS, nearness
from benchmarks.results import publish
from benchmarks.sides import Side, Work, race, shards

from avemo.features.wav2vec2 import Wav2Vec2
from avemo.features.wav2vec2_network import load_network
from avemo.weights.find import find

WEIGHTS = "random-seed-0"
RATE_HZ = 16_000
BAR = 2.5


def ours(precision: str, layers: int, clips: Path, seconds: float) -> Work:
    """Our extractor."""
    extractor = Wav2Vec2(Wav2Vec2.Config(weights=WEIGHTS, layers=layers, precision=precision, device="cpu"))
    signals = sounds(clips, RATE_HZ, seconds)
    return lambda items: [extractor.extract(signals[item % len(signals)]).x for item in items]


def by_transformers(layers: int) -> Callable[[np.ndarray], np.ndarray]:
    """What a user would write for one file: preprocessor and model."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor

    model, prepare = load_network(find(WEIGHTS), layers), Wav2Vec2FeatureExtractor(do_normalize=True)

    def frames(signal):
        with torch.inference_mode():
            values = prepare(signal, sampling_rate=RATE_HZ, return_tensors="pt").input_values
            return model(values).last_hidden_state[0].numpy()

    return frames


def one_at_a_time(layers: int, clips: Path, seconds: float) -> Work:
    """File by file."""
    frames, signals = by_transformers(layers), sounds(clips, RATE_HZ, seconds)
    return lambda items: [frames(signals[item % len(signals)]) for item in items]


def main(arguments: list[str] | None = None) -> None:
    """Race both precisions; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each clip (default 4)")
    parser.add_argument("--layers", type=int, default=24, help="transformer layers (default 24, all)")
    asked = parser.parse_args(arguments)
    signals = sounds(asked.clips, RATE_HZ, asked.seconds)
    items = 2 * len(signals)  # an even number, which two processes share equally
    length_s = 2 * sum(map(len, signals)) / RATE_HZ
    work = asked.layers, asked.clips, asked.seconds
    sides = {"one at a time": Side(one_at_a_time, work)}
    found = race(sides | {p: shards(ours, p, *work) for p in PRECISIONS}, items, rounds=2)
    theirs = found["one at a time"]
    rows = [
        {
            "way": name,
            "x real time": length_s / timing.seconds,
            "ratio": theirs.seconds / timing.seconds,
            "lowest cosine": nearness(timing.outputs, theirs.outputs),
        }
        for name, timing in found.items()
    ]
    against = "wav2vec 2.0 large, against one file at a time in float32"
    bars = {f"{against}, {row['way']}": (row["ratio"], BAR) for row in rows[1:]}
    publish("wav2vec2", f"{against}: {asked.layers} layers.", rows, bars)


if __name__ == "__main__":
    main()
