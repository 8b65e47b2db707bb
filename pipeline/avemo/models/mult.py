"""MulT with two modalities, a baseline of AuxFormer and AV-Ladder.

Tsai et al., "Multimodal transformer for unaligned multimodal language
sequences", ACL 2019, sections 3.1 to 3.3; text is left out, so each target
modality has one source and its memory keeps the model width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from avemo.dataset.batch import Batch
from avemo.models.attention import Encoder, TransformerConfig, prepare, projection
from avemo.models.base import Outputs, System, SystemConfig
from avemo.models.pooling import last_valid


class MulT(System):
    """Cross encoders, self encoders, last real frames, residual MLP. Logits ``av`` only."""

    version: ClassVar[int] = 2
    tiny = {"width": 9, "heads": 3, "layers": 2}
    work = replace(System.work, gpu_frame_kb=220)

    class Config(TransformerConfig, SystemConfig):
        """6,657,256 parameters with 130-D audio, 4096-D faces and 6 classes.

        Width 155 gives the parameter ratio that the AV-Ladder paper prints (1.24);
        heads, layers and the causal mask are the MulT repository's.
        """

        published: ClassVar[dict[str, Any]] = {"causal": True, "as_published_padding": True}

        width: int = 155
        heads: int = 5
        causal: bool = True

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        both = 2 * config.width
        self.project_audio = projection(audio_dim, config.width)
        self.project_visual = projection(visual_dim, config.width)
        self.cross_audio = Encoder(config, cross=True, positions=True)
        self.cross_visual = Encoder(config, cross=True, positions=True)
        self.self_audio = Encoder(config, positions=True)
        self.self_visual = Encoder(config, positions=True)
        self.hidden1 = nn.Linear(both, both)
        self.hidden2 = nn.Linear(both, both)
        self.dropout = nn.Dropout(config.head_dropout)
        self.out = nn.Linear(both, outputs)

    @property
    def pads_freely(self) -> bool:
        """Where padding is not counted as real."""
        return not self.config.as_published_padding

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        batch = prepare(batch, self.config)
        audio_mask, visual_mask = batch.audio_mask_BT, batch.visual_mask_BT
        audio_BTD = self.project_audio(batch.audio_BTD)
        visual_BSD = self.project_visual(batch.visual_BTD)
        h_audio_BTD = self.self_audio(
            self.cross_audio(audio_BTD, audio_mask, visual_BSD, visual_mask), audio_mask
        )
        h_visual_BSD = self.self_visual(
            self.cross_visual(visual_BSD, visual_mask, audio_BTD, audio_mask), visual_mask
        )
        token_BD = torch.cat(
            [last_valid(h_audio_BTD, audio_mask), last_valid(h_visual_BSD, visual_mask)], dim=1
        )
        hidden_BD = self.dropout(F.relu(self.hidden1(token_BD)))
        logits_BC = self.out(self.hidden2(hidden_BD) + token_BD)
        return Outputs(logits={"av": logits_BC}, prediction=logits_BC)
