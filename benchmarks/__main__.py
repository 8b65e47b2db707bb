"""`make bench`: every benchmark, each against what a user would run instead, in one run."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from benchmarks.clips import CLIPS

BENCHMARKS = (
    "faces",
    "embedding",
    "lld",
    "wav2vec2",
    "long_sound",
    "published_order",
    "shares",
    "memory",
    "noop",
    "training",
    "training_vavl",
    "packing",
    "host",
    "epochs",
    "streaming",
    "storage",
    "scaling",
)


def main() -> None:
    """Run the named benchmarks, or all; one that cannot run is named at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=BENCHMARKS, help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of .mp4 clips")
    asked = parser.parse_args()
    refused = []
    for name in asked.names:
        print(f"\n== {name}", flush=True)
        try:
            importlib.import_module(f"benchmarks.{name}").main(["--clips", str(asked.clips)])
        except SystemExit as stop:
            if stop.code:
                refused.append(f"{name}: {stop.code}")
    if refused:
        raise SystemExit("\n".join(["not measured:", *refused]))


if __name__ == "__main__":
    main()
