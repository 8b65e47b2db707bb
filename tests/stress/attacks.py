"""What can befall a run's files beside kills: each attack many times, with what became of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avemo.base.contracts import AvemoError, Status
from avemo.cache.items import Item
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.shard_writer import write_shard
from avemo.dataset.loading import ClipData
from avemo.training.checkpoint import CHECKPOINT, load_checkpoint, load_model, save_checkpoint, save_model
from stress.tally import Tally

INFO = {"component": "made up"}


@dataclass(frozen=True)
class Attack:
    """``once`` does it in an empty folder and says what became of it; ``harmless`` are the answers that hold."""

    name: str
    cases: int
    once: Callable[[Path, random.Random], str]
    harmless: tuple[str, ...]


def attack(folder: Path, size: float, generator: random.Random) -> Tally:
    """Every attack of `ATTACKS`, ``size`` times its number of cases."""
    tally = Tally()
    tally.table.append(("attack", "cases", "what became of it"))
    for each in ATTACKS:
        found: Counter[str] = Counter()
        for number in range(max(1, round(each.cases * size))):
            place = folder / each.name.replace(" ", "_") / str(number)
            place.mkdir(parents=True)
            answer = each.once(place, generator)
            tally.expect(answer in each.harmless, f"{each.name}: {answer}")
            found[answer] += 1
        told = "; ".join(f"{answer}: {count}" for answer, count in sorted(found.items()))
        tally.table.append((each.name, str(sum(found.values())), told))
    return tally


def items(count: int = 6, key: str = "k") -> list[Item]:
    """Clips of random frames."""
    frames = np.random.default_rng(0).standard_normal((count, 20, 4)).astype("<f4")
    return [Item(f"c{i}", key, Status.ok, "", x, np.arange(20.0)) for i, x in enumerate(frames)]


def flip(path: Path, generator: random.Random) -> None:
    """One bit anywhere in a file."""
    raw = bytearray(path.read_bytes())
    raw[generator.randrange(len(raw))] ^= 1 << generator.randrange(8)
    path.write_bytes(raw)


def bit_of_a_shard(folder: Path, generator: random.Random) -> str:
    """What training and statistics read of a published shard."""
    shard = folder / "0000.h5"
    write_shard(shard, items(), INFO)
    write_manifest(folder / "manifest.json", [shard], "made up", INFO)

    def read() -> str:
        with FeatureSet(folder / "manifest.json") as features:
            clips = [item.clip_id for item in items()]
            data = ClipData(features, None, dict.fromkeys(clips, 0))
            made = {name: each.to_dict() for name, each in data.fit(clips).items()}
            return repr([made, [batch.audio_BTD.numpy().tobytes() for batch in data.batches(clips, 4)]])

    return _same_or_refused(shard, read, generator)


def bit_of_a_checkpoint(folder: Path, generator: random.Random) -> str:
    """What a training would go on from."""
    save_checkpoint(
        folder, {"model": {"w": torch.ones(40)}, "rng": {"n": torch.arange(9)}}, {"history": [1.5]}
    )
    return _same_or_refused(folder / CHECKPOINT, lambda: repr(load_checkpoint(folder)), generator)


def bit_of_a_model(folder: Path, generator: random.Random) -> str:
    """What would be scored, or would predict."""
    path, layer = folder / "model.safetensors", torch.nn.Linear(6, 5)
    save_model(path, layer.state_dict(), {"model": "linear"})
    return _same_or_refused(path, lambda: repr([load_model(path, layer), layer.state_dict()]), generator)


def _same_or_refused(path: Path, read: Callable[[], str], generator: random.Random) -> str:
    before = read()
    flip(path, generator)
    try:
        return "read as it was" if read() == before else "READ AS ANOTHER"
    except AvemoError as error:
        return "refused by name" if path.name in str(error) or path.parent.name in str(error) else "REFUSED"


WHOLE = ("refused by name", "read as it was")
ATTACKS = [
    Attack("a bit flips in a published shard", 400, bit_of_a_shard, WHOLE),
    Attack("a bit flips in a checkpoint", 400, bit_of_a_checkpoint, WHOLE),
    Attack("a bit flips in a model", 400, bit_of_a_model, WHOLE),
]
