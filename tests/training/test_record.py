"""The run record: complete, true and JSON."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.training.record import kind_of, peak_memory, processor, run_record


def test_record_holds_what_a_rerun_needs():
    config = {"training": {"lr": 7.25e-4}}
    record = run_record(config, seed=3, inputs={"audio": "abc"}, started=time.time() - 5)
    assert json.loads(json.dumps(record)) == record
    assert record["config"] == config
    assert (record["seed"], record["inputs"]) == (3, {"audio": "abc"})
    assert (
        record["versions"]["torch"] == torch.__version__.split("+")[0]
        or record["versions"]["torch"] == torch.__version__
    )
    assert record["versions"]["numpy"] == np.__version__
    assert record["hardware"]["threads"] == torch.get_num_threads()
    assert record["hardware"]["cores"] == os.cpu_count()
    assert record["wall_s"] == pytest.approx(5, abs=2)


def test_generations_of_processors_that_share_a_name_are_told_apart():
    """Virtual machines call both of these AMD EPYC; one has units for bfloat16, and sums in another order."""
    older = {"model name": "AMD EPYC", "cpu family": "25", "model": "1", "flags": "fpu avx2"}
    newer = older | {"model": "17", "flags": "fpu avx2 avx512_bf16"}
    assert kind_of(older, "AVX2") == "AMD EPYC, family 25, model 1, AVX2"
    assert kind_of(newer, "AVX512") == "AMD EPYC, family 25, model 17, AVX512, bfloat16 units"
    graviton = {"CPU implementer": "0x41", "CPU part": "0xd40", "Features": "asimd bf16"}
    assert kind_of(graviton, "DEFAULT").endswith(", implementer 0x41, part 0xd40, DEFAULT, bfloat16 units")


def test_the_record_says_which_kind_of_processor_it_was():
    found = run_record({}, seed=0, inputs={}, started=0.0)["hardware"]["processor"]
    assert found == processor()
    assert torch.backends.cpu.get_cpu_capability() in found
    if Path("/proc/cpuinfo").is_file():
        name = next(
            line
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line or "CPU part" in line
        )
        assert name.split(":")[1].strip() in found


def test_start_is_utc():
    assert run_record({}, seed=0, inputs={}, started=0.0)["started"] == "1970-01-01T00:00:00Z"


def test_peak_memory_is_in_bytes():
    """Linux tells the same high-water mark, in kB, in the process' status."""
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("no /proc here")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_memory()["peak_memory_bytes"] == pytest.approx(int(line.split()[1]) * 1024, rel=0.05)


def test_what_json_cannot_hold_is_an_error():
    with pytest.raises(AvemoError, match="run record"):
        run_record({"x": np.zeros(2)}, seed=0, inputs={}, started=0.0)
