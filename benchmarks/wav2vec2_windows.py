"""wav2vec 2.0 (large) over long sound: in overlapping windows, as the extractor goes, against all of it at once.

The convolutions are the same; attention sees a window instead of everything. Real speech, repeated to the
length asked for; random weights: how far trained attention looks is another matter.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.clips import CLIPS, sounds
from benchmarks.results import publish
from benchmarks.wav2vec2 import RATE_HZ, WEIGHTS
from pipeline.cli.options import use_threads
from pipeline.features.wav2vec2 import FRAME_RATE_HZ, Wav2Vec2

NEAR = 1e-3
MARGIN_S = 5.0
"""How far from the joints of two windows a frame counts as away from them."""


def extractor(layers: int, window_s: float | None) -> Wav2Vec2:
    """With the extractor's own window, or another."""
    asked = {} if window_s is None else {"window_s": window_s}
    return Wav2Vec2(Wav2Vec2.Config(weights=WEIGHTS, layers=layers, device="cpu", **asked))


def measure(signal: Path, out: Path, layers: int, window_s: float | None) -> None:
    """Extract in this process; print its peak memory as JSON."""
    use_threads(2)
    extract = extractor(layers, window_s).extract
    np.save(out, extract(np.load(signal)).x)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak MB": round(peak)}))


def joints(config: Wav2Vec2.Config, frames: int) -> list[int]:
    """The first frames of all windows' kept parts but the first one's."""
    kept = round((config.window_s - 2 * config.context_s) * FRAME_RATE_HZ)
    return list(range(kept, frames, kept))


def main(arguments: list[str] | None = None) -> None:
    """One child process a way; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--seconds", type=float, default=600.0, help="of sound (default 600)")
    parser.add_argument("--layers", type=int, nargs="+", default=[12, 24], help="default: 12 and 24")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.measure:
        signal, out, layers, window_s = asked.measure
        measure(Path(signal), Path(out), int(layers), float(window_s) or None)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speech = np.concatenate(sounds(asked.clips, RATE_HZ))
        np.save(folder / "signal.npy", np.resize(speech, round(asked.seconds * RATE_HZ)))
        rows = [row for layers in asked.layers for row in compare(folder, layers, asked.seconds)]
    config = Wav2Vec2.Config(weights=WEIGHTS)
    publish(
        "wav2vec2_windows",
        f"wav2vec 2.0 large over {asked.seconds:.0f} s of real speech in float32: windows of {config.window_s:g} s of "
        f"which {config.context_s:g} s at both ends are context, against everything at once. Differences are of "
        f"frames at least {MARGIN_S:g} s from where two windows join, and of all; values are of size 1.",
        rows,
    )


def compare(folder: Path, layers: int, seconds: float) -> list[dict[str, object]]:
    """A row for everything at once, one for windows."""
    found, rows = {}, []
    for way, window_s in (("at once", seconds + 1), ("windows", 0.0)):
        out = folder / f"{way}.npy"
        command = [sys.executable, "-m", "benchmarks.wav2vec2_windows", "--measure"]
        command += [str(folder / "signal.npy"), str(out), str(layers), str(window_s)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[way] = np.load(out)
        away, everywhere = differences(found["at once"], found[way])
        rows.append(
            {"layers": layers, "way": way, "frames": len(found[way])}
            | json.loads(done.stdout.splitlines()[-1])
            | {
                f"within {NEAR:g}": f"{(away <= NEAR).mean():.2%}",
                "largest, away": float(away.max()),
                "largest, anywhere": float(everywhere.max()),
            }
        )
        print(rows[-1], flush=True)
    return rows


def differences(whole: np.ndarray, windowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute differences of the frames away from joints, and of all frames."""
    assert whole.shape == windowed.shape, (whole.shape, windowed.shape)
    apart = np.abs(whole - windowed)
    frame = np.arange(len(whole))
    away = np.ones(len(whole), bool)
    for joint in joints(Wav2Vec2.Config(weights=WEIGHTS), len(whole)):
        away &= np.abs(frame - joint) >= MARGIN_S * FRAME_RATE_HZ
    return apart[away], apart


if __name__ == "__main__":
    main()
