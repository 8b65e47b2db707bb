"""Hypothesis against the readers: whatever the bytes, an answer or an `AvemoError`, never a crash, never rubbish.

A case counts as passed when the reader refuses, or when all it returns is
finite, in range, and (for shards) what was written once its checksums agree.
"""

from __future__ import annotations

import json
import math
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.stress.tally import Tally
from pipeline.cache.items import Item
from pipeline.cache.manifest import FeatureSet, write_manifest
from pipeline.cache.shard import Shard
from pipeline.cache.shard_layout import FIELDS
from pipeline.cache.shard_writer import write_shard
from pipeline.clip_table import Row, read_table, write_table
from pipeline.contracts import AvemoError, Status

NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, -(2**31), 2**62, -(2**62), 7]), st.integers(-(2**63), 2**63 - 1)
)
TEXTS = st.one_of(
    st.sampled_from(
        [b"../../x", b"/etc/passwd", b"a/b", b"..", b"", b"clip1", b"ok", b"no_face", b"\xff\xfe"]
    ),
    st.binary(max_size=12),
)
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4)


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
        write_manifest(folder / "manifest.json", [self.shard], "toy", {})
        row = Row("a", "s", "g", None, "a.mp4", 0.0, 1.0, None, "0" * 64, 1.0, 16000, 25.0, 25, "ok", "")
        write_table(self.table, [row])
        self.row = row
        self.good = {path: path.read_bytes() for path in (self.shard, self.table)}
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

    def flipped(self, name: str, path: Path, edits: Any, cut: float) -> str:
        """Change some bytes of a good file, perhaps cut its end, and read."""
        content = bytearray(self.good[path])
        for place, change in edits:
            content[int(place * len(content))] ^= change
        if cut < 0.2:
            content = content[: int(cut * 5 * len(content))]
        target = self.folder / f"fuzzed{path.suffix}"
        target.write_bytes(content)
        return getattr(self, name)(target)

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
        from dataclasses import replace

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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("../../x.h5"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
FLOATS = st.floats() | st.sampled_from([math.nan, math.inf, -1.0, 0.0])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "clip_id": st.text(max_size=8) | st.sampled_from(["../x", "a/b", "\x1b[31m"]),
        "start_s": FLOATS,
        "end_s": FLOATS | st.none(),
        "duration_s": FLOATS | st.none(),
        "status": st.sampled_from(["ok", "no_face", "fine", ""]),
        "video_path": st.text(max_size=8) | st.none(),
        "n_frames": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "fps": FLOATS | st.none(),
    },
)


def campaigns(fuzzer: Fuzzer, count: Callable[[str], None]) -> dict[str, Callable[[], None]]:
    """One hypothesis test for each kind of hostility; ``count`` is told each outcome."""
    cut = st.floats(0, 1)

    def flips(edits: Any, cut: float) -> None:
        count("bytes of shards: " + fuzzer.flipped("check_shard", fuzzer.shard, edits, cut))

    def table_flips(edits: Any, cut: float) -> None:
        count("bytes of clip tables: " + fuzzer.flipped("check_table", fuzzer.table, edits, cut))

    def index(row: int, field: str, number: int, text: bytes) -> None:
        value = text if FIELDS[field] == "S" else number % 2**32 if FIELDS[field] == "u" else number
        count("indexes of shards: " + fuzzer.hostile_index(row, field, value))

    def rows(changes: dict[str, Any]) -> None:
        count("rows of clip tables: " + fuzzer.hostile_row(changes))

    def manifests(key: str, value: Any) -> None:
        count("manifests: " + fuzzer.hostile_manifest(key, value))

    return {
        "flips": given(EDITS, cut)(flips),
        "table_flips": given(EDITS, cut)(table_flips),
        "index": given(st.integers(0, 3), st.sampled_from(sorted(FIELDS)), NUMBERS, TEXTS)(index),
        "rows": given(CHANGES)(rows),
        "manifests": given(st.sampled_from(sorted(fuzzer.manifest)), JSON)(manifests),
    }


SHARES = {"flips": 0.4, "table_flips": 0.15, "index": 0.15, "rows": 0.15, "manifests": 0.15}


def fuzz(folder: Path, cases: int, number: int) -> dict[str, int]:
    """About ``cases`` cases; outcomes counted. Raises at the first that a reader fails."""
    tally: dict[str, int] = {}

    def count(what: str) -> None:
        tally[what] = tally.get(what, 0) + 1

    for name, campaign in campaigns(Fuzzer(folder), count).items():
        configured = settings(
            max_examples=int(cases * SHARES[name]),
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )(campaign)
        # A reader that never returns ends the run.
        signal.alarm(1200)
        seed(number)(configured)()
        signal.alarm(0)
    return tally


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
