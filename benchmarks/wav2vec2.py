"""wav2vec 2.0 (large) features against transformers' model called on one file at a time, random weights.

Times are CPU times of one thread. bfloat16 wins where the processor multiplies
it natively (AVX512-BF16, AMX); whether it stays near float32 is printed beside.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contracts import Clip
from pipeline.features.wav2vec2 import Wav2Vec2
from pipeline.features.wav2vec2_network import load_network
from pipeline.features.weights import find
from pipeline.media import read_audio

WEIGHTS = "random-seed-0"


def one_at_a_time(model: Any, signals: list[np.ndarray]) -> list[np.ndarray]:
    """What a user would write: preprocessor and model, file by file."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor

    prepare = Wav2Vec2FeatureExtractor(do_normalize=True)
    with torch.no_grad():
        inputs = (prepare(x, sampling_rate=16_000, return_tensors="pt").input_values for x in signals)
        return [model(values).last_hidden_state[0].numpy() for values in inputs]


def timed(
    extract: Callable[[list[np.ndarray]], list[np.ndarray]], signals: list[np.ndarray]
) -> tuple[float, np.ndarray]:
    """CPU seconds for all signals, and their frames; a first short call sets the network up."""
    extract([signals[0][:8_000]])
    begin = time.process_time()
    frames = extract(signals)
    return time.process_time() - begin, np.concatenate(frames)


def ours(precision: str, layers: int) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Our extractor, all signals at once."""
    extractor = Wav2Vec2(
        Wav2Vec2.Config(weights=WEIGHTS, layers=layers, precision=precision, device="cpu", batch_s=20)
    )
    return lambda signals: [features.x for features in extractor.extract_many(signals)]


def main(arguments: list[str] | None = None) -> None:
    """Print speed, ratio and nearness of each precision."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of .mp4 clips")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip (default 5)")
    parser.add_argument("--layers", type=int, default=24, help="transformer layers (default 24, all)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    paths = sorted(options.clips.glob("*.mp4"))
    if not paths:
        parser.error(f"no .mp4 clips in {options.clips}")
    signals = [
        read_audio(Clip(path.stem, "?", "?", video_path=path, end_s=options.seconds), 16_000)
        for path in paths
    ]
    length_s = sum(map(len, signals)) / 16_000
    model = load_network(find(WEIGHTS), options.layers)
    theirs_s, expected = timed(lambda x: one_at_a_time(model, x), signals)
    print(f"{len(signals)} clips, {length_s:.1f} s of sound, {options.layers} layers, random weights")
    print(f"{'':<14}{'x real time':>12}{'ratio':>8}{'max diff':>11}{'min cosine':>12}")
    print(f"{'transformers':<14}{length_s / theirs_s:>12.2f}{1:>8.2f}")
    for precision in ("float32", "bfloat16"):
        ours_s, found = timed(ours(precision, options.layers), signals)
        cosine = (found * expected).sum(1) / (
            np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        )
        print(
            f"{precision:<14}{length_s / ours_s:>12.2f}{theirs_s / ours_s:>8.2f}"
            f"{np.abs(found - expected).max():>11.1e}{cosine.min():>12.5f}"
        )


if __name__ == "__main__":
    main()
