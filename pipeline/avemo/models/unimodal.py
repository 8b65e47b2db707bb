"""The unimodal conformer, VAVL's baseline for one modality.

Goncalves et al., "Versatile audio-visual learning for handling single and multi
modalities in emotion regression and classification tasks", arXiv 2305.07216v1,
section 4.5.4: conformer layers, average pooling, two fully connected layers.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from avemo.dataset.batch import Batch
from avemo.models.attention import require_frames
from avemo.models.base import Outputs, System
from avemo.models.conformer import ConformerConfig, FrameEncoder
from avemo.models.pooling import masked_mean


class UnimodalConformer(System):
    """One modality's frames to logits, named ``audio`` or ``visual``; the other modality is not read."""

    version: ClassVar[int] = 1
    tiny = {"width": 8, "heads": 2, "layers": 2, "embedding": 5, "depthwise_kernel": 5}

    class Config(ConformerConfig):
        """With ``input_kernel`` 1 and 6 classes 31,826,182 parameters (1024-D audio) or 31,845,382 (1408-D faces)."""

        modality: Literal["audio", "visual"] = "audio"
        """What the system looks at."""
        layers: int = Field(5, ge=1)
        """Conformer blocks."""
        hidden: int = Field(256, ge=1)
        """Units between the two fully connected layers."""
        head_dropout: float = Field(0.2, ge=0, lt=1)
        """After the first fully connected layer."""

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        features = audio_dim if config.modality == "audio" else visual_dim
        self.encoder = FrameEncoder(config, features, config.layers)
        self.head = nn.Sequential(
            nn.Linear(config.width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.head_dropout),
            nn.Linear(config.hidden, outputs),
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """The one it looks at."""
        return (self.config.modality,)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        require_frames(batch)
        x_BTF, mask_BT = batch.frames(self.config.modality)
        if self.config.as_published_padding:
            mask_BT = torch.ones_like(mask_BT)
        logits_BC = self.head(masked_mean(self.encoder(x_BTF, mask_BT), mask_BT))
        return Outputs(logits={self.config.modality: logits_BC}, prediction=logits_BC)
