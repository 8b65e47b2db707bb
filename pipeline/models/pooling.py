"""From frames ``(B, T, D)`` to one vector a clip ``(B, D)``; padding never counts."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.models.attention import lengths


def last_valid(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """The last real frame of each clip, ``(B, D)``.

    >>> last_valid(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    rows_B = torch.arange(len(x_BTD), device=x_BTD.device)
    return x_BTD[rows_B, lengths(mask_BT) - 1]


def masked_mean(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """The mean over the real frames of each clip, ``(B, D)``.

    >>> masked_mean(torch.tensor([[[1.0], [2.0], [9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[1.5000]])
    """
    weight_BT1 = mask_BT[:, :, None].to(x_BTD.dtype)
    return (x_BTD * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1)
