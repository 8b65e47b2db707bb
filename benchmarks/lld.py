"""ComParE descriptors, one openSMILE kept over all clips, against a new opensmile.Smile for each clip.

`same` reads our derived configuration, so its numbers must be equal. `stock`
is the package's ComParE 2016, descriptors and deltas, at its own 10 ms step:
another framing and 1.6 times the rows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.clips import CLIPS, sounds
from benchmarks.results import publish
from benchmarks.sides import Side, Work, race, shards

from avemo.features.opensmile_lld import CompareLLD, write_config

BAR = 1.8


def ours(clips: Path) -> Work:
    """Our extractor."""
    extractor = CompareLLD(CompareLLD.Config())
    signals = sounds(clips, extractor.rate_hz)
    return lambda items: [extractor.extract(signals[item % len(signals)]).x for item in items]


def same(clips: Path) -> Work:
    """All 130 columns from a new Smile with our framing, the surplus last row dropped."""
    import opensmile

    rate_hz, signals = CompareLLD.rate_hz, sounds(clips, CompareLLD.rate_hz)
    config = write_config(Path(tempfile.mkdtemp()), CompareLLD(CompareLLD.Config()).framing)

    def features(signal: np.ndarray) -> np.ndarray:
        return opensmile.Smile(str(config), "lldall").process_signal(signal, rate_hz).to_numpy()[:-1]

    return lambda items: [features(signals[item % len(signals)]) for item in items]


def stock(clips: Path) -> Work:
    """All 130 columns at a 10 ms step, from a new Smile for each of the two levels."""
    import opensmile

    signals = sounds(clips, CompareLLD.rate_hz)
    levels = opensmile.FeatureLevel.LowLevelDescriptors, opensmile.FeatureLevel.LowLevelDescriptors_Deltas

    def features(signal: np.ndarray) -> np.ndarray:
        smiles = [opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level) for level in levels]
        lld, deltas = (smile.process_signal(signal, CompareLLD.rate_hz).to_numpy() for smile in smiles)
        return np.hstack([lld, deltas[: len(lld)]])

    return lambda items: [features(signals[item % len(signals)]) for item in items]


def main(arguments: list[str] | None = None) -> None:
    """Race the three; add their rows to the page. Fails unless ours equals `same` bit for bit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    parser.add_argument("--repeat", type=int, default=4, help="times each clip is read (default 4)")
    asked = parser.parse_args(arguments)
    signals = sounds(asked.clips, CompareLLD.rate_hz)
    length_s = asked.repeat * sum(map(len, signals)) / CompareLLD.rate_hz
    sides = {"ours": shards(ours, asked.clips)}
    sides |= {way.__name__: Side(way, (asked.clips,)) for way in (same, stock)}
    found = race(sides, asked.repeat * len(signals))
    for a, b in zip(found["ours"].outputs, found["same"].outputs, strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [
        {
            "way": name,
            "x real time": length_s / timing.seconds,
            "ratio": timing.seconds / found["ours"].seconds,
        }
        for name, timing in found.items()
    ]
    bars = {
        f"ComParE descriptors, against one opensmile call per file ({row['way']})": (row["ratio"], BAR)
        for row in rows[1:]
    }
    publish(
        "lld",
        "ComParE descriptors. `same`: a new opensmile.Smile per file with our framing, bit-equal; `stock`: the "
        "package's own framing (10 ms step), a Smile for descriptors and one for deltas.",
        rows,
        bars,
    )


if __name__ == "__main__":
    main()
