"""The run record that lies beside every result: what made it, on what, and what it cost."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import avemo
from avemo.base.contracts import AvemoError

LIBRARIES = ("torch", "numpy", "pandas", "h5py", "safetensors", "scipy", "pydantic")
"""Distributions whose numbers may reach a result after the features are made."""

NUMBERS = ("cpu family", "model", "CPU implementer", "CPU part")
"""What `/proc/cpuinfo` tells generations of processors apart by, on x86 and on ARM."""
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Its flags of units that multiply bfloat16."""


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
    """Processor and its kind, cores, threads PyTorch uses, and the GPU's name or None."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu_name(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "system": platform.platform(),
    }


def cpu_name() -> str:
    """The processor's model name where Linux tells it, else what the platform says."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def processor() -> str:
    """The kind of processor, which decides how libraries order and round their sums.

    A name alone does not tell it: virtual machines call several generations alike. So family and model
    number stand beside it, the instructions that PyTorch takes, and units for bfloat16.
    """
    return kind_of(_cpuinfo(), torch.backends.cpu.get_cpu_capability())


def kind_of(info: Mapping[str, str], instructions: str) -> str:
    """`processor`, from what Linux says of a core.

    >>> kind_of({"model name": "AMD EPYC", "cpu family": "25", "model": "1", "flags": "avx2"}, "AVX2")
    'AMD EPYC, family 25, model 1, AVX2'
    """
    name = info.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{field.lower().removeprefix('cpu ')} {info[field]}" for field in NUMBERS if field in info]
    flags = {*info.get("flags", "").split(), *info.get("Features", "").split()}
    units = ["bfloat16 units"] * bool(flags & BFLOAT16)
    return ", ".join([name, *numbers, instructions, *units])


def _cpuinfo() -> dict[str, str]:
    """What Linux says of its first core; nothing elsewhere."""
    info = Path("/proc/cpuinfo")
    first = info.read_text().strip().split("\n\n")[0] if info.is_file() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def peak_memory() -> dict[str, int]:
    """Largest resident size of this process, and of its GPU allocations, in bytes."""
    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        peak["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated()
    return peak
