"""A trace of a training's first batches, for chrome://tracing or Perfetto."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from avemo.dataset.batch import Batch
from avemo.dataset.normalise import BY_TRAIN, Normalise
from avemo.training.inference import Data

PROFILED_BATCHES = 5
"""Batches that a trace shows, after one that is left out as the first is always slow."""


class ProfiledData:
    """``data`` whose first batches are profiled; the trace goes to ``path``."""

    def __init__(self, data: Data, path: Path):
        self.data, self.path, self.done = data, path, False

    def fit(self, train_ids: Sequence[str], normalise: Normalise = BY_TRAIN) -> object:
        return self.data.fit(train_ids, normalise)

    def batches(
        self,
        clip_ids: Sequence[str],
        batch_size: int,
        generator: torch.Generator | None = None,
        bucketing: int = 1,
    ) -> Iterator[Batch]:
        """The data's own; a step happens between one batch and the next."""
        found = self.data.batches(clip_ids, batch_size, generator, bucketing)
        if self.done:
            yield from found
            return
        self.done = True
        from torch.profiler import profile, schedule

        plan = schedule(wait=0, warmup=1, active=PROFILED_BATCHES)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with profile(schedule=plan, acc_events=True, on_trace_ready=self._export) as profiler:
            for batch in found:
                yield batch
                profiler.step()

    def _export(self, trace: Any) -> None:
        trace.export_chrome_trace(str(self.path))
