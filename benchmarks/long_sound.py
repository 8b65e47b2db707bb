"""wav2vec 2.0 (large) over long sound: ours against transformers' model on all of it at once.

Real speech, repeated to the length asked for; random weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.child import in_a_child
from benchmarks.clips import CLIPS, sounds
from benchmarks.results import publish
from benchmarks.wav2vec2 import RATE_HZ, WEIGHTS, by_transformers

from avemo.features.wav2vec2 import Wav2Vec2

NEAR = 1e-3
WINDOW_S = 180.0
"""A window shorter than the sound, to show what windows cost."""


def everything(signal: np.ndarray, layers: int) -> np.ndarray:
    """What a user would write."""
    return by_transformers(layers)(signal)


def ours(signal: np.ndarray, layers: int, **changes: float) -> np.ndarray:
    """The extractor, with its defaults but for ``changes``."""
    config = Wav2Vec2.Config(weights=WEIGHTS, layers=layers, device="cpu", **changes)
    return Wav2Vec2(config).extract(signal).x


WAYS = {
    "transformers, at once": everything,
    "ours": ours,
    f"ours, window_s: {WINDOW_S:g}": partial(ours, window_s=WINDOW_S),
}


def timed(work: Callable[..., np.ndarray], signal: Path, layers: int, out: Path) -> float:
    """Write ``work``'s frames to ``out``; the seconds they took."""
    sound, started = np.load(signal), time.perf_counter()
    found = work(sound, layers)
    seconds = time.perf_counter() - started
    np.save(out, found)
    return seconds


def main(arguments: list[str] | None = None) -> None:
    """One child process a way; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--seconds", type=float, default=600.0, help="of sound (default 600)")
    parser.add_argument("--layers", type=int, default=12, help="transformer layers (default 12, as VAVL)")
    asked = parser.parse_args(arguments)
    rows, frames = [], {}
    with TemporaryDirectory() as name:
        signal = Path(name) / "signal.npy"
        speech = np.concatenate(sounds(asked.clips, RATE_HZ))
        np.save(signal, np.resize(speech, round(asked.seconds * RATE_HZ)))
        for way, work in WAYS.items():
            out = signal.with_name("frames.npy")
            seconds, peak = in_a_child(timed, work, signal, asked.layers, out)
            frames[way] = np.load(out)
            apart = np.abs(frames[way] - frames["transformers, at once"])
            rows.append(
                {
                    "way": way,
                    "frames": len(apart),
                    "seconds": seconds,
                    "peak MB": peak,
                    f"within {NEAR:g}": f"{(apart <= NEAR).mean():.2%}",
                    "largest difference": float(apart.max()),
                }
            )
            print(rows[-1], flush=True)
    publish(
        "long_sound",
        f"wav2vec 2.0 large, {asked.layers} layers in float32, over {asked.seconds:.0f} s of real speech, two threads. "
        f"Values are of size 1. By default sound of up to {Wav2Vec2.Config(weights=WEIGHTS).window_s:.0f} s is one "
        "window, in which every frame attends to all; in shorter ones frames attend to fewer.",
        rows,
    )


if __name__ == "__main__":
    main()
