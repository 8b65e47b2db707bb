"""Seeded mutations against the readers: whatever the bytes, an answer or an `AvemoError`, never a crash, never rubbish.

A case counts as passed when the reader refuses, or when all it returns is
finite, in range, and (for shards) what was written once its checksums agree.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from avemo.base.contracts import AvemoError, Status
from avemo.cache.items import Item
from avemo.cache.manifest import FeatureSet, write_manifest
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import FIELDS
from avemo.cache.shard_writer import write_shard
from avemo.cache.store import ShardStore
from avemo.index.clip_table import Row, read_table, write_table
from stress.tally import Tally

NUMBERS = (0, -1, 1, 2**31, -(2**31), 2**62, -(2**62), 7)
TEXTS = (b"../../x", b"/etc/passwd", b"a/b", b"..", b"", b"clip1", b"ok", b"no_face", b"\xff\xfe")
WORDS = (
    "../x",
    "a/b",
    "\x1b[31m",
    "",
    " ",
    "clip1",
    "ok",
    "no_face",
    "fine",
    "\udc80",
    "\0",
    "\u202e",
    "x" * 300,
)
FLOATS = (math.nan, math.inf, -math.inf, -1.0, -0.0, 0.0, 1e-300, 1e300, 2.5)
HANGS_S = 60
"""A reader that takes longer over one case never returns."""


OTHER = Item("other", "k", Status.ok, "", np.ones((2, 2), np.float32), np.arange(2.0))


class Fuzzer:
    """Small good files in a folder, and one check a reader."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        self.items = [
            Item(
                f"clip{n}",
                f"k{n}",
                Status.ok,
                "",
                generator.random((3, 2)).astype(np.float32),
                np.arange(3.0),
            )
            for n in range(3)
        ] + [Item("clip3", "k3", Status.no_face, "none")]
        self.shard, self.table = folder / "0000.h5", folder / "index.parquet"
        write_shard(self.shard, self.items, {"component": "toy"})
        write_manifest(folder / "manifest.json", [self.shard], "toy", {"component": "toy"})
        row = Row("a", "s", "g", None, "a.mp4", 0.0, 1.0, None, "0" * 64, 1.0, 16000, 25.0, 25, "ok", "")
        write_table(self.table, [row])
        self.row = row
        self.other = folder / "other.h5"
        write_shard(self.other, [OTHER], {"component": "toy"})
        self.good = {path: path.read_bytes() for path in (self.shard, self.table, self.other)}
        self.manifest = json.loads((folder / "manifest.json").read_text())

    def check_shard(self, path: Path) -> str:
        """Open, read and verify."""
        try:
            with Shard(path) as shard:
                whole = set(shard.index) - set(shard.verify())
                read = {name: shard.item(name) for name in whole}
        except AvemoError:
            return "refused"
        known = {item.clip_id: item for item in self.items}
        for name, item in read.items():
            if name in known and item.key == known[name].key and item.x is not None:
                assert np.array_equal(item.x, known[name].x), name
        return "read" if len(read) == len(self.items) else "named"

    def check_table(self, path: Path) -> str:
        """Read the clip table."""
        try:
            rows = read_table(path)
        except AvemoError:
            return "refused"
        for row in rows:
            assert 0 <= row.start_s < math.inf, row
            assert row.end_s is None or row.start_s < row.end_s < math.inf, row
            assert "/" not in row.clip_id, row
            assert row.status in {str(status) for status in Status}, row
        return "read"

    def flipped(self, name: str, path: Path, generator: random.Random) -> str:
        """Change some bytes of a good file, perhaps cut its end, and read."""
        target = self.folder / f"fuzzed{path.suffix}"
        target.write_bytes(self.damaged(path, generator))
        return getattr(self, name)(target)

    def damaged(self, path: Path, generator: random.Random) -> bytes:
        """A good file's bytes with one to four others, one time in five cut short."""
        content = bytearray(self.good[path])
        for _ in range(generator.randint(1, 4)):
            content[generator.randrange(len(content))] ^= generator.randint(1, 255)
        return bytes(content[: generator.randrange(len(content))] if generator.random() < 0.2 else content)

    def damaged_store(self, generator: random.Random) -> str:
        """A store one of whose two parts is damaged: what it holds is what was put there."""
        folder = self.folder / "store"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "part-000001.h5").write_bytes(self.damaged(self.shard, generator))
        (folder / "part-000002.h5").write_bytes(self.good[self.other])
        wanted = {item.clip_id: item.key for item in (*self.items, OTHER)}
        try:
            with ShardStore(folder, {"component": "toy"}) as store:
                missing = store.missing(wanted)
                assert OTHER.clip_id not in missing
                held = {name: key for name, key in wanted.items() if name not in missing}
                store.publish(held, self.folder / "published.h5")
        except AvemoError:
            return "refused"
        with Shard(self.folder / "published.h5") as shard:
            assert shard.verify() == []
            assert {entry.clip_id: entry.key for entry in shard.index.values()} == held
            for item in self.items:
                if item.clip_id in held and item.x is not None:
                    assert np.array_equal(shard.read(item.clip_id).x, item.x), item.clip_id
        return "named" if missing else "read"

    def hostile_index(self, row: int, field: str, value: Any) -> str:
        """A shard whose index says something else."""
        target = self.folder / "hostile.h5"
        target.write_bytes(self.good[self.shard])
        with h5py.File(target, "r+", locking=False) as file:
            index = file["index"][...]
            index[field][row] = value
            file["index"][...] = index
        return self.check_shard(target)

    def hostile_row(self, changes: dict[str, Any]) -> str:
        """A clip table of one row that says something else."""
        target = self.folder / "hostile.parquet"
        try:
            write_table(target, [replace(self.row, **changes)])
        except (ValueError, TypeError, OverflowError, UnicodeEncodeError):
            return "unwritable"
        return self.check_table(target)

    def hostile_manifest(self, key: str, value: Any) -> str:
        """A manifest that says something else."""
        target = self.folder / "hostile.json"
        target.write_text(json.dumps(self.manifest | {key: value}))
        try:
            with FeatureSet(target) as features:
                for entry in features.entries():
                    features.length(entry.clip_id)
        except AvemoError:
            return "refused"
        return "read"


def hostile_json(generator: random.Random, depth: int = 2) -> Any:
    """Any JSON value, most of them small and of the wrong type."""
    if depth and generator.random() < 0.3:
        inner = [hostile_json(generator, depth - 1) for _ in range(generator.randrange(4))]
        return inner if generator.random() < 0.5 else {generator.choice(WORDS): value for value in inner}
    return generator.choice([None, True, *NUMBERS, *FLOATS, *WORDS, "../../x.h5", "avemo-manifest/2"])


def hostile_changes(generator: random.Random) -> dict[str, Any]:
    """One to three fields of a row of the clip table, with other values."""
    number = generator.choice([None, *FLOATS])
    fields: dict[str, Any] = {
        "clip_id": generator.choice(WORDS),
        "start_s": generator.choice(FLOATS),
        "end_s": number,
        "duration_s": number,
        "status": generator.choice(WORDS),
        "video_path": generator.choice([None, *WORDS]),
        "n_frames": generator.choice([None, *NUMBERS]),
        "fps": number,
    }
    return {name: fields[name] for name in generator.sample(sorted(fields), generator.randint(1, 3))}


def campaigns(fuzzer: Fuzzer, generator: random.Random) -> dict[str, tuple[float, Callable[[], str]]]:
    """For each kind of hostility its share of the cases, and what makes one and tells the outcome."""

    def index() -> str:
        field = generator.choice(sorted(FIELDS))
        number = generator.choice([*NUMBERS, generator.randrange(-(2**63), 2**63)])
        text = generator.choice([*TEXTS, generator.randbytes(generator.randrange(12))])
        value = text if FIELDS[field] == "S" else number % 2**32 if FIELDS[field] == "u" else number
        return fuzzer.hostile_index(generator.randrange(4), field, value)

    def manifest() -> str:
        return fuzzer.hostile_manifest(generator.choice(sorted(fuzzer.manifest)), hostile_json(generator))

    return {
        "bytes of shards": (0.4, lambda: fuzzer.flipped("check_shard", fuzzer.shard, generator)),
        "bytes of clip tables": (0.2, lambda: fuzzer.flipped("check_table", fuzzer.table, generator)),
        "indexes of shards": (0.12, index),
        "rows of clip tables": (0.12, lambda: fuzzer.hostile_row(hostile_changes(generator))),
        "manifests": (0.14, manifest),
        "stores": (0.02, lambda: fuzzer.damaged_store(generator)),
    }


def fuzz(folder: Path, cases: int, number: int) -> Counter[str]:
    """About ``cases`` cases; outcomes counted. Raises at the first that a reader fails, naming it."""
    outcomes: Counter[str] = Counter()
    # Stores tell of each damaged file; and no case needs to outlive a power cut.
    warnings.simplefilter("ignore")
    os.fsync = lambda descriptor: None
    for name, (share, attack) in campaigns(Fuzzer(folder), random.Random(number)).items():
        for case in range(round(cases * share)):
            signal.alarm(HANGS_S)
            try:
                outcomes[f"{name}: {attack()}"] += 1
            except BaseException as error:
                error.add_note(f"{name}, seed {number}, case {case}")
                raise
    signal.alarm(0)
    return outcomes


def tallied(folder: Path, cases: int, number: int) -> Tally:
    """`fuzz` in a process of its own, so that a crash of a reader is a violation and not the end."""
    tally = Tally()
    folder.mkdir(parents=True)
    outcome = folder / "outcome.json"
    child = os.fork()
    if child == 0:
        try:
            outcome.write_text(json.dumps(fuzz(folder / "files", cases, number)))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    tally.expect(status == 0, f"the fuzzed reader ended with {os.waitstatus_to_exitcode(status)}")
    found = json.loads(outcome.read_text()) if outcome.exists() else {}
    tally.update(found)
    tally["cases"] = sum(found.values())
    return tally
