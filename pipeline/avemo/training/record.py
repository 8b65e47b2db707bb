"""The run record that lies beside every result: what made it, on what, and what it cost."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import avemo
from avemo.base.contracts import AvemoError

LIBRARIES = ("torch", "numpy", "pandas", "h5py", "safetensors", "scipy", "pydantic")
"""Distributions whose numbers may reach a result after the features are made."""


def run_record(
    config: dict[str, Any], *, seed: int, inputs: dict[str, Any], started: float
) -> dict[str, Any]:
    """A JSON-able account of a run.

    ``config``: the full resolved config; ``inputs``: fingerprints of the
    features (and whatever else was read) by name; ``started``: `time.time` at
    the start. Raises `AvemoError` if either holds what JSON cannot.
    """
    record = {
        "avemo": avemo.__version__,
        "config": config,
        "seed": seed,
        "inputs": inputs,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "hardware": hardware(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_s": time.time() - started,
        **peak_memory(),
    }
    try:
        return json.loads(json.dumps(record))
    except TypeError as error:
        raise AvemoError(
            f"run record: expected JSON-able config and inputs, found {error}; convert it"
        ) from error


def hardware() -> dict[str, Any]:
    """Processor, cores, threads PyTorch uses, and the GPU's name or None."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "system": platform.platform(),
    }


def cpu_name() -> str:
    """The processor's model name where Linux tells it, else what the platform says."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory() -> dict[str, int]:
    """Largest resident size of this process, and of its GPU allocations, in bytes."""
    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        peak["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated()
    return peak
