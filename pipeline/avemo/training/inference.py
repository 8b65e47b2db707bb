"""A system's outputs without training: for dev scores here and test predictions later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch

from avemo.base.arithmetic import arithmetic
from avemo.dataset.batch import Batch
from avemo.dataset.normalise import BY_TRAIN, Normalise
from avemo.models.base import Outputs, System


class Data(Protocol):
    """What training and evaluation ask of a data set."""

    def fit(self, train_ids: Sequence[str], normalise: Normalise = BY_TRAIN) -> object:
        """Learn normalisation from these clips only, where it is by the train part."""

    def batches(
        self,
        clip_ids: Sequence[str],
        batch_size: int,
        generator: torch.Generator | None = None,
        bucketing: int = 1,
    ) -> Iterator[Batch]:
        """Padded batches, in the given order, or shuffled by ``generator``; `dataset.ordering.batch_order`."""


def unchanged(batch: Batch) -> Batch:
    """``batch``."""
    return batch


# no_grad, not inference_mode: a data set may cache the tensors it makes here and train on them later.
@torch.no_grad()
def infer(
    model: System,
    data: Data,
    clip_ids: Sequence[str],
    *,
    batch_size: int,
    device: torch.device | str,
    without: str | None = None,
    change: Callable[[Batch], Batch] = unchanged,
    noise: torch.Generator | None = None,
) -> Iterator[tuple[Batch, Outputs]]:
    """Batches in the given order and the outputs for each, in evaluation mode and float32.

    ``without`` names a modality to zero; ``change`` alters each batch; ``noise`` asks a
    system for the further loss terms that its own noise enters.
    """
    model.eval()
    for batch in data.batches(clip_ids, batch_size, None):
        moved = change(batch.without(without) if without else batch).to(device)
        with arithmetic("float32"):
            outputs = model(moved, noise)
        yield moved, outputs
