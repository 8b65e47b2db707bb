"""Writing the demo corpus to disk, clip by clip, in CREMA-D's layout."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from avemo.base.atomic import SUFFIX, aside
from avemo.base.contracts import AvemoError, digest
from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.encode import write_clip, write_wav
from avemo.synthetic.face import draw_face
from avemo.synthetic.motion import poses
from avemo.synthetic.syllables import timeline
from avemo.synthetic.takes import Take, all_takes
from avemo.synthetic.voice import RATE_HZ, speak
from avemo.synthetic.votes import write_demographics, write_votes

VERSION = 1
"""Raised by hand whenever the same config gives other pictures, sounds or votes."""
RECORD = "demo.json"
FOLDERS = ("VideoFlash", "AudioWAV", "processedResults")


def generate(root: Path, config: DemoConfig, progress: Callable[[int, int], None] | None = None) -> None:
    """Make the corpus in ``root``: clips that are missing, then the vote and actor tables.

    Files of the same config are kept; those of another one are replaced.
    ``progress`` is called with clips done and clips in all. Raises `AvemoError`
    when ``root`` holds something that was not generated.
    """
    takes = all_takes(config)
    _prepare(root, config)
    missing = [take for take in takes if not all(path.exists() for path in paths(root, take, config))]
    done = len(takes) - len(missing)
    for _ in _render_all(root, missing, config):
        done += 1
        if progress is not None:
            progress(done, len(takes))
    tables = (root / "processedResults" / "tabulatedVotes.csv", root / "VideoDemographics.csv")
    if not all(path.exists() for path in tables):
        write_demographics(tables[1], takes)
        write_votes(tables[0], takes, config)


def paths(root: Path, take: Take, config: DemoConfig) -> tuple[Path, Path]:
    """Where a take's video and sound lie."""
    return (
        root / "VideoFlash" / f"{take.name}.{config.container}",
        root / "AudioWAV" / f"{take.name}.wav",
    )


def render(take: Take, config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    """``frames (n, size, size, 3)`` uint8 RGB and ``signal (samples,)`` float32 at `RATE_HZ`."""
    syllables = timeline(take.sentence, take.duration_s, take.rng(0))
    times_s = np.arange(max(1, round(take.duration_s * config.fps))) / config.fps
    grain = take.rng(3)
    frames = [
        draw_face(take.actor.look, pose, config.size_px, grain) for pose in poses(take, syllables, times_s)
    ]
    return np.stack(frames), speak(take, syllables)


def sound(take: Take) -> np.ndarray:
    """The signal that `render` gives, without the pictures, which take most of its time."""
    return speak(take, timeline(take.sentence, take.duration_s, take.rng(0)))


def _prepare(root: Path, config: DemoConfig) -> None:
    """Folders for this config: another config's files go, half-written ones too."""
    key = digest([VERSION, config.numbers()])
    record = root / RECORD
    if not record.exists() and any((root / folder).exists() for folder in FOLDERS):
        raise AvemoError(
            f"{root}: expected an empty folder or a demo corpus, found {' or '.join(FOLDERS)} without {RECORD}; "
            "give the demo a folder of its own"
        )
    if record.exists() and json.loads(record.read_text()).get("digest") != key:
        for folder in FOLDERS:
            shutil.rmtree(root / folder, ignore_errors=True)
        (root / "VideoDemographics.csv").unlink(missing_ok=True)
        record.unlink()
    root.mkdir(parents=True, exist_ok=True)
    with aside(record) as temporary:
        content = {"digest": key, "version": VERSION, "config": config.numbers(), "synthetic": True}
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    for folder in FOLDERS:
        (root / folder).mkdir(exist_ok=True)
        for leftover in (root / folder).glob(f".*{SUFFIX}"):
            leftover.unlink()


def _render_all(root: Path, takes: Sequence[Take], config: DemoConfig) -> Iterator[None]:
    """Render ``takes`` in as many processes as pay off, yielding after each clip."""
    jobs = min(config.jobs or os.cpu_count() or 1, len(takes))
    if jobs <= 1:
        for take in takes:
            _render_to(root, take, config)
            yield
        return
    # Spawned, not forked: the caller may hold threads of torch or OpenCV.
    context = multiprocessing.get_context("spawn")
    n = len(takes)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(_render_to, [root] * n, takes, [config] * n, chunksize=4)


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _render_to(root: Path, take: Take, config: DemoConfig) -> None:
    video, audio = paths(root, take, config)
    frames, signal = render(take, config)
    write_clip(video, frames, config.fps, signal, RATE_HZ)
    write_wav(audio, signal, RATE_HZ)
