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
    papers, and every sequence has a frame to attend to. ``has_audio_B`` and
    ``has_visual_B`` (default: all True) say which clips these are.

    ``targets``: class numbers ``(B,)``, int64; or ``(B, C)`` float32: attributes,
    emotion bits, or shares of the classes.
    """

    audio_BTD: Tensor
    visual_BTD: Tensor
    audio_mask_BT: Tensor
    visual_mask_BT: Tensor
    targets: Tensor
    clip_ids: list[str] = field(default_factory=list)
    has_audio_B: Tensor = None  # type: ignore[assignment]
    has_visual_B: Tensor = None  # type: ignore[assignment]
    whole: bool = False
    """Every clip is known to have a frame of each modality, so that nobody need look: on a GPU a look waits."""

    def __post_init__(self) -> None:
        everyone = torch.ones(len(self), dtype=torch.bool, device=self.targets.device)
        self.has_audio_B = everyone if self.has_audio_B is None else self.has_audio_B
        self.has_visual_B = everyone if self.has_visual_B is None else self.has_visual_B

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.targets)

    def has(self, modality: str) -> Tensor:
        """Which clips ``(B,)`` have ``"audio"`` or ``"visual"``."""
        return self.has_audio_B if modality == "audio" else self.has_visual_B

    def frames(self, modality: str) -> tuple[Tensor, Tensor]:
        """Frames ``(B, T, D)`` of ``"audio"`` or ``"visual"`` and their mask ``(B, T)``."""
        if modality == "audio":
            return self.audio_BTD, self.audio_mask_BT
        return self.visual_BTD, self.visual_mask_BT

    def without(self, modality: str, clips_B: Tensor | None = None) -> Batch:
        """The same batch with the ``"audio"`` or ``"visual"`` input of ``clips_B`` (default: all) set to
        zero and marked as absent."""
        x_BTD, has_B = getattr(self, f"{modality}_BTD"), self.has(modality)
        kept_B = torch.zeros_like(has_B) if clips_B is None else ~clips_B
        changed: dict[str, Any] = {
            f"{modality}_BTD": x_BTD.masked_fill(~kept_B[:, None, None].to(x_BTD.device), 0),
            f"has_{modality}_B": has_B & kept_B,
        }
        return replace(self, **changed)

    def select(self, keep_B: Tensor) -> Batch:
        """The clips where ``keep_B`` is True, padded as they were."""
        if bool(keep_B.all()):
            return self
        kept: dict[str, Any] = {k: v[keep_B] for k, v in vars(self).items() if isinstance(v, Tensor)}
        ids = [clip_id for clip_id, keep in zip(self.clip_ids, keep_B.tolist(), strict=False) if keep]
        return replace(self, **kept, clip_ids=ids)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)
