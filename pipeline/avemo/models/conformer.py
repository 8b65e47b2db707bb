"""Conformer encoder: feed-forward, relative self-attention, convolution, feed-forward.

Gulati et al., "Conformer: convolution-augmented transformer for speech
recognition", Interspeech 2020, section 2, with Transformer-XL's relative
positions (Dai et al. 2019, section 3.3). Layout and initial weights follow
sooftware/conformer (commit b4e7d44), which VAVL builds on. Letters: B batch,
T time, D width, H heads, K width of a head, R relative positions, F input
features, N real frames. Masks are boolean, True = real frame.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.base.devices import at_once
from avemo.models.attention import all_real, attend, xavier_linear
from avemo.models.base import SystemConfig, heads_divide_width


class ConformerConfig(SystemConfig):
    """One block of width 512 has 6,323,200 parameters."""

    published: ClassVar[dict[str, Any]] = {
        "input_kernel": 1,
        "vendored_attention": True,
        "batch_axis_attention": True,
        "as_published_padding": True,
    }

    width: int = Field(512, ge=4)
    """D, even."""
    heads: int = Field(8, ge=1)
    """H; must divide ``width``."""
    ffn_ratio: int = Field(4, ge=1)
    """Width of the feed-forward hidden layer over ``width``."""
    depthwise_kernel: int = Field(31, ge=1)
    """Frames that the convolution module sees, odd."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Everywhere inside the encoders."""
    embedding: int = Field(50, ge=1)
    """Width that a convolution gives the input features before the encoder (VAVL, section 3.1)."""
    input_kernel: int = Field(3, ge=1)
    """Frames that this convolution sees, odd. VAVL's text: "aware of its neighboring elements"; its code: 1."""
    as_published_padding: bool = False
    """Padded frames count as real ones in attention, convolution and means."""
    vendored_attention: bool = False
    """The attention that ships with VAVL's code: scores over sqrt(D) instead of sqrt(D/H), and
    absolute positions in the shifted term, so that a result depends on the batch's longest clip."""
    batch_axis_attention: bool = False
    """VAVL's released layout: attention and convolution run along the batch instead of time, unmasked."""

    @field_validator("depthwise_kernel", "input_kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("expected an odd number of frames, so that a frame is its window's centre")
        return kernel

    _heads = model_validator(mode="after")(heads_divide_width)


class FrameEncoder(nn.Module):
    """One modality from features to frames of width D: bias-free Conv1d F -> 50, then a conformer."""

    def __init__(self, config: ConformerConfig, features: int, layers: int):
        super().__init__()
        kernel = config.input_kernel
        self.embed = nn.Conv1d(features, config.embedding, kernel, padding=kernel // 2, bias=False)
        self.conformer = Conformer(config, config.embedding, layers)

    def forward(self, x_BTF: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, T, D)``."""
        x_BTF = x_BTF if all_real(mask_BT) else x_BTF * mask_BT[:, :, None]
        return self.conformer(self.embed(x_BTF.transpose(1, 2)).transpose(1, 2), mask_BT)


class Conformer(nn.Module):
    """Linear F -> D, dropout, ``layers`` blocks."""

    def __init__(self, config: ConformerConfig, features: int, layers: int):
        super().__init__()
        self.width, self.vendored = config.width, config.vendored_attention
        self.across_batch = config.batch_axis_attention
        self.project = xavier_linear(features, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(ConformerBlock(config) for _ in range(layers))

    def forward(self, x_BTF: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, T, D)``; padded frames hold rubbish that no real frame has seen."""
        x_BTD = self.dropout(self.project(x_BTF))
        if self.across_batch:
            x_BTD, mask_BT = x_BTD.transpose(0, 1), torch.ones_like(mask_BT.T)
        padded_BT = None if all_real(mask_BT) else mask_BT
        positions_RD = positions(x_BTD.shape[1], self.width, self.vendored, x_BTD.device).to(x_BTD.dtype)
        for block in self.blocks:
            x_BTD = block(x_BTD, positions_RD, padded_BT)
        return x_BTD.transpose(0, 1) if self.across_batch else x_BTD


class ConformerBlock(nn.Module):
    """x += FFN(x) / 2;  x += Attention(x);  x += Convolution(x);  LN(x + FFN(x) / 2).

    Its mask, like its parts', is None where every frame is known to be real, which spares some passes over them.
    """

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.ffn_before = FeedForward(config)
        self.attention = RelativeAttention(config)
        self.convolution = ConvolutionModule(config)
        self.ffn_after = FeedForward(config)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x_BTD: Tensor, positions_RD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """``(B, T, D)``."""
        x_BTD = x_BTD + 0.5 * self.ffn_before(x_BTD)
        x_BTD = x_BTD + self.attention(x_BTD, positions_RD, mask_BT)
        x_BTD = x_BTD + self.convolution(x_BTD, mask_BT)
        return self.norm(x_BTD + 0.5 * self.ffn_after(x_BTD))


class FeedForward(nn.Sequential):
    """Drop(W2 Drop(Swish(W1 LN x)))."""

    def __init__(self, config: ConformerConfig):
        hidden = config.ffn_ratio * config.width
        super().__init__(
            nn.LayerNorm(config.width),
            xavier_linear(config.width, hidden),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            xavier_linear(hidden, config.width),
            nn.Dropout(config.dropout),
        )


class RelativeAttention(nn.Module):
    """softmax([(q_t + u) k_s + (q_t + v) W_r r(t - s)] / sqrt(K)) v_s (Transformer-XL, section 3.3)."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.heads = config.heads
        self.scale = (config.width if config.vendored_attention else config.width // config.heads) ** -0.5
        self.norm = nn.LayerNorm(config.width)
        self.project_in = nn.Linear(config.width, 3 * config.width)
        for part in self.project_in.weight.chunk(3):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.project_in.bias)
        self.project_position = nn.Linear(config.width, config.width, bias=False)
        nn.init.xavier_uniform_(self.project_position.weight)
        self.content_bias = nn.Parameter(torch.empty(config.heads, config.width // config.heads))
        self.position_bias = nn.Parameter(torch.empty(config.heads, config.width // config.heads))
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)
        self.project_out = xavier_linear(config.width, config.width)
        self.weight_dropout = config.dropout
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, positions_RD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """``(B, T, D)``; keys outside the mask are not seen."""
        query_BTD, key_BTD, value_BTD = self.project_in(self.norm(x_BTD)).chunk(3, dim=-1)
        query_BTHK = query_BTD.unflatten(-1, (self.heads, -1))
        position_RHK = self.project_position(positions_RD).unflatten(-1, (self.heads, -1))
        bias_BHTT = shift(
            torch.matmul(
                (query_BTHK + self.position_bias).transpose(1, 2),
                (position_RHK * self.scale).permute(1, 2, 0),
            )
        )
        if mask_BT is not None:
            bias_BHTT = bias_BHTT.masked_fill(~mask_BT[:, None, None], -torch.inf)
        y_BHTK = attend(
            (query_BTHK + self.content_bias).transpose(1, 2),
            key_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2),
            value_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2),
            bias_BHTT,
            dropout=self.weight_dropout if self.training else 0.0,
            scale=self.scale,
        )
        return self.dropout(self.project_out(y_BHTK.transpose(1, 2).flatten(2)))


class ConvolutionModule(nn.Module):
    """LN, pointwise D -> 2D, GLU, depthwise, batch norm, Swish, pointwise (Gulati et al., Fig. 2).

    Padded frames are zero before the depthwise convolution and absent from the batch
    norm's statistics. The depthwise weight is ``(D, 1, 1, kernel)``: as a 2-D convolution
    on channels-last memory it needs no transposition of the frames, and runs about three
    times as fast on a CPU.
    """

    def __init__(self, config: ConformerConfig):
        super().__init__()
        width, kernel = config.width, config.depthwise_kernel
        self.norm_in = nn.LayerNorm(width)
        self.pointwise_in = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv2d(
            width, width, (1, kernel), padding=(0, kernel // 2), groups=width, bias=False
        )
        self.norm = FrameBatchNorm(width)
        self.pointwise_out = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """``(B, T, D)``."""
        x_BTD = F.glu(self.pointwise_in(self.norm_in(x_BTD)), dim=-1)
        if mask_BT is not None:
            x_BTD = x_BTD * mask_BT[:, :, None]
        x_BTD = self.depthwise(x_BTD.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        x_BTD = F.silu(self.norm(x_BTD, mask_BT))
        return self.dropout(self.pointwise_out(x_BTD))


class FrameBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the real frames of a batch; padded frames become zero.

    One real frame alone has no statistics, so it is normalised by the running ones.
    """

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:  # type: ignore[override]
        """``(B, T, D)``."""
        if mask_BT is not None and not at_once(mask_BT):
            return self._unseen(x_BTD, mask_BT[:, :, None])
        x_ND = x_BTD.flatten(0, 1) if mask_BT is None else x_BTD[mask_BT]
        own_statistics = self.training and len(x_ND) > 1
        y_ND = F.batch_norm(
            x_ND,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=own_statistics,
            momentum=self.momentum or 0.1,
            eps=self.eps,
        )
        if mask_BT is None:
            return y_ND.view(x_BTD.shape)
        y_BTD = torch.zeros_like(x_BTD, dtype=y_ND.dtype)
        y_BTD[mask_BT] = y_ND
        return y_BTD

    def _unseen(self, x_BTD: Tensor, mask_BT1: Tensor) -> Tensor:
        """The same but for rounding, without asking a GPU how many frames are real."""
        assert self.running_mean is not None, "batch norms of this class track statistics"
        assert self.running_var is not None, "batch norms of this class track statistics"
        wide = torch.promote_types(x_BTD.dtype, torch.float32)
        real_BTD, count = x_BTD.to(wide).masked_fill(~mask_BT1, 0), mask_BT1.sum().to(wide)
        mean_D, variance_D = self.running_mean, self.running_var
        if self.training:
            own_mean_D = real_BTD.sum((0, 1)) / count
            away_BTD = (real_BTD - own_mean_D).masked_fill(~mask_BT1, 0)
            own_variance_D = away_BTD.square().sum((0, 1)) / count
            mean_D = torch.where(count > 1, own_mean_D, mean_D)
            variance_D = torch.where(count > 1, own_variance_D, variance_D)
            with torch.no_grad():
                part = torch.where(count > 1, self.momentum or 0.1, 0.0)
                self.running_mean.lerp_(mean_D, part)
                self.running_var.lerp_(variance_D * count / (count - 1).clamp(min=1), part)
        y_BTD = (real_BTD - mean_D) * (variance_D + self.eps).rsqrt() * self.weight + self.bias
        return y_BTD.masked_fill(~mask_BT1, 0).to(x_BTD.dtype)


def positions(frames: int, width: int, vendored: bool, device: torch.device) -> Tensor:
    """r ``(R, D)``: offsets T-1 .. -(T-1); with vendored attention absolute positions 0 .. T-1."""
    if vendored:
        return interleaved_sinusoid(torch.arange(frames, device=device), width)
    return interleaved_sinusoid(torch.arange(frames - 1, -frames, -1, device=device), width)


def interleaved_sinusoid(positions_R: Tensor, width: int) -> Tensor:
    """``(R, width)``: sin(p w_i) in even columns, cos(p w_i) in odd ones, w_i = 10000^(-2i / width)."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions_R.device) * (-math.log(10000.0) / width))
    angles = positions_R[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def shift(scores_BHTR: Tensor) -> Tensor:
    """Scores of positions as scores of keys ``(B, H, T, T)``: row t moves T-1-t columns to the left.

    Transformer-XL, appendix B: one zero column in front, read again with rows one longer.

    >>> shift(torch.tensor([[[[2.0, 1, 0, -1, -2]] * 3]])).int()[0, 0]
    tensor([[ 0, -1, -2],
            [ 1,  0, -1],
            [ 2,  1,  0]], dtype=torch.int32)
    """
    frames, positions = scores_BHTR.shape[-2:]
    padded = F.pad(scores_BHTR, (1, 0)).unflatten(-2, (1, frames)).flatten(-2)
    return (
        padded.unflatten(-1, (positions + 1, frames))[..., 0, 1:, :]
        .flatten(-2)
        .unflatten(-1, (frames, positions))[..., :frames]
    )
