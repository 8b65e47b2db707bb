"""AuxFormer: a cross-modal transformer with single-modality auxiliary networks.

Goncalves and Busso, "AuxFormer: Robust approach to audiovisual emotion
recognition", ICASSP 2022; equations and section numbers are that paper's.
Unstated details follow the authors' released code, except that padding is
masked and the classification token is the last real frame.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.dataset.batch import Batch
from pipeline.models.attention import Encoder, Residual, TransformerConfig, projection, require_frames
from pipeline.models.base import Outputs, System
from pipeline.models.dropout import Dropout
from pipeline.models.pooling import last_valid


class AuxFormer(System):
    """Main network F_av and auxiliary networks F_a, F_v (section 4.2, Fig. 1).

    Logits ``av``, ``audio``, ``visual``; their mean is the prediction, and the mean of
    their losses is Eq. 1 with all weights 1/3. Without ``auxiliary``: ``av`` alone.
    """

    version: ClassVar[int] = 2

    class Config(TransformerConfig):
        """AuxFormer as published; 7,038,642 parameters with 130-D audio, 4096-D faces, 6 classes."""

        auxiliary: bool = True
        """Have the auxiliary networks; without them this is the paper's Baseline 1."""
        tied_alpha: bool = False
        """Residual scales beta = 1 - alpha (released code) instead of two free scalars (paper)."""
        separate_aux_heads: bool = False
        """One fully connected auxiliary head per modality instead of one shared by both."""
        aux_repeats: int = Field(1, ge=1)
        """Times an auxiliary encoder is applied to its own output (released code: 3)."""

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        scales: Residual = "tied" if config.tied_alpha else "independent"
        self.project_audio = projection(audio_dim, config.width)
        self.project_visual = projection(visual_dim, config.width)
        self.cross_audio = Encoder(config, cross=True, positions=True)
        self.cross_visual = Encoder(config, cross=True, positions=True)
        self.self_audio = Encoder(config, residual=scales)
        self.self_visual = Encoder(config, residual=scales)
        self.head = FusionHead(config, outputs)
        if config.auxiliary:
            self.aux_audio = Encoder(config)
            self.aux_visual = Encoder(config)
            self.aux_head_audio = AuxiliaryHead(config, outputs)
            self.aux_head_visual = (
                AuxiliaryHead(config, outputs) if config.separate_aux_heads else self.aux_head_audio
            )

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        require_frames(batch)
        audio_BTD = self.project_audio(batch.audio_BTD)
        visual_BTD = self.project_visual(batch.visual_BTD)
        masks = batch.audio_mask_BT, batch.visual_mask_BT
        logits = {"av": self._fuse(audio_BTD, visual_BTD, *masks)}
        if self.config.auxiliary:
            logits["audio"] = self.aux_head_audio(self._attend(self.aux_audio, audio_BTD, masks[0]))
            logits["visual"] = self.aux_head_visual(self._attend(self.aux_visual, visual_BTD, masks[1]))
        return Outputs(logits=logits, prediction=torch.stack([*logits.values()]).mean(0))

    def _fuse(self, audio_BTD: Tensor, visual_BSD: Tensor, audio_mask: Tensor, visual_mask: Tensor) -> Tensor:
        """F_av: queries of one modality over keys of the other, self-attention, tokens, MLP."""
        h_audio_BTD = self.cross_audio(audio_BTD, audio_mask, visual_BSD, visual_mask)
        h_visual_BSD = self.cross_visual(visual_BSD, visual_mask, audio_BTD, audio_mask)
        token_audio_BD = last_valid(self.self_audio(h_audio_BTD, audio_mask), audio_mask)
        token_visual_BD = last_valid(self.self_visual(h_visual_BSD, visual_mask), visual_mask)
        return self.head(torch.cat([token_audio_BD, token_visual_BD], dim=1))

    def _attend(self, encoder: nn.Module, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """The token of an auxiliary encoder, ``(B, D)``."""
        for _ in range(self.config.aux_repeats):
            x_BTD = encoder(x_BTD, mask_BT)
        return last_valid(x_BTD, mask_BT)


class FusionHead(nn.Module):
    """z = ReLU(W2 Drop(ReLU(W1 t))) + t, then logits; t ``(B, 2D)`` joins both tokens."""

    def __init__(self, config: AuxFormer.Config, outputs: int):
        super().__init__()
        self.hidden1 = nn.Linear(2 * config.width, 2 * config.width)
        self.hidden2 = nn.Linear(2 * config.width, 2 * config.width)
        self.dropout = Dropout(config.head_dropout)
        self.out = nn.Linear(2 * config.width, outputs)

    def forward(self, token_BD: Tensor) -> Tensor:
        hidden_BD = self.dropout(F.relu(self.hidden1(token_BD)))
        return self.out(F.relu(self.hidden2(hidden_BD)) + token_BD)


class AuxiliaryHead(nn.Module):
    """D -> 512 -> 256 -> D with a residual connection around all three, then logits."""

    def __init__(self, config: AuxFormer.Config, outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.width, 512),
            nn.ReLU(),
            Dropout(config.head_dropout),
            nn.Linear(512, 256),
            nn.ReLU(),
            Dropout(config.head_dropout),
            nn.Linear(256, config.width),
        )
        self.out = nn.Linear(config.width, outputs)

    def forward(self, token_BD: Tensor) -> Tensor:
        return self.out(self.layers(token_BD) + token_BD)
