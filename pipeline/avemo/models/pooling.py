"""From frames ``(B, T, D)`` to one vector a clip ``(B, D)``; padding never counts."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.models.attention import lengths

TokenKind = Literal["last", "cls", "mean"]


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


def halved(x_BDT: Tensor) -> Tensor:
    """The maximum of each two frames ``(B, D, ceil(T / 2))``; of an odd number the last stays.

    As a pooling of pictures, since that of sequences takes T for a constant when a system is exported.

    >>> halved(torch.tensor([[[1.0, 3.0, 2.0]]]))
    tensor([[[3., 2.]]])
    """
    return F.max_pool2d(x_BDT.unsqueeze(2), (1, 2), ceil_mode=True).squeeze(2)


class AttentivePooling(nn.Module):
    """sum_t a_t x_t with a = softmax_t(w . tanh(W x_t + b)), over the real frames (Lin et al. 2017, Eq. 5)."""

    def __init__(self, width: int):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, D)``."""
        score_BT = self.score(self.hidden(x_BTD).tanh()).squeeze(-1)
        weight_BT = score_BT.masked_fill(~mask_BT, -torch.inf).softmax(dim=1)
        return torch.einsum("bt,btd->bd", weight_BT, x_BTD)


class ClipToken(nn.Module):
    """The vector of a clip around a self encoder: its last real frame out, the mean, or a learned frame.

    The learned one (``cls``) stands after all others, so that it sees them under a causal mask too.
    """

    def __init__(self, kind: TokenKind, width: int):
        super().__init__()
        self.kind = kind
        self.frame_D = nn.Parameter(torch.randn(width) * 0.02) if kind == "cls" else None

    def enter(self, x_BTD: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder is to read: ``(B, T, D)``, with ``cls`` ``(B, T + 1, D)``, and its mask."""
        if self.frame_D is None:
            return x_BTD, mask_BT
        cls_B1D = self.frame_D.expand(len(x_BTD), 1, -1)
        return torch.cat([x_BTD, cls_B1D], dim=1), torch.cat(
            [mask_BT, mask_BT.new_ones(len(mask_BT), 1)], dim=1
        )

    def read(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, D)`` from the encoder's output and the mask that `enter` gave."""
        return masked_mean(x_BTD, mask_BT) if self.kind == "mean" else last_valid(x_BTD, mask_BT)
