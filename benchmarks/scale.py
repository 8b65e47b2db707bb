"""Corpora of 7,442 and 25,000 short clips: what starting, planning, doing nothing and adding one clip cost.

The clips are hard links to a few generated sounds, indexed for real. Their stores and shards come from the real
commands too, only that each clip's frames are made up instead of extracted. Snakemake then runs every job once with
an ``avemo`` that puts these files in place, and everything measured is real again, the added clip's extraction too.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.stress.arena import Arena, write_sound
from benchmarks.stress.by_hand import ByHand
from benchmarks.stress.page import write_section

from avemo.base.contracts import FeatureSequence
from avemo.cache.manifest import FeatureSet
from avemo.features import extraction
from avemo.index.clip_table import read_table

SOUNDS = 8
SIZES = ((7_442, 32), (25_000, 64))
"""Clips and shards."""
TARGETS = ("features", "results/stress/data/splits.json")
HEAD = ("what", "wall s", "CPU s", "peak MB", "target")


PUTS_IN_PLACE = """#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = --out ]; then mkdir -p "$(dirname "$2")" && ln "made/$2" "$2"; fi
  shift
done
"""


def made_up(extractor: Any, clip: Any) -> FeatureSequence:
    """Two frames in place of a clip's features."""
    return FeatureSequence(np.full((2, extractor.dim), len(clip.clip_id), np.float32), np.array([0.0, 0.01]))


class Corpus(Arena):
    """An arena whose clips are hard links to a few sounds."""

    def __init__(self, folder: Path, clips: int, shards: int):
        super().__init__(folder, clips=SOUNDS, shards=shards, splits={"n": 2, "dev": 0.25, "test": 0.25})
        self.rows = [f"clip{number:05d}" for number in range(clips)]
        for number, name in enumerate(self.rows[SOUNDS:], start=SOUNDS):
            os.link(folder / f"clip{number % SOUNDS:05d}.wav", folder / f"{name}.wav")
        self.write_table()

    def finished(self) -> ByHand:
        """Everything that the workflow would have made, and Snakemake's word for it."""
        hand = ByHand(self)
        real, extraction.extract_audio = extraction.extract_audio, made_up
        hand.prepare()
        extraction.extract_audio = real
        for name in ("cache", "results"):
            shutil.copytree(self.folder / name, self.folder / "made" / name, copy_function=os.link)
        script = self.folder / "bin" / "avemo"
        traced = script.read_text()
        script.write_text(PUTS_IN_PLACE)
        self.snakemake("--forceall", *TARGETS)
        script.write_text(traced)
        self.computed()
        return hand


def watched(corpus: Corpus, *arguments: str) -> tuple[str, tuple[str, ...]]:
    """What Snakemake printed; its wall and CPU seconds, those of its jobs included, and its own peak memory."""
    before, begin, peak = _children_s(), time.monotonic(), 0
    process = corpus.start_snakemake(*arguments)
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.05)
    printed = corpus.finish(process)
    figures = time.monotonic() - begin, _children_s() - before, peak / 1024
    return printed, (f"{figures[0]:.1f}", f"{figures[1]:.1f}", f"{figures[2]:.0f}")


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(act: Callable[[], Any]) -> tuple[str, str, str]:
    """Wall and CPU seconds."""
    begin, cpu = time.monotonic(), time.process_time()
    act()
    return f"{time.monotonic() - begin:.3f}", f"{time.process_time() - cpu:.3f}", ""


def opening(manifest: Path) -> None:
    """Open a component and read one clip's frames."""
    with FeatureSet(manifest) as features:
        features.read("clip00000")


def measure(folder: Path, clips: int, shards: int) -> list[tuple[str, ...]]:
    """A table's rows for one size."""
    corpus = Corpus(folder, clips, shards)
    begin = time.monotonic()
    hand = corpus.finished()
    print(f"{clips} clips made in {time.monotonic() - begin:.0f} s", flush=True)
    planned, planning = watched(corpus, "-n", *TARGETS)
    if "Nothing to be done" not in planned:
        raise RuntimeError(f"expected nothing to be done, found:\n{planned[-3000:]}")
    _, nothing = watched(corpus, *TARGETS)
    index, manifest = folder / hand.layout.index, folder / hand.layout.manifest(hand.component)
    reading, first = timed(lambda: read_table(index)), timed(lambda: opening(manifest))
    write_sound(folder / "new.wav", 1000, 0.3)
    corpus.rows.append("new")
    corpus.write_table()
    printed, adding = watched(corpus, "features")
    computed, jobs = corpus.computed(), len(re.findall(r"^Finished jobid", printed, re.MULTILINE))
    if computed != ["compare_lld new"]:
        raise RuntimeError(f"expected the new clip computed alone, found {computed[:5]} of {len(computed)}")
    return [
        (f"{clips}: snakemake -n", *planning, "5 s, 1000 MB"),
        (f"{clips}: snakemake, nothing to do", *nothing, "15 s, 1000 MB"),
        (f"{clips}: read the clip table", *reading, "1 s"),
        (f"{clips}: open a component, read one clip", *first, "as for any size"),
        (f"{clips}: add one clip, {jobs} jobs, its extraction included", *adding, "10 s"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table and add it to docs/reliability.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help="400 clips instead, to try it")
    asked = parser.parse_args(arguments)
    table: list[Sequence[str]] = [HEAD]
    for clips, shards in [(400, 4)] if asked.small else SIZES:
        with tempfile.TemporaryDirectory(prefix="avemo-scale-") as folder:
            table += measure(Path(folder) / "arena", clips, shards)
    counts = {
        "corpora": "generated sounds, made-up features",
        "processes that also wanted the machine": round(os.getloadavg()[0]),
    }
    print(*(" | ".join(row) for row in table), counts, sep="\n")
    if not asked.small:
        write_section(Path("docs/reliability.md"), "scale", counts, table)


if __name__ == "__main__":
    main()
