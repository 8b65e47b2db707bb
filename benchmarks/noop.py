"""Time of `snakemake` with nothing to do, and of a dry run, on the finished demo."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.results import publish


def timed(*arguments: str) -> tuple[float, str]:
    """Seconds and output of one Snakemake call."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout + done.stderr


def main(arguments: list[str] | None = None) -> None:
    """Add both times, beside Snakemake's own start-up, to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, help="not used; every benchmark is given it")
    parser.parse_args(arguments)
    version_s, _ = timed("--version")
    dry_s, output = timed("-n")
    if "Nothing to be done" not in output:
        raise SystemExit(
            "noop: expected the demo to be finished here, found work to do; run `make demo` first"
        )
    run_s, _ = timed()
    rows = [
        {"call": "snakemake --version", "seconds": version_s},
        {"call": "dry run", "seconds": dry_s},
        {"call": "run with nothing to do", "seconds": run_s},
    ]
    publish("noop", "Snakemake on the finished demo, and its own start-up.", rows)


if __name__ == "__main__":
    main()
