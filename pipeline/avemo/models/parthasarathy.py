"""The audio-visual transformer of Parthasarathy and Sundaram, a baseline of AuxFormer and AV-Ladder.

"Training strategies to handle missing modalities for audio-visual expression
recognition", ICMI 2020. Only its outline is certain (self-attention per
modality, then cross-modal attention); sizes here give the parameter ratio
that the AV-Ladder paper prints (3.7).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from avemo.dataset.batch import Batch
from avemo.models.attention import Encoder, TransformerConfig, prepare, projection
from avemo.models.base import Outputs, System
from avemo.models.pooling import masked_mean


class ParthasarathySundaram(System):
    """Self encoders (with positions), cross encoders, mean over frames, MLP. Logits ``av`` only."""

    version: ClassVar[int] = 2
    tiny = {"width": 8, "heads": 2, "layers": 2}
    work = replace(System.work, gpu_frame_kb=80)

    class Config(TransformerConfig):
        """2,238,866 parameters with 130-D audio, 4096-D faces and 6 classes."""

        layers: int = Field(2, ge=1)

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        both = 2 * config.width
        self.project_audio = projection(audio_dim, config.width)
        self.project_visual = projection(visual_dim, config.width)
        self.self_audio = Encoder(config, positions=True)
        self.self_visual = Encoder(config, positions=True)
        self.cross_audio = Encoder(config, cross=True)
        self.cross_visual = Encoder(config, cross=True)
        self.head = nn.Sequential(
            nn.Linear(both, both), nn.ReLU(), nn.Dropout(config.head_dropout), nn.Linear(both, outputs)
        )

    @property
    def pads_freely(self) -> bool:
        """Where padding is not counted as real."""
        return not self.config.as_published_padding

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        batch = prepare(batch, self.config)
        audio_mask, visual_mask = batch.audio_mask_BT, batch.visual_mask_BT
        audio_BTD = self.self_audio(self.project_audio(batch.audio_BTD), audio_mask)
        visual_BSD = self.self_visual(self.project_visual(batch.visual_BTD), visual_mask)
        h_audio_BTD = self.cross_audio(audio_BTD, audio_mask, visual_BSD, visual_mask)
        h_visual_BSD = self.cross_visual(visual_BSD, visual_mask, audio_BTD, audio_mask)
        pooled_BD = torch.cat(
            [masked_mean(h_audio_BTD, audio_mask), masked_mean(h_visual_BSD, visual_mask)], dim=1
        )
        logits_BC = self.head(pooled_BD)
        return Outputs(logits={"av": logits_BC}, prediction=logits_BC)
