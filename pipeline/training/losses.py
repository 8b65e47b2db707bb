"""Loss terms of one batch, all means over its clips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.contracts import AvemoError
from pipeline.dataset.batch import Batch
from pipeline.models.base import Outputs


def supervised(outputs: Outputs, batch: Batch) -> Tensor:
    """Mean over the heads of their cross-entropies: ⅓(CE_av + CE_a + CE_v) in AuxFormer and AV-Ladder."""
    heads = [functional.cross_entropy(logits_BC, batch.targets) for logits_BC in outputs.logits.values()]
    return torch.stack(heads).mean()


def prediction(outputs: Outputs, batch: Batch) -> Tensor:
    """Cross-entropy of the logits used at test time, by default the mean over the heads."""
    return functional.cross_entropy(outputs.prediction, batch.targets)


def total(outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
    """``supervised``, the model's own named terms, and ``total``, their sum.

    Raises `AvemoError` if the model names a term ``supervised`` or ``total``.
    """
    reserved = {"supervised", "total"} & outputs.losses.keys()
    if reserved:
        raise AvemoError(f"loss terms {sorted(reserved)}: expected names of the model's own; rename them")
    terms = {"supervised": supervised(outputs, batch), **outputs.losses}
    return {**terms, "total": torch.stack(list(terms.values())).sum()}


DEV_LOSSES: dict[str, Callable[[Outputs, Batch], Tensor]] = {"prediction": prediction, "heads": supervised}
"""What may select the epoch (`TrainingConfig.dev_loss`)."""
