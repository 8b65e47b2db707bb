"""On which machines a run was trained and scored: equal bytes are promised on one kind of processor only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def kind(hardware: Mapping[str, Any]) -> str:
    """A machine as far as it decides the last digits of numbers: its kind of processor, and its GPU if it has one.

    >>> kind({"processor": "AMD EPYC, family 25, model 1, AVX2", "gpu": None, "cores": 2})
    'AMD EPYC, family 25, model 1, AVX2'
    """
    # Records from before the kind was noted have the name alone.
    processor = hardware.get("processor") or hardware["cpu"]
    return f"{processor} with {hardware['gpu']}" if hardware.get("gpu") else processor


def kinds(machines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How much was done on each kind of machine, by the ``hardware`` of its records; the most first."""
    return dict(Counter(map(kind, machines)).most_common())
