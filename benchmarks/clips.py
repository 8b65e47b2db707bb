"""The real clips that benchmarks read."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from avemo.base.contracts import Clip
from avemo.media.pictures import iter_frames
from avemo.media.sound import read_audio

CLIPS = Path("../shared/data/clips")


def paths(folder: Path) -> list[Path]:
    """The folder's clips, in order of name; ends the program where there are none."""
    found = sorted(folder.glob("*.mp4"))
    if not found:
        raise SystemExit(f"no .mp4 clips in {folder}: give another folder with --clips")
    return found


def clip(path: Path, end_s: float | None = None) -> Clip:
    """A file as a clip, up to ``end_s``."""
    return Clip(path.stem, "?", "?", video_path=path, end_s=end_s)


def decoded(folder: Path, count: int) -> dict[str, list[tuple[float, np.ndarray]]]:
    """The first ``count`` frames of each clip, with their times."""
    return {path.stem: list(islice(iter_frames(clip(path)), count)) for path in paths(folder)}


def sounds(folder: Path, rate_hz: int, end_s: float | None = None) -> list[np.ndarray]:
    """The sound of each clip, up to ``end_s``."""
    return [read_audio(clip(path, end_s), rate_hz) for path in paths(folder)]
