"""ComParE descriptors, one openSMILE kept over all clips, against a new opensmile.Smile for each clip.

`same` reads our derived configuration, so its numbers must be equal. `stock`
is the package's ComParE 2016, descriptors and deltas, at its own 10 ms step:
another framing and 1.6 times the rows. Times are CPU times of one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.contracts import Clip
from pipeline.features.opensmile_lld import CompareLLD, write_config
from pipeline.media import read_audio


def same(config: Path, signal: np.ndarray, rate_hz: int) -> np.ndarray:
    """All 130 columns from a new Smile with our framing, the surplus last row dropped."""
    import opensmile

    return opensmile.Smile(str(config), "lldall").process_signal(signal, rate_hz).to_numpy()[:-1]


def stock(signal: np.ndarray, rate_hz: int) -> np.ndarray:
    """All 130 columns at a 10 ms step, from a new Smile for each of the two levels."""
    import opensmile

    levels = opensmile.FeatureLevel.LowLevelDescriptors, opensmile.FeatureLevel.LowLevelDescriptors_Deltas
    smiles = [opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level) for level in levels]
    lld, deltas = (smile.process_signal(signal, rate_hz).to_numpy() for smile in smiles)
    return np.hstack([lld, deltas[: len(lld)]])


def timed(
    extract: Callable[[np.ndarray], np.ndarray], signals: list[np.ndarray]
) -> tuple[float, list[np.ndarray]]:
    """CPU seconds for all signals and their features."""
    begin = time.process_time()
    features = [extract(signal) for signal in signals]
    return time.process_time() - begin, features


def main(arguments: list[str] | None = None) -> None:
    """Print CPU seconds per second of sound for the three, and whether the numbers are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of .mp4 clips")
    parser.add_argument("--repeat", type=int, default=5, help="times each clip is read (default 5)")
    options = parser.parse_args(arguments)
    ours = CompareLLD(CompareLLD.Config())
    clips = [Clip(path.stem, "?", "?", video_path=path) for path in sorted(options.clips.glob("*.mp4"))]
    if not clips:
        parser.error(f"no .mp4 clips in {options.clips}")
    signals = [read_audio(clip, ours.rate_hz) for clip in clips] * options.repeat
    length_s = sum(map(len, signals)) / ours.rate_hz
    with tempfile.TemporaryDirectory() as folder:
        config = write_config(Path(folder), ours.framing)
        ours_s, features = timed(lambda signal: ours.extract(signal).x, signals)
        same_s, expected = timed(lambda signal: same(config, signal, ours.rate_hz), signals)
    stock_s, _ = timed(lambda signal: stock(signal, ours.rate_hz), signals)
    equal = all(np.array_equal(a, b) for a, b in zip(features, expected, strict=True))
    print(f"{len(signals)} clips, {length_s:.1f} s of sound; ours equals same: {equal}")
    print(f"{'':<8}{'s per s':>10}{'ratio':>8}")
    for name, seconds in (("ours", ours_s), ("same", same_s), ("stock", stock_s)):
        print(f"{name:<8}{seconds / length_s:>10.5f}{seconds / ours_s:>8.2f}")


if __name__ == "__main__":
    main()
