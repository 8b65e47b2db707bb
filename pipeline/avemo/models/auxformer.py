"""AuxFormer: a cross-modal transformer with single-modality auxiliary networks.

Goncalves and Busso, "AuxFormer: Robust approach to audiovisual emotion
recognition", ICASSP 2022; equations and section numbers are that paper's.
Unstated details follow the authors' code of 2021 (ilucasgoncalves/AuxFormer,
commit e9a9e0c), except for its switches in `AuxFormer.Config`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.dataset.batch import Batch
from avemo.models.attention import Encoder, FusionConfig, Residual, prepare, projection
from avemo.models.base import Outputs, System, SystemConfig
from avemo.models.pooling import ClipToken, TokenKind, masked_mean
from avemo.models.presence import Average, mean_of


class AuxFormerConfig(FusionConfig, SystemConfig):
    """What AuxFormer and its single-modality variants have in common."""

    published: ClassVar[dict[str, Any]] = {
        "causal": True,
        "as_published_padding": True,
        "tied_alpha": True,
        "aux_repeats": 3,
        "published_mlp": True,
    }

    token: TokenKind = "last"
    """What stands for a sequence: its last real frame (released code), a learned one, or the mean."""
    tied_alpha: bool = False
    """Residual scales beta = 1 - alpha (released code) instead of two free scalars (paper)."""
    aux_repeats: int = Field(1, ge=1)
    """Times an auxiliary encoder is applied to its own output (released code: 3)."""
    common_scales: bool = False
    """One alpha and one beta for all layers of a scaled encoder, not for each ("layer-independent", section 4.2)."""
    published_mlp: bool = False
    """No ReLU after the main network's second layer (released code); the paper has it on both."""

    @property
    def scales(self) -> Residual:
        """How the self encoders of the main network add."""
        return "tied" if self.tied_alpha else "independent"


class AuxFormer(System):
    """Main network F_av and auxiliary networks F_a, F_v (section 4.2, Fig. 1).

    Logits ``av``, ``audio``, ``visual``; their mean is the prediction, and the mean of
    their losses is Eq. 1 with all weights 1/3. Without ``auxiliary``: ``av`` alone.
    ``representations`` are means over time of what leaves the cross encoders.
    """

    version: ClassVar[int] = 2
    tiny = {"width": 8, "heads": 2, "layers": 2}
    work = replace(System.work, gpu_frame_kb=260)

    class Config(AuxFormerConfig):
        """AuxFormer as published; 7,038,642 parameters with 130-D audio, 4096-D faces, 6 classes."""

        auxiliary: bool = True
        """Have the auxiliary networks; without them this is the paper's Baseline 1."""
        separate_aux_heads: bool = False
        """One fully connected auxiliary head per modality instead of one shared by both."""
        average: Average = "logits"
        """What the prediction is the mean of, over the heads."""
        one_modality: Literal["mean", "present"] = "mean"
        """The prediction for a clip with one modality: the mean of all heads, to which the absent modality's answers
        zeros (released code), or the present one's auxiliary head alone."""

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        cross_layers, self_layers = config.fusion_layers
        self.project_audio = projection(audio_dim, config.width)
        self.project_visual = projection(visual_dim, config.width)
        self.cross_audio = Encoder(config, layers=cross_layers, cross=True, positions=True)
        self.cross_visual = Encoder(config, layers=cross_layers, cross=True, positions=True)
        self.self_audio = SequenceNetwork(config, layers=self_layers, residual=config.scales)
        self.self_visual = SequenceNetwork(config, layers=self_layers, residual=config.scales)
        self.head = MainHead(config, 2 * config.width, outputs)
        if config.auxiliary:
            self.aux_audio = SequenceNetwork(config, repeats=config.aux_repeats)
            self.aux_visual = SequenceNetwork(config, repeats=config.aux_repeats)
            self.aux_head_audio = AuxiliaryHead(config, outputs)
            self.aux_head_visual = (
                AuxiliaryHead(config, outputs) if config.separate_aux_heads else self.aux_head_audio
            )

    @property
    def pads_freely(self) -> bool:
        """Where padding is not counted as real."""
        return not self.config.as_published_padding

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        batch = prepare(batch, self.config)
        audio_BTD = self.project_audio(batch.audio_BTD)
        visual_BTD = self.project_visual(batch.visual_BTD)
        masks = batch.audio_mask_BT, batch.visual_mask_BT
        crossed = {
            "audio": self.cross_audio(audio_BTD, masks[0], visual_BTD, masks[1]),
            "visual": self.cross_visual(visual_BTD, masks[1], audio_BTD, masks[0]),
        }
        logits = {"av": self._fuse(crossed["audio"], crossed["visual"], *masks)}
        if self.config.auxiliary:
            logits["audio"] = self.aux_head_audio(self.aux_audio(audio_BTD, masks[0]))
            logits["visual"] = self.aux_head_visual(self.aux_visual(visual_BTD, masks[1]))
        means = {
            name: masked_mean(x_BTD, mask_BT)
            for (name, x_BTD), mask_BT in zip(crossed.items(), masks, strict=True)
        }
        return Outputs(logits, self._prediction(batch, logits), representations=means)

    def _prediction(self, batch: Batch, logits: dict[str, Tensor]) -> Tensor:
        counts_BH = torch.ones(len(batch), len(logits), dtype=torch.bool, device=logits["av"].device)
        if self.config.one_modality == "present" and self.config.auxiliary:
            paired_B1 = (batch.has_audio_B == batch.has_visual_B)[:, None]
            alone_BH = torch.stack([paired_B1[:, 0], batch.has_audio_B, batch.has_visual_B], dim=1)
            counts_BH = paired_B1 | alone_BH
        return mean_of(torch.stack([*logits.values()], dim=1), counts_BH, self.config.average)

    def _fuse(self, audio_BTD: Tensor, visual_BSD: Tensor, audio_mask: Tensor, visual_mask: Tensor) -> Tensor:
        """The rest of F_av: self-attention over what came from the cross encoders, tokens, MLP."""
        tokens = self.self_audio(audio_BTD, audio_mask), self.self_visual(visual_BSD, visual_mask)
        return self.head(torch.cat(tokens, dim=1))


class SequenceNetwork(nn.Module):
    """A self encoder, applied ``repeats`` times, and the token of what comes out."""

    def __init__(
        self,
        config: AuxFormerConfig,
        *,
        layers: int | None = None,
        residual: Residual = "plain",
        repeats: int = 1,
    ):
        super().__init__()
        self.repeats = repeats
        self.encoder = Encoder(config, layers=layers, residual=residual)
        if config.common_scales:
            self.encoder.share_scales()
        self.token = ClipToken(config.token, config.width)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, D)``."""
        x_BTD, mask_BT = self.token.enter(x_BTD, mask_BT)
        for _ in range(self.repeats):
            x_BTD = self.encoder(x_BTD, mask_BT)
        return self.token.read(x_BTD, mask_BT)


class MainHead(nn.Module):
    """z = ReLU(W2 Drop(ReLU(W1 t))) + t, then logits; t ``(B, width)`` joins the tokens (section 4.2)."""

    def __init__(self, config: AuxFormerConfig, width: int, outputs: int):
        super().__init__()
        self.hidden1 = nn.Linear(width, width)
        self.hidden2 = nn.Linear(width, width)
        self.activation = nn.Identity() if config.published_mlp else nn.ReLU()
        self.dropout = nn.Dropout(config.head_dropout)
        self.out = nn.Linear(width, outputs)

    def forward(self, token_BD: Tensor) -> Tensor:
        hidden_BD = self.dropout(F.relu(self.hidden1(token_BD)))
        return self.out(self.activation(self.hidden2(hidden_BD)) + token_BD)


class AuxiliaryHead(nn.Module):
    """D -> 512 -> 256 -> D with a residual connection around all three, then logits."""

    def __init__(self, config: AuxFormerConfig, outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.width, 512),
            nn.ReLU(),
            nn.Dropout(config.head_dropout),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Dropout(config.head_dropout),
            nn.Linear(256, config.width),
        )
        self.out = nn.Linear(config.width, outputs)

    def forward(self, token_BD: Tensor) -> Tensor:
        return self.out(self.layers(token_BD) + token_BD)
