"""Drawn clips of CREMA-D's shape: 480 × 360 at 30 pictures a second, about 2.5 s, FLV1 and MP3.

`python -m benchmarks.gpu.sample FOLDER COUNT`. The faces are drawn and the voices synthetic: they cost what real clips
cost, and say nothing about people.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np

from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.encode import write_clip
from avemo.synthetic.generate import render
from avemo.synthetic.takes import Take, all_takes
from avemo.synthetic.voice import RATE_HZ

WIDTH, HEIGHT = 480, 360


def made(folder: Path, count: int, config: DemoConfig | None = None) -> list[Path]:
    """``count`` clips in ``folder``, of as many actors as there can be; those that are there stay."""
    config = config or DemoConfig(actors=24, seconds=2.54, size_px=HEIGHT, fps=30, jobs=1)
    takes = all_takes(config)
    chosen = takes[:: max(1, len(takes) // count)][:count]
    paths = [folder / f"{take.name}.flv" for take in chosen]
    work = [(take, path, config) for take, path in zip(chosen, paths, strict=True) if not path.is_file()]
    folder.mkdir(parents=True, exist_ok=True)
    processes = min(len(work), os.cpu_count() or 1)
    if processes > 1:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            pool.starmap(_make, work, chunksize=1)
    else:
        for one in work:
            _make(*one)
    return paths


def _make(take: Take, path: Path, config: DemoConfig) -> None:
    frames, signal = render(take, config)
    side = (config.size_px * WIDTH // HEIGHT - frames.shape[2]) // 4 * 2
    wide = np.pad(frames, ((0, 0), (0, 0), (side, side), (0, 0)), mode="edge")
    write_clip(path, wide, config.fps, signal, RATE_HZ)


if __name__ == "__main__":
    made(Path(sys.argv[1]), int(sys.argv[2]))
