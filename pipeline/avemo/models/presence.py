"""Which modalities the clips of a batch have, for systems that answer with what there is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from avemo.dataset.batch import Batch


def shown(batch: Batch, modality: str) -> Tensor:
    """The clips ``(B,)`` to look at in ``modality``: those that have it, and those that have neither.

    A clip without any modality has two zero inputs; it gets the answer to them.
    """
    return batch.has(modality) | ~(batch.has_audio_B | batch.has_visual_B)


def modalities_in(batch: Batch) -> list[str]:
    """The modalities to look at in at least one clip."""
    return [modality for modality in ("audio", "visual") if bool(shown(batch, modality).any())]


def mean_of_shown(batch: Batch, logits: Mapping[str, Tensor]) -> Tensor:
    """The mean, clip by clip, of the logits ``(B, C)`` of the modalities that are `shown`."""
    shown_BM = torch.stack([shown(batch, modality) for modality in logits], dim=1)
    weight_BM1 = (shown_BM / shown_BM.sum(dim=1, keepdim=True)).unsqueeze(-1)
    return (weight_BM1 * torch.stack([*logits.values()], dim=1)).sum(dim=1)
