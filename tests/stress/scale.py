"""Corpora of 7,442 and 25,000 short clips: what starting, planning, doing nothing and adding one clip cost.

The clips are hard links to a few generated sounds, indexed for real. Their stores and shards come from the real
commands too, only that each clip's frames are made up instead of extracted. Snakemake then runs every job once with
an ``avemo`` that puts these files in place, and everything measured is real again, the added clip's extraction too.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.contracts import FeatureSequence
from avemo.cache.manifest import FeatureSet
from avemo.features import extraction
from avemo.index.clip_table import read_table
from stress.arena import Arena, write_sound
from stress.by_hand import ByHand
from stress.tally import Tally

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


def measured(folder: Path, clips: int, shards: int, tally: Tally) -> None:
    """A table's rows for one size."""
    corpus = Corpus(folder, clips, shards)
    begin = time.monotonic()
    hand = corpus.finished()
    print(f"{clips} clips made in {time.monotonic() - begin:.0f} s", flush=True)
    planned, planning = watched(corpus, "-n", *TARGETS)
    tally.expect("Nothing to be done" in planned, f"expected nothing to be done, found:\n{planned[-3000:]}")
    _, nothing = watched(corpus, *TARGETS)
    index, manifest = folder / hand.layout.index, folder / hand.layout.manifest(hand.component)
    reading, first = timed(lambda: read_table(index)), timed(lambda: opening(manifest))
    write_sound(folder / "new.wav", 1000, 0.3)
    corpus.rows.append("new")
    corpus.write_table()
    printed, adding = watched(corpus, "features")
    computed, jobs = corpus.computed(), len(re.findall(r"^Finished jobid", printed, re.MULTILINE))
    tally.expect(computed == ["compare_lld new"], f"expected the new clip alone, found {computed[:5]}")
    tally.table += [
        (f"{clips}: snakemake -n", *planning, "5 s, 1000 MB"),
        (f"{clips}: snakemake, nothing to do", *nothing, "15 s, 1000 MB"),
        (f"{clips}: read the clip table", *reading, "1 s"),
        (f"{clips}: open a component, read one clip", *first, "as for any size"),
        (f"{clips}: add one clip, {jobs} jobs, its extraction included", *adding, "10 s"),
    ]


def scale(folder: Path, size: float) -> Tally:
    """Both sizes of corpus, or that share of their clips."""
    tally = Tally()
    tally.table = [HEAD]
    for clips, shards in SIZES:
        measured(folder / str(clips), max(SOUNDS, round(clips * size)), shards, tally)
    return tally
