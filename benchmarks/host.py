"""What a host does for a GPU, counted and timed without one: calls that would be launches, reads that would wait, batches.

Counts are of the work as a GPU is given it; seconds are of this machine's CPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.epochs import CONFIG
from benchmarks.epochs import systems as table_systems
from benchmarks.gpu.feeding import BATCH, FRAMES, stored
from benchmarks.gpu.sample import made
from benchmarks.gpu.training import prepared, steps_of
from benchmarks.results import publish
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from avemo.base import devices
from avemo.base.contracts import Clip
from avemo.dataset.resident import ResidentData
from avemo.faces import track
from avemo.features.shared_batches import SharedBatches
from avemo.media.pictures import iter_frames
from avemo.training.checkpoint import save_checkpoint

VIEWS = (
    *(
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "permute",
        "slice",
        "select",
        "expand",
        "unsqueeze",
        "squeeze",
    ),
    *(
        "detach",
        "alias",
        "split",
        "split_with_sizes",
        "as_strided",
        "unbind",
        "narrow",
        "unfold",
        "lift_fresh",
    ),
    *("_reshape_alias", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
)
"""Operators that launch nothing."""
READS = ("item", "__float__", "__bool__", "__int__", "tolist", "nonzero")
CLIPS = 128


class Calls(TorchDispatchMode):
    """Counts operators that a GPU would have to launch."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function._overloadpacket.__name__ not in VIEWS
        return function(*args, **(kwargs or {}))


class Reads(TorchFunctionMode):
    """Counts what would wait for a GPU."""

    count = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += getattr(function, "__name__", "") in READS
        return function(*args, **(kwargs or {}))


def faces(path: Path) -> list[dict[str, Any]]:
    """Calls of the face detector a frame: a key frame and those after it by turns, and a whole clip at once."""
    frames = list(iter_frames(Clip("clip", "?", "?", video_path=path)))
    tracker, rows = track.FaceTracker(track.FaceTracker.Config(device="cpu")), []
    for way, together in (("groups by turns", 0), ("all of a clip", track.TOGETHER_BYTES)):
        tracker._together = together
        with Calls() as calls:
            tracker.track(iter(frames))
        rows.append(
            row(f"faces of a clip of {len(frames)} frames", way, "calls a frame", calls.count / len(frames))
        )
    return rows


def steps() -> list[dict[str, Any]]:
    """Calls and reads of a training step, read back at once and later."""
    rows = []
    before = devices.AT_ONCE
    for name in ("av_ladder", "auxformer"):
        for way, free, whole in (("read at once", before, False), ("read at the end", (), True)):
            devices.AT_ONCE = free
            run, batch = prepared(table_systems(CONFIG)[name], "cpu", "float32", tiny=True)
            batch.whole = whole
            step = steps_of(run, batch)
            step()
            with Calls() as calls, Reads() as reads:
                step()
            rows.append(row(f"a step of {name}, one layer", way, "calls", calls.count))
            rows.append(row(f"a step of {name}, one layer", way, "reads", reads.count))
    devices.AT_ONCE = before
    return rows


def sharing() -> list[dict[str, Any]]:
    """Batches of 64 that a crop network is given for clips of CREMA-D's mean length, each clip by itself and shared."""
    rows, size, frames, clips = [], 64, FRAMES[1], 64
    crops = np.zeros((frames, 8, 8, 3), np.uint8)
    parts = [crops[begin : begin + size] for begin in range(0, frames, size)]
    for threads in (1, 4, 8):
        batches: list[int] = []

        def forward(images: np.ndarray, batches: list[int] = batches) -> np.ndarray:
            batches.append(len(images))
            time.sleep(2e-3)
            return np.zeros((len(images), 1), np.float32)

        shared = SharedBatches(forward, size)

        def clip(_: int, shared: SharedBatches = shared) -> None:
            with shared.clip():
                for part in parts:
                    # As long as decoding and cutting take.
                    time.sleep(2e-3 * len(part))
                    shared.rows(part)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(clip, range(clips)))
        rows.append(
            row(
                f"crops of {clips} clips of {frames} frames",
                f"{threads} clips at a time",
                f"of {size} places, filled",
                clips * frames / (size * len(batches)),
            )
        )
    return rows


def batches(folder: Path) -> list[dict[str, Any]]:
    """CPU time of a batch: read from the cache, from copies in memory, and gathered where all features lie."""
    data = stored(folder, CLIPS, FRAMES)
    ids, count = list(data.targets), -(-CLIPS // BATCH)
    kept = type(data)(data.sources["audio"], data.sources["visual"], data.targets, memory_bytes=2**40)
    kept.use(data.normalisers)
    ways = {
        "from the cache": data,
        "from memory": kept,
        "gathered, what a GPU does": ResidentData(data, torch.device("cpu")),
    }
    rows = []
    for way, source in ways.items():

        def epoch(source: Any = source) -> None:
            for _ in source.batches(ids, BATCH, torch.Generator().manual_seed(0)):
                pass

        rows.append(row(f"a batch of {BATCH} clips", way, "CPU ms", 1e3 * cpu_s(epoch) / count))
    return rows


def checkpoint(folder: Path) -> list[dict[str, Any]]:
    """CPU time and bytes of one checkpoint, which used to be written after each epoch."""
    run, batch = prepared(table_systems(CONFIG)["av_ladder"], "cpu", "float32", tiny=False)
    del batch
    run.finish_epoch({"epoch": 1, "dev_loss": 1.0})
    seconds = cpu_s(lambda: save_checkpoint(folder, *run.snapshot()))
    size = sum(path.stat().st_size for path in folder.iterdir())
    what, way = "a checkpoint of av_ladder, without moments", "at most each 30 s"
    return [row(what, way, "CPU ms", 1e3 * seconds), row(what, way, "MB", size / 1e6)]


def cpu_s(work: Callable[[], Any], repeats: int = 3) -> float:
    """Least CPU seconds of ``work``, after one call that warms up."""
    work()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def row(work: str, way: str, what: str, value: float) -> dict[str, Any]:
    """A line of the page."""
    return {"work": work, "way": way, "what": what, "value": float(value)}


def main(arguments: list[str] | None = None) -> None:
    """Add the rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (path,) = made(folder / "sample", 1)
        rows = [*faces(path), *sharing(), *steps(), *batches(folder), *checkpoint(folder / "checkpoint")]
    publish(
        "host",
        "What a host does for a GPU, counted and timed without one: operators of PyTorch that a GPU would have to be "
        "launched for, numbers that a GPU would be waited for, and one thread's CPU time. The clip is drawn.",
        rows,
    )


if __name__ == "__main__":
    main()
