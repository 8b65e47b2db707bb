"""Training steps of two or more ways, raced on one random batch, with the logits that show them equal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from benchmarks.sides import CORES, Side, Work, race
from torch import Tensor, nn

from avemo.dataset.batch import Batch
from avemo.dataset.tasks import Classes
from avemo.models.base import System
from avemo.training.recipe import TrainingConfig
from avemo.training.state import RunState

CLIPS, CLASSES = 32, 6

Forward = Callable[[Batch], dict[str, Tensor]]
"""Logits by head."""


def random_batch(frames: tuple[int, int], dims: tuple[int, int], clips: int = CLIPS) -> Batch:
    """Clips of full length; audio first."""
    masks = [torch.ones(clips, length, dtype=torch.bool) for length in frames]
    x = [torch.randn(clips, length, dim) for length, dim in zip(frames, dims, strict=True)]
    return Batch(*x, *masks, torch.randint(CLASSES, (clips,)))


def fresh_run(model: System, *, device: str = "cpu", **config: Any) -> RunState:
    """A run of this pipeline, for classes."""
    task = Classes([str(number) for number in range(CLASSES)])
    schedule = TrainingConfig(**config, device=device)
    return RunState.fresh(model.to(device), task, schedule, "split00", torch.device(device))


def steps(
    name: str, model: nn.Module, forward: Forward, step: Callable[[Batch], object], batch: Batch
) -> Work:
    """Each item a training step; each output the logits in evaluation mode before the first of them."""
    model.eval()
    with torch.no_grad():
        logits = {head: logits_BC.float().numpy() for head, logits_BC in forward(batch).items()}
    model.train()

    def work(items):
        for _ in items:
            wall, cpu = time.perf_counter(), time.process_time()
            step(batch)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{name}: a step of {wall:.2f} s, {cpu:.2f} s of CPU time", flush=True)
        return [logits for _ in items]

    return work


def compare(
    shape: str, sides: Mapping[str, Side], tolerances: Mapping[str, float], rounds: int
) -> list[dict[str, Any]]:
    """A row a side: best wall seconds a step, by turns after a step that warms up; the first side is the reference.

    A round is a step for each core: as many processes with one each (`shards`), or one process with all.

    Raises `SystemExit` if the logits of a side differ from the reference's by more than its
    ``tolerances``, or are not finite.
    """
    found = race(sides, items=CORES, rounds=rounds)
    reference, *_ = found.values()
    rows = []
    for way, timing in found.items():
        pairs = zip(timing.outputs, reference.outputs, strict=True)
        difference = max(
            float(np.abs(ours[head] - theirs[head]).max()) for ours, theirs in pairs for head in theirs
        )
        if not difference <= tolerances.get(way, math.inf):
            raise SystemExit(
                f"{shape}, {way}: expected logits within {tolerances[way]:g}, found {difference:g}"
            )
        ratio = reference.seconds / timing.seconds
        rows.append(
            {
                "model": shape,
                "way": way,
                "step_s": timing.seconds / CORES,
                "ratio": ratio,
                "max_diff": difference,
            }
        )
    return rows
