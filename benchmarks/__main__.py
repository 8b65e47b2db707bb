"""`make bench`: every benchmark, each against what a user would run instead, in one run."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

BENCHMARKS = (
    "faces",
    "embedding",
    "lld",
    "wav2vec2",
    "memory",
    "noop",
    "training",
    "training_vavl",
    "streaming",
    "storage",
)


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=BENCHMARKS, help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument(
        "--clips", type=Path, default=Path("../shared/data/clips"), help="folder of .mp4 clips"
    )
    asked = parser.parse_args()
    for name in asked.names:
        print(f"\n== {name}", flush=True)
        sys.argv = [name, "--clips", str(asked.clips)]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
