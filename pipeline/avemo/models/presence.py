"""Which modalities the clips of a batch have, for systems that answer with what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from avemo.base.devices import at_once
from avemo.dataset.batch import Batch

Average = Literal["logits", "probabilities"]
"""What a mean of several heads' answers is of; probabilities are those of classes."""


def shown(batch: Batch, modality: str) -> Tensor:
    """The clips ``(B,)`` to look at in ``modality``: those that have it, and those that have neither.

    A clip without any modality has two zero inputs; it gets the answer to them.
    """
    return batch.has(modality) | ~(batch.has_audio_B | batch.has_visual_B)


def modalities_in(batch: Batch) -> list[str]:
    """The modalities to look at in at least one clip."""
    has = {modality: batch.known(f"has_{modality}_B") for modality in ("audio", "visual")}
    neither_B = ~(has["audio"] | has["visual"])
    return [modality for modality, has_B in has.items() if bool((has_B | neither_B).any())]


def mean_of_shown(batch: Batch, logits: Mapping[str, Tensor], average: Average = "logits") -> Tensor:
    """The mean, clip by clip, of the logits ``(B, C)`` of the modalities that are `shown`."""
    shown_BM = torch.stack([shown(batch, modality) for modality in logits], dim=1)
    return mean_of(torch.stack([*logits.values()], dim=1), shown_BM, average)


def mean_of(logits_BHC: Tensor, counts_BH: Tensor, average: Average) -> Tensor:
    """Logits ``(B, C)`` of the mean over the heads that count, of their logits or of their softmax.

    >>> logits = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]])
    >>> mean_of(logits, torch.ones(1, 2, dtype=torch.bool), "logits")
    tensor([[1., 0.]])
    >>> mean_of(logits, torch.ones(1, 2, dtype=torch.bool), "probabilities").softmax(-1)
    tensor([[0.6904, 0.3096]])
    """
    if average == "probabilities":
        share_BH1 = counts_BH.log() - counts_BH.sum(dim=1, keepdim=True).log()
        return (logits_BHC.log_softmax(-1) + share_BH1[:, :, None]).logsumexp(dim=1)
    if at_once(counts_BH) and bool(counts_BH.all()):
        return logits_BHC.mean(dim=1)
    weight_BH1 = (counts_BH / counts_BH.sum(dim=1, keepdim=True)).unsqueeze(-1)
    return (weight_BH1 * logits_BHC).sum(dim=1)
