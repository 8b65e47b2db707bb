"""What the host does beside the GPU: batches from the cache and from features kept on the device, and a checkpoint."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.epochs import CONFIG
from benchmarks.epochs import systems as table_systems
from benchmarks.gpu.kit import DIMS, FPS, LONGEST, Kit
from benchmarks.gpu.training import prepared, steps_of

from avemo.base.contracts import Status
from avemo.cache.items import Item
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.store import ShardStore
from avemo.dataset.loading import ClipData
from avemo.dataset.resident import ResidentData
from avemo.training.checkpoint import save_checkpoint

BATCH = 64


def feeding(kit: Kit) -> None:
    """Milliseconds a batch of 64 clips as long as those of the training steps, and seconds of a checkpoint of AV-Ladder."""
    count, frames = (8, (24, 10)) if kit.tiny else (256, LONGEST)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        data = stored(Path(name), count, frames)
        ids, batches = list(data.targets), -(-count // BATCH)

        def epoch(data: ClipData) -> None:
            for batch in data.batches(ids, BATCH, torch.Generator().manual_seed(0)):
                batch.to(kit.device)

        read_s = kit.median_s(lambda: epoch(data), warm=1, repeats=3)
        found["read, collated and moved, ms a batch"] = 1e3 * read_s / batches
        kept = ResidentData(data, torch.device(kit.device))
        found["gathered on the device, ms a batch"] = 1e3 * kit.median_s(lambda: epoch(kept)) / batches
    run, batch = prepared(table_systems(CONFIG)["av_ladder"], kit.device, "float32", kit.tiny)
    steps_of(run, batch)()
    run.finish_epoch({"epoch": 1, "dev_loss": 1.0})
    with tempfile.TemporaryDirectory() as name:
        checkpoint_s = kit.median_s(lambda: save_checkpoint(Path(name), *run.snapshot()), warm=1, repeats=3)
    found["a checkpoint of av_ladder, s"] = checkpoint_s
    kit.keep("feeding", found)
    print(found, flush=True)


def stored(folder: Path, count: int, frames: tuple[int, int]) -> ClipData:
    """So many clips of equal random features, as a run reads them, fitted and without copies in memory."""
    ids = [f"clip{number:04d}" for number in range(count)]
    rng, sets = np.random.default_rng(0), {}
    for name, dim, length in zip(("audio", "visual"), DIMS, frames, strict=True):
        x, times_s = rng.standard_normal((length, dim), dtype=np.float32), np.arange(length) / FPS
        place = folder / name
        with ShardStore(place / "store", {}) as store:
            store.append([Item(clip_id, "key", Status.ok, "", x, times_s) for clip_id in ids])
            store.publish(dict.fromkeys(ids, "key"), place / "0000.h5")
        write_manifest(place / "manifest.json", [place / "0000.h5"], name, {})
        sets[name] = FeatureSet(place / "manifest.json")
    data = ClipData(sets["audio"], sets["visual"], dict.fromkeys(ids, 0), memory_bytes=0)
    data.fit(ids)
    return data
