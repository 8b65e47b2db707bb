"""A batch of padded clips, as datasets make it and models read it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from avemo.base.devices import sent

LOOKED_AT = ("audio_mask_BT", "visual_mask_BT", "has_audio_B", "has_visual_B")
"""What decides how a batch is worked on."""


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
    made_of: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)
    """Of tensors in `LOOKED_AT` that are on a GPU: themselves, and the same on the CPU."""

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

    def known(self, name: str) -> Tensor:
        """One of `LOOKED_AT` on the CPU; waits for a GPU only if it was made there."""
        value: Tensor = getattr(self, name)
        there, here = self.made_of.get(name, (None, value))
        return here.cpu() if there is value or there is None else value.cpu()

    def frames(self, modality: str) -> tuple[Tensor, Tensor]:
        """Frames ``(B, T, D)`` of ``"audio"`` or ``"visual"`` and their mask ``(B, T)``."""
        if modality == "audio":
            return self.audio_BTD, self.audio_mask_BT
        return self.visual_BTD, self.visual_mask_BT

    def without(self, modality: str, clips_B: Tensor | None = None) -> Batch:
        """The same batch with the ``"audio"`` or ``"visual"`` input of ``clips_B`` (default: all) set to
        zero and marked as absent."""
        x_BTD, has_B, name = getattr(self, f"{modality}_BTD"), self.has(modality), f"has_{modality}_B"
        if clips_B is None:
            here_B = torch.zeros(len(self), dtype=torch.bool)
            changed = {f"{modality}_BTD": torch.zeros_like(x_BTD), name: torch.zeros_like(has_B)}
        else:
            here_B = self.known(name) & ~clips_B.cpu()
            lost_B11 = sent(clips_B, x_BTD.device)[:, None, None]
            changed = {f"{modality}_BTD": x_BTD.masked_fill(lost_B11, 0), name: sent(here_B, has_B.device)}
        made_of = self.made_of | ({} if has_B.device.type == "cpu" else {name: (changed[name], here_B)})
        return replace(self, **changed, made_of=made_of)  # type: ignore[arg-type]

    def select(self, keep_B: Tensor) -> Batch:
        """The clips where ``keep_B`` is True, padded as they were."""
        keep_B = keep_B.cpu()
        if bool(keep_B.all()):
            return self
        rows_N = keep_B.nonzero().flatten()
        kept = {name: x.index_select(0, sent(rows_N, x.device)) for name, x in self._tensors().items()}
        ids = [clip_id for clip_id, keep in zip(self.clip_ids, keep_B.tolist(), strict=False) if keep]
        made_of = {name: (kept[name], self.known(name)[rows_N]) for name in self.made_of}
        return replace(self, **kept, clip_ids=ids, made_of=made_of)  # type: ignore[arg-type]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``; on the way to a GPU nobody waits."""
        moved = {name: sent(x, device) for name, x in self._tensors().items()}
        away = torch.device(device).type != "cpu"
        made_of = {name: (moved[name], self.known(name)) for name in LOOKED_AT} if away else {}
        return replace(self, **moved, made_of=made_of)  # type: ignore[arg-type]

    def _tensors(self) -> dict[str, Tensor]:
        return {name: x for name, x in vars(self).items() if isinstance(x, Tensor)}
