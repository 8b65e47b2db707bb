"""Loss terms of one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from avemo.base.contracts import AvemoError
from avemo.dataset.batch import Batch
from avemo.dataset.tasks import Task
from avemo.models.base import Outputs
from avemo.training.skew import WeightedLoss


def total(outputs: Outputs, batch: Batch, task: Task | WeightedLoss) -> dict[str, Tensor]:
    """``supervised``, the model's own named terms, and ``total``, their sum.

    ``supervised`` is the mean over the heads of the task's loss: ⅓(CE_av + CE_a + CE_v) in
    AuxFormer and AV-Ladder. Raises `AvemoError` if the model names a term ``supervised`` or ``total``.
    """
    reserved = {"supervised", "total"} & outputs.losses.keys()
    if reserved:
        raise AvemoError(f"loss terms {sorted(reserved)}: expected names of the model's own; rename them")
    heads = [task.loss(logits_BC, batch.targets) for logits_BC in outputs.logits.values()]
    terms = {"supervised": torch.stack(heads).mean(), **outputs.losses}
    return {**terms, "total": torch.stack(list(terms.values())).sum()}


def judged(outputs: Outputs, dev_loss: str) -> dict[str, Tensor]:
    """The logits whose loss selects the epoch (`TrainingConfig.dev_loss`): the prediction's, or each head's."""
    return outputs.logits if dev_loss in ("heads", "total") else {"prediction": outputs.prediction}
