"""VAVL: versatile audio-visual learning.

Goncalves et al., "Versatile audio-visual learning for handling single and multi
modalities in emotion regression and classification tasks", arXiv 2305.07216v1;
section, figure and algorithm numbers are that paper's. Unstated details follow
the released code (ilucasgoncalves/VAVL, commit c128439), whose defects are switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.base.devices import sent
from avemo.dataset.batch import Batch
from avemo.models.attention import require_frames
from avemo.models.base import Outputs, System
from avemo.models.conformer import Conformer, ConformerConfig, FrameEncoder
from avemo.models.pooling import masked_mean
from avemo.models.presence import Average, mean_of_shown, modalities_in

Representation = dict[str, Tensor]
"""Clip vectors r ``(B, D)`` by modality."""


class VAVL(System):
    """Audio, visual, shared and audio-visual parts: theta_a, theta_v, theta_s, theta_av (Fig. 1).

    Logits ``audio``, ``visual`` and, of both representations, ``av``. A clip's prediction is
    the head of the modalities it has (Algorithm 1, lines 17-22). ``losses`` are the
    reconstructions of Eq. 1; ``representations`` are what Fig. 2 compares.
    """

    version: ClassVar[int] = 2
    procedures: ClassVar[tuple[str, ...]] = ("alternating",)
    tiny = {**{"width": 8, "heads": 2, "layers": 2, "embedding": 5, "depthwise_kernel": 5}, "hidden": (8, 6)}
    work = replace(System.work, gpu_frame_kb=800)

    class Config(ConformerConfig):
        """54,128,018 parameters with 1024-D audio, 1408-D faces, 6 classes; 53,884,818 with ``input_kernel`` 1."""

        published: ClassVar[dict[str, Any]] = ConformerConfig.published | {
            "published_mlp": True,
            "dropout_after": "first",
            "x_pool": "padded",
        }

        layers: int = Field(3, ge=1)
        """Conformer blocks of each modality."""
        shared_layers: int = Field(2, ge=1)
        """Conformer blocks that both modalities pass."""
        hidden: tuple[int, int] = (512, 256)
        """Units of the two hidden layers of every head."""
        head_dropout: float = Field(0.2, ge=0, lt=1)
        """In the heads."""
        dropout_after: Literal["both", "first"] = "both"
        """The hidden layers of a head that it follows; the text has it in "the fully connected layers"."""
        average: Average = "logits"
        """What is averaged without an audio-visual head."""
        alpha: float = Field(2.0, ge=0)
        """Weight of the reconstruction (Eq. 1). The code has 2 for classes and 1 for attributes."""
        shared_residual: bool = True
        """Add the input of the shared layers to their output; without: Ablation 1."""
        reconstruction: bool = True
        """Reconstruct the mean input of each modality; without: Ablation 2."""
        av_head: bool = True
        """Have the audio-visual head; without, the unimodal outputs are averaged: Ablation 3."""
        x_pool: Literal["masked", "padded"] = "masked"
        """Whether the mean input to reconstruct leaves out padded frames or counts them as zeros (code)."""
        published_mlp: bool = False
        """No ReLU after a head's second hidden layer (code)."""

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        self.audio = Branch(config, audio_dim, outputs)
        self.visual = Branch(config, visual_dim, outputs)
        self.shared = SharedLayers(config)
        self.av = head(config, 2 * config.width, outputs) if config.av_head else None

    def parts(self) -> dict[str, Sequence[nn.Module]]:
        """Algorithm 1: audio trains theta_a and theta_s, faces theta_v and theta_s, both theta_av."""
        unimodal: dict[str, Sequence[nn.Module]] = {
            "audio": [self.audio, self.shared],
            "visual": [self.visual, self.shared],
        }
        return unimodal if self.av is None else unimodal | {"av": [self.av]}

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        require_frames(batch)
        r = {modality: self.represent(modality, batch) for modality in modalities_in(batch)}
        logits = {modality: self._branch(modality).head(r_BD) for modality, r_BD in r.items()}
        losses = {
            f"{modality}_{name}": term
            for modality, r_BD in r.items()
            for name, term in self._reconstruction(modality, r_BD, batch).items()
        }
        prediction_BC = mean_of_shown(batch, logits, self.config.average)
        if self.av is not None and len(r) == 2:
            logits["av"] = self._fuse(r)
            both_B1 = (batch.has_audio_B & batch.has_visual_B)[:, None]
            prediction_BC = torch.where(both_B1, logits["av"], prediction_BC)
        return Outputs(logits, prediction_BC, losses, r)

    def forward_only(self, head: str, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One of Algorithm 1's three passes: lines 4, 8 and 13."""
        require_frames(batch)
        if head == "av":
            logits_BC = self._fuse({name: self.represent(name, batch) for name in ("audio", "visual")})
            return Outputs({"av": logits_BC}, logits_BC)
        r_BD = self.represent(head, batch)
        logits_BC = self._branch(head).head(r_BD)
        return Outputs({head: logits_BC}, logits_BC, self._reconstruction(head, r_BD, batch))

    def represent(self, modality: str, batch: Batch) -> Tensor:
        """r ``(B, D)``: the mean over time of the shared layers' output (section 3.2)."""
        x_BTF, mask_BT = batch.frames(modality)
        if self.config.as_published_padding:
            mask_BT = torch.ones_like(mask_BT)
        return masked_mean(self.shared(self._branch(modality).encoder(x_BTF, mask_BT), mask_BT), mask_BT)

    def _branch(self, modality: str) -> Branch:
        return self.audio if modality == "audio" else self.visual

    def _fuse(self, r: Representation) -> Tensor:
        assert self.av is not None
        return self.av(torch.cat([r["audio"], r["visual"]], dim=1))

    def _reconstruction(self, modality: str, r_BD: Tensor, batch: Batch) -> dict[str, Tensor]:
        """alpha * MSE between the mean input and its reconstruction, over the clips that have the modality."""
        reconstruct = self._branch(modality).reconstruct
        if reconstruct is None:
            return {}
        x_BTF, mask_BT = batch.frames(modality)
        x_BTF = x_BTF * mask_BT[:, :, None]
        pooled_BF = x_BTF.mean(1) if self.config.x_pool == "padded" else masked_mean(x_BTF, mask_BT)
        has_B = batch.known(f"has_{modality}_B")
        if not bool(has_B.all()):
            rows_N = sent(has_B.nonzero().flatten(), r_BD.device)
            r_BD, pooled_BF = r_BD[rows_N], pooled_BF[rows_N]
        error = F.mse_loss(reconstruct(r_BD), pooled_BF)
        return {"reconstruction": self.config.alpha * error}


class Branch(nn.Module):
    """theta_a or theta_v: encoder, prediction head, reconstruction head (section 3.1)."""

    def __init__(self, config: VAVL.Config, features: int, outputs: int):
        super().__init__()
        self.encoder = FrameEncoder(config, features, config.layers)
        self.head = head(config, config.width, outputs)
        self.reconstruct = head(config, config.width, features) if config.reconstruction else None


class SharedLayers(nn.Module):
    """theta_s: LN(Conformer(x) + x), ``(B, T, D)`` (section 3.2)."""

    def __init__(self, config: VAVL.Config):
        super().__init__()
        self.residual = config.shared_residual
        self.conformer = Conformer(config, config.width, config.shared_layers)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        y_BTD = self.conformer(x_BTD, mask_BT)
        return self.norm(y_BTD + x_BTD if self.residual else y_BTD)


def head(config: VAVL.Config, features: int, outputs: int) -> nn.Sequential:
    """The three layers of every prediction and reconstruction (section 4.3)."""
    first, second = config.hidden
    return nn.Sequential(
        nn.Linear(features, first),
        nn.ReLU(),
        nn.Dropout(config.head_dropout),
        nn.Linear(first, second),
        nn.Sequential(
            nn.Identity() if config.published_mlp else nn.ReLU(),
            nn.Dropout(config.head_dropout if config.dropout_after == "both" else 0.0),
        ),
        nn.Linear(second, outputs),
    )
