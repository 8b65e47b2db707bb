"""UAVM, a baseline of VAVL: one transformer for either modality.

Gong et al., "UAVM: towards unifying audio and visual models", IEEE Signal
Processing Letters 2022, section II, with the sizes of the authors' code
(YuanGongND/uavm, commit b3120c7, src/models/mm_trans.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.base.devices import at_once
from avemo.dataset.batch import Batch
from avemo.models.attention import lengths, require_frames
from avemo.models.base import Outputs, System, SystemConfig, heads_divide_width
from avemo.models.pooling import masked_mean
from avemo.models.presence import Average, mean_of_shown, modalities_in


class UAVM(System):
    """Specific blocks for each modality, shared blocks, mean over time, one classifier.

    Logits ``audio`` and ``visual``; the prediction is the mean of those whose modality a
    clip has. A mini-batch trains one of them.
    """

    version: ClassVar[int] = 2
    procedures: ClassVar[tuple[str, ...]] = ("sampled",)
    tiny = {"width": 8, "heads": 2, "length": 20}

    class Config(SystemConfig):
        """114,949,894 parameters with 1024-D audio, 1408-D faces, 6 classes.

        The released module has 117,065,490: two projections and two classifiers in it are never used.
        """

        published: ClassVar[dict[str, Any]] = {"as_published_padding": True, "fit": "cut"}

        width: int = Field(1024, ge=1)
        """D."""
        heads: int = Field(4, ge=1)
        """Must divide ``width``."""
        ffn_ratio: int = Field(4, ge=1)
        """Width of the feed-forward hidden layer over ``width``."""
        specific_layers: int = Field(3, ge=1)
        """Blocks of each modality."""
        shared_layers: int = Field(3, ge=1)
        """Blocks that both modalities pass."""
        length: int = Field(50, ge=1)
        """Frames that the learned positions cover. The repository's configs have 30, a third of a second each."""
        fit: Literal["pool", "cut"] = "pool"
        """What becomes of longer clips. ``pool``: each is averaged to ``length`` stretches of its own, so that all of
        it counts. ``cut``: frames after ``length`` are not looked at, as in the repository, whose features
        span a clip by then; with frames of 20 ms ``length`` must be 600 for 12 s."""
        average: Average = "logits"
        """What the prediction with both modalities is the mean of."""
        as_published_padding: bool = False
        """Shorter clips are padded to ``length`` with zeros that count as real frames."""

        _heads = model_validator(mode="after")(heads_divide_width)

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        self.audio = Trunk(config, audio_dim, config.specific_layers)
        self.visual = Trunk(config, visual_dim, config.specific_layers)
        self.shared = Trunk(config, config.width, config.shared_layers)
        self.head = nn.Sequential(nn.LayerNorm(config.width, eps=1e-6), nn.Linear(config.width, outputs))

    def parts(self) -> dict[str, Sequence[nn.Module]]:
        """Each modality's blocks, with the shared ones and the classifier."""
        return {
            "audio": [self.audio, self.shared, self.head],
            "visual": [self.visual, self.shared, self.head],
        }

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        require_frames(batch)
        r = {modality: self.represent(modality, batch) for modality in modalities_in(batch)}
        logits = {modality: self.head(r_BD) for modality, r_BD in r.items()}
        return Outputs(logits, mean_of_shown(batch, logits, self.config.average), representations=r)

    def forward_only(self, head: str, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """The pass of one modality."""
        require_frames(batch)
        logits_BC = self.head(self.represent(head, batch))
        return Outputs({head: logits_BC}, logits_BC)

    def represent(self, modality: str, batch: Batch) -> Tensor:
        """The mean over time of the shared blocks' output, ``(B, D)``."""
        x_BTF, mask_BT = self._fit(*batch.frames(modality))
        trunk = self.audio if modality == "audio" else self.visual
        return masked_mean(self.shared(trunk(x_BTF, mask_BT), mask_BT), mask_BT)

    def _fit(self, x_BTF: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        length = self.config.length
        if self.config.fit == "pool":
            x_BTF, mask_BT = pooled(x_BTF, mask_BT, length)
        x_BTF, mask_BT = x_BTF[:, :length], mask_BT[:, :length]
        if self.config.as_published_padding:
            x_BTF = F.pad(x_BTF * mask_BT[:, :, None], (0, 0, 0, length - x_BTF.shape[1]))
            mask_BT = torch.ones(x_BTF.shape[:2], dtype=torch.bool, device=x_BTF.device)
        return x_BTF, mask_BT


def pooled(x_BTF: Tensor, mask_BT: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Clips of more than ``length`` frames as the means of ``length`` stretches that cover them, and their mask.

    Of a clip of N frames, stretch j holds frames floor(j N / L) to ceil((j + 1) N / L), as in PyTorch's adaptive
    pooling; clips of up to ``length`` frames stay as they are.

    >>> x, mask = pooled(torch.tensor([[[1.0], [3.0], [5.0], [7.0]]]), torch.ones(1, 4, dtype=torch.bool), 2)
    >>> x.tolist(), mask.tolist()
    ([[[2.0], [6.0]]], [[True, True]])
    """
    frames_B = lengths(mask_BT)
    if mask_BT.shape[1] <= length or (at_once(frames_B) and int(frames_B.max()) <= length):
        return x_BTF, mask_BT
    kept_B1 = frames_B.clamp(max=length)[:, None]
    stretch_L = torch.arange(length, device=mask_BT.device)
    first_BL = stretch_L * frames_B[:, None] // kept_B1
    after_BL = -(-(stretch_L + 1) * frames_B[:, None] // kept_B1)
    time_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    within_BLT = (time_T >= first_BL[:, :, None]) & (time_T < after_BL[:, :, None]) & mask_BT[:, None]
    weight_BLT = within_BLT / within_BLT.sum(2, keepdim=True).clamp(min=1)
    return weight_BLT.to(x_BTF.dtype) @ x_BTF, stretch_L < kept_B1


class Trunk(nn.Module):
    """LN, Linear F -> D (none if F = D), learned positions, pre-norm GELU blocks without q, k, v biases."""

    def __init__(self, config: UAVM.Config, features: int, layers: int):
        from timm.models.vision_transformer import Block

        super().__init__()
        self.norm = nn.LayerNorm(features, eps=1e-6)
        self.project = nn.Identity() if features == config.width else nn.Linear(features, config.width)
        self.positions_TD = nn.Parameter(torch.empty(config.length, config.width))
        nn.init.trunc_normal_(self.positions_TD, std=0.02)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, mlp_ratio=config.ffn_ratio, norm_layer=nn.LayerNorm)
            for _ in range(layers)
        )

    def forward(self, x_BTF: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, T, D)``; T at most ``length``."""
        x_BTD = self.project(self.norm(x_BTF)) + self.positions_TD[: x_BTF.shape[1]]
        for block in self.blocks:
            x_BTD = block(x_BTD, attn_mask=mask_BT[:, None, None])
        return x_BTD
