"""A batch of padded clips, as datasets make it and models read it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass
class Batch:
    """Padded clips. Masks are boolean, True = real frame.

    A clip that lacks a modality has one zero frame there, which its mask counts
    as real: that is what zeroing the input of an absent modality means in the
    papers, and every sequence has a frame to attend to.
    """

    audio_BTD: Tensor
    visual_BTD: Tensor
    audio_mask_BT: Tensor
    visual_mask_BT: Tensor
    target_B: Tensor
    clip_ids: list[str] = field(default_factory=list)

    def without(self, modality: str) -> Batch:
        """The same batch with ``"audio"`` or ``"visual"`` input set to zero."""
        name = f"{modality}_BTD"
        zeroed: dict[str, Any] = {name: torch.zeros_like(getattr(self, name))}
        return replace(self, **zeroed)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)
