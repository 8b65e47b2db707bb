"""Resolved runs for tests that need a run's names and sizes, and none of its components."""

from __future__ import annotations

from typing import Any

from avemo.study.layers import overlaid
from avemo.study.run import Run

FEATURE = {"extractor": "compare_lld", "config": {}, "compression": "none", "version": 1, "id": "lld-1"}
SYSTEM = {"model": "mult", "title": "", "config": {}, "training": {}, "version": 1}
RUN: dict[str, Any] = {
    "run": "r",
    "cache": "cache",
    "results": "results",
    "corpus": {"name": "table", "id": "c", "shards": 2, "config": {}, "labels": {}, "version": 1},
    "faces": {"config": {}, "version": 1, "id": "faces-1"},
    "features": {},
    "splits": {},
    "systems": {},
    "tests": {},
    "learning_curve": {},
    "strict": False,
}


def run_of(systems: tuple[str, ...] = (), audio: str = "", **changes: Any) -> Run:
    """A run on the corpus ``c`` with these systems, and acoustic features of this id, ``changes`` laid over it."""
    features = {"audio": FEATURE | {"id": audio}} if audio else {}
    own = {"features": features, "systems": dict.fromkeys(systems, SYSTEM)}
    return Run.model_validate(overlaid(overlaid(RUN, own), changes))
