"""Shuffled, padded batches of stored features against a plain copy of the same bytes from the page cache.

CPU time, so that other work on the machine changes little; best of some rounds, all in one run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.results import publish

if TYPE_CHECKING:
    from avemo.cache.manifest import FeatureSet

# Batches are large buffers; without this glibc gives each back to the kernel (the workflow sets it too).
THRESHOLDS = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000"}
DIM, BATCH, SHARDS = 1408, 32, 4
EPOCHS = 20
AGAINST = """Batches of {clips} stored clips against a plain copy of the same bytes, one process. Two worker processes take
{share:.2f} of one's time."""
POOL = 8
"""Batches whose clips are sorted by length together."""


def make(folder: Path, clips: int) -> Path:
    """A component of random features as long as CREMA-D's clips; its manifest."""
    from avemo.base.contracts import Status
    from avemo.base.keys import shard_of
    from avemo.cache.items import Item
    from avemo.cache.manifest import write_manifest
    from avemo.cache.shard_writer import write_shard

    generator = np.random.default_rng(0)
    names = [f"clip{number:05d}" for number in range(clips)]
    paths = [folder / f"{shard:04d}.h5" for shard in range(SHARDS)]
    for shard, path in enumerate(paths):
        items = []
        for name in (name for name in names if shard_of(name, SHARDS) == shard):
            x = generator.standard_normal((int(generator.integers(50, 110)), DIM), np.float32)
            items.append(Item(name, "k", Status.ok, "", x, np.arange(len(x)) / 30))
        write_shard(path, items, {})
    write_manifest(folder / "manifest.json", paths, "random", {})
    return folder / "manifest.json"


def best_s(act: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the fastest round."""
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        act()
        found.append(time.process_time() - begin)
    return min(found)


def plain_copy(paths: list[Path], piece: int) -> None:
    """Read the files' bytes into new buffers of a padded batch's size.

    As in training, one is in use while the next fills.
    """
    for path in paths:
        with path.open("rb", buffering=0) as file:
            found = piece
            while found:
                buffer = np.empty(piece, np.uint8)
                found = file.readinto(buffer.data)
                in_use = buffer
    del in_use


def stored_batches(features: FeatureSet, batches: Sequence[Sequence[str]]) -> Iterator[np.ndarray]:
    """Padded ``(B, T, D)`` of the features as stored, of the clips that each batch names."""
    for chosen in batches:
        lengths = [features.length(name) for name in chosen]
        batch = np.empty((len(chosen), max(lengths), DIM), np.float32)
        for row, (name, length) in enumerate(zip(chosen, lengths, strict=True)):
            features.read_into(name, batch[row, :length])
            batch[row, length:] = 0
        yield batch


def shuffled(features: FeatureSet, names: Sequence[str], bucketing: int) -> list[list[str]]:
    """The clips in batches, as training draws them."""
    import torch

    from avemo.dataset.ordering import batch_order

    lengths = [features.length(name) for name in names]
    order = batch_order(lengths, BATCH, torch.Generator().manual_seed(1), bucketing)
    return [[names[i] for i in positions] for positions in order]


def check(features: FeatureSet, batches: Sequence[Sequence[str]]) -> None:
    """Raise unless every batch holds its clips' frames, and zeros behind them."""
    for chosen, batch in zip(batches, stored_batches(features, batches), strict=True):
        for name, row in zip(chosen, batch, strict=True):
            x = features.read(name).x
            if not np.array_equal(row[: len(x)], x) or row[len(x) :].any():
                raise RuntimeError(f"{name}: expected its frames as stored, found others in the batch")


def drain(batches: Iterator[object]) -> None:
    for _ in batches:
        pass


def measure(folder: Path, clips: int, rounds: int) -> list[tuple[str, float, float]]:
    """Name, GB/s and ratio to the plain copy, of each way to read all clips once."""
    import torch

    from avemo.cache.manifest import FeatureSet
    from avemo.dataset.loading import ClipData

    torch.set_num_threads(1)
    manifest = make(folder, clips)
    with FeatureSet(manifest) as features:
        names = features.clip_ids
        total = sum(features.length(name) for name in names) * DIM * 4
        data = ClipData(None, features, dict.fromkeys(names, 0), memory_bytes=0)
        data.fit(names)
        batches, alike = shuffled(features, names, 1), shuffled(features, names, POOL)
        check(features, batches)
        piece = sum(batch.nbytes for batch in stored_batches(features, batches)) // len(batches)
        generator = torch.Generator()
        ways: dict[str, Callable[[], object]] = {
            "plain copy": lambda: plain_copy(features.paths, piece),
            "padded batches, as stored": lambda: drain(stored_batches(features, batches)),
            f"of like lengths (bucketing {POOL})": lambda: drain(stored_batches(features, alike)),
            "padded batches, normalised": lambda: drain(data.batches(names, BATCH, generator)),
        }
        seconds = {name: best_s(act, rounds) for name, act in ways.items()}
    plain_s = seconds["plain copy"]
    return [(name, total / s / 1e9, plain_s / s) for name, s in seconds.items()]


def workers(folder: Path, clips: int, count: int) -> float:
    """Wall seconds for ``count`` processes that share the clips, `EPOCHS` times over."""
    from avemo.cache.manifest import FeatureSet

    features = FeatureSet(folder / "manifest.json")
    batches = shuffled(features, features.clip_ids, 1)
    begin = time.perf_counter()
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            for _ in range(EPOCHS):
                drain(stored_batches(features, batches[number::count]))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return time.perf_counter() - begin


def main(arguments: list[str] | None = None) -> None:
    """Print the rows and put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=600, help="clips (default 600, about 0.3 GB)")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args(arguments)
    if any(os.environ.get(name) != value for name, value in THRESHOLDS.items()):
        command = [
            sys.executable,
            "-m",
            "benchmarks.streaming",
            *(sys.argv[1:] if arguments is None else arguments),
        ]
        subprocess.run(command, env=os.environ | THRESHOLDS, check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), asked.count, asked.rounds)
        wall = {count: min(workers(Path(folder), asked.count, count) for _ in range(3)) for count in (1, 2)}
    against = AGAINST.format(clips=asked.count, share=wall[2] / wall[1])
    publish(
        "streaming",
        against,
        [{"way": name, "GB/s": speed, "ratio to the plain copy": ratio} for name, speed, ratio in rows],
    )


if __name__ == "__main__":
    main()
