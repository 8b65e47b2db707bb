"""Time of `snakemake` with nothing to do, and of a dry run, on the finished demo."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time


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


def main() -> None:
    """Print both times beside Snakemake's own start-up."""
    argparse.ArgumentParser(description=__doc__).parse_known_args()
    floor, _ = timed("--version")
    dry, output = timed("-n")
    if "Nothing to be done" not in output:
        print("the demo is not finished here: run `make demo` first; these times are of a dry run with work")
    real, _ = timed("-n") if "Nothing to be done" not in output else timed()
    print(
        f"snakemake --version {floor:5.1f} s\ndry run             {dry:5.1f} s\nno-op run           {real:5.1f} s"
    )


if __name__ == "__main__":
    main()
