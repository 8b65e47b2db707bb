"""Masked self- and cross-attention encoders, the block that the MulT family shares.

Letters: B batch, T query time, S key time, D width, H heads. Masks are
boolean, True = real frame. Pre-norm transformer after Vaswani et al. 2017 with
the layout of Tsai et al. 2019 (MulT), which AuxFormer inherits.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.base.contracts import AvemoError, ComponentConfig
from avemo.base.devices import at_once
from avemo.dataset.batch import Batch
from avemo.models.base import heads_divide_width

Residual = Literal["plain", "tied", "independent"]

FILLED_ON = ("cuda",)
"""Devices whose fused attention takes heads of a multiple of `FUSED` numbers; others' weights would be held whole."""
FUSED = 8


class TransformerConfig(ComponentConfig):
    """Sizes and dropouts of every encoder in one system."""

    width: int = Field(130, ge=4)
    """D, the width that both modalities share inside the encoders."""
    heads: int = Field(10, ge=1)
    """H; must divide ``width``."""
    layers: int = Field(5, ge=1)
    """Blocks in each encoder."""
    ffn_ratio: int = Field(4, ge=1)
    """Width of the feed-forward hidden layer over ``width``."""
    causal: bool = False
    """Let a frame see only keys up to its own time (see `attention_mask`)."""
    as_published_padding: bool = False
    """Padded frames count as real ones, as in the released code: they are attended to, pooled and read
    out, and only get no position if their first channel is 0."""
    padded_frames: tuple[int, int] | None = None
    """Audio and visual frames that ``as_published_padding`` fills up to with zeros, the longest of the
    corpus in the released code; None: the longest of the batch."""
    embedding_dropout: float = Field(0.25, ge=0, lt=1)
    """On the scaled inputs of an encoder."""
    attn_out_dropout: bool = False
    """Have ``embedding_dropout`` on what attention layers put out instead (both papers' text)."""
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    """On the attention weights of self encoders."""
    cross_attention_dropout: float = Field(0.0, ge=0, lt=1)
    """On the attention weights of cross encoders."""
    relu_dropout: float = Field(0.1, ge=0, lt=1)
    """After the feed-forward ReLU."""
    residual_dropout: float = Field(0.1, ge=0, lt=1)
    """On what a sublayer adds to its input."""
    head_dropout: float = Field(0.2, ge=0, lt=1)
    """Inside the classification heads."""

    _heads = model_validator(mode="after")(heads_divide_width)


class FusionConfig(TransformerConfig):
    """A system whose branches first attend across modalities, then to themselves."""

    fusion_depth: Literal["each", "together"] = "each"
    """``layers`` blocks in a branch's cross and in its self encoder each (printed parameter counts),
    or in both together, the cross encoder having the larger half."""

    @property
    def fusion_layers(self) -> tuple[int, int]:
        """Blocks of a branch's cross and self encoder."""
        if self.fusion_depth == "each":
            return self.layers, self.layers
        return self.layers - self.layers // 2, self.layers // 2


def require_frames(batch: Batch) -> None:
    """Raise `AvemoError` naming the clips of ``batch`` that have no real frame in a modality."""
    if batch.whole:
        return
    for name, mask_BT in (("audio", batch.audio_mask_BT), ("visual", batch.visual_mask_BT)):
        real_B = mask_BT.any(dim=1)
        if not bool(real_B.all()):
            rows = (~real_B).nonzero().flatten().tolist()
            clips = ", ".join(batch.clip_ids[row] if batch.clip_ids else f"row {row}" for row in rows)
            raise AvemoError(
                f"{clips}: expected at least one real {name} frame, found none; "
                f"give an absent modality one zero frame that its mask counts as real"
            )


def prepare(batch: Batch, config: TransformerConfig, frames: tuple[int, int] | None = None) -> Batch:
    """``batch`` as a system is to see it, every clip with frames: see ``as_published_padding``.

    ``frames`` stand in for the config's ``padded_frames``. Raises `AvemoError` for a clip
    without frames, or for more frames than these.
    """
    require_frames(batch)
    if not config.as_published_padding:
        return batch
    shapes = batch.audio_BTD.shape[1], batch.visual_BTD.shape[1]
    frames = frames or config.padded_frames or shapes
    if shapes[0] > frames[0] or shapes[1] > frames[1]:
        raise AvemoError(
            f"a batch of {shapes[0]} audio and {shapes[1]} visual frames: expected at most {frames[0]} "
            f"and {frames[1]}; raise padded_frames in the model's config to the corpus' longest"
        )
    opened: dict[str, Tensor] = {}
    for name, length in zip(("audio", "visual"), frames, strict=True):
        x_BTD, mask_BT = batch.frames(name)
        opened[f"{name}_BTD"] = F.pad(x_BTD * mask_BT[:, :, None], (0, 0, 0, length - x_BTD.shape[1]))
        opened[f"{name}_mask_BT"] = mask_BT.new_ones(len(mask_BT), length)
    return replace(batch, **opened)  # type: ignore[arg-type]


def lengths(mask_BT: Tensor) -> Tensor:
    """Frames up to and including the last real one, ``(B,)``."""
    steps_T = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
    return (steps_T * mask_BT).amax(dim=1)


def all_real(mask_BT: Tensor) -> bool:
    """Whether every frame is real, as far as that can be known without waiting for a GPU."""
    return at_once(mask_BT) and bool(mask_BT.all())


def attention_mask(query_mask_BT: Tensor, key_mask_BS: Tensor, *, causal: bool) -> Tensor:
    """Who may look where: ``(B, 1, T, S)``, or ``(B, 1, 1, S)`` when all queries see the same keys.

    Causal: query t sees keys s <= t + |S - T| (MulT's rule for unequal rates), with each
    clip's own lengths, so that padding cannot move the horizon. A query that comes before
    the first real key sees that one, hence no row is empty.
    """
    keys_BTS = key_mask_BS[:, None, :]
    if causal:
        device = key_mask_BS.device
        step_T = torch.arange(query_mask_BT.shape[1], device=device)
        offset_B = (lengths(key_mask_BS) - lengths(query_mask_BT)).abs()
        first_B = key_mask_BS.int().argmax(dim=1)
        horizon_BT = torch.maximum(step_T + offset_B[:, None], first_B[:, None])
        step_S = torch.arange(key_mask_BS.shape[1], device=device)
        keys_BTS = keys_BTS & (step_S <= horizon_BT[:, :, None])
    return keys_BTS[:, None]


def sinusoid(length: int, width: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Positions 1..length as ``(length, width)``: sine half, then cosine half.

    Frequencies are 10000^(-i / (width // 2 - 1)) (tensor2tensor's reading of Vaswani et al.,
    section 3.5); an odd width ends in a column of zeros.
    """
    half = width // 2
    rate_F = torch.exp(torch.arange(half, device=device) * (-math.log(10000.0) / max(half - 1, 1)))
    angle_TF = torch.arange(1, length + 1, device=device)[:, None] * rate_F
    return F.pad(torch.cat([angle_TF.sin(), angle_TF.cos()], dim=1), (0, width % 2))


def projection(features: int, width: int) -> nn.Module:
    """Frames from ``features`` to ``width``: a bias-free kernel-1 convolution, i.e. one matrix.

    Streams that already have the width pass unchanged (the papers' 130-D audio at width 130).
    """
    return nn.Identity() if features == width else nn.Linear(features, width, bias=False)


def xavier_linear(features: int, outputs: int) -> nn.Linear:
    """A linear layer as MulT starts it: Xavier-uniform weights, zero bias."""
    layer = nn.Linear(features, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def attend(
    query_BHTK: Tensor,
    key_BHSK: Tensor,
    value_BHSK: Tensor,
    mask: Tensor | None,
    *,
    dropout: float,
    scale: float | None = None,
) -> Tensor:
    """softmax(Q K^T scale + mask) V, ``(B, H, T, K)``; ``scale`` is by default 1 / sqrt(K).

    On a GPU heads are filled up with zeros, which add nothing to a product, to the width that fused kernels ask for.
    """
    width = query_BHTK.shape[-1]
    room = -width % FUSED if query_BHTK.device.type in FILLED_ON else 0
    q, k, v = ((F.pad(x, (0, room)) if room else x) for x in (query_BHTK, key_BHSK, value_BHSK))
    scale = width**-0.5 if room and scale is None else scale
    y_BHTK = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
    return y_BHTK[..., :width]


class Attention(nn.Module):
    """Multi-head softmax(Q K^T / sqrt(D/H)) V with one packed input projection."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.project_in = xavier_linear(width, 3 * width)
        self.project_out = xavier_linear(width, width)

    def forward(self, query_BTD: Tensor, key_BSD: Tensor, allowed: Tensor) -> Tensor:
        """``(B, T, D)``; ``allowed`` as `attention_mask` makes it."""
        query_BTD, key_BSD, value_BSD = self._project(query_BTD, key_BSD)
        heads = self._split(query_BTD), self._split(key_BSD), self._split(value_BSD)
        dropout = self.dropout if self.training else 0.0
        y_BHTK = attend(*heads, allowed, dropout=dropout)
        return self.project_out(y_BHTK.transpose(1, 2).flatten(2))

    def _project(self, query_BTD: Tensor, key_BSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if query_BTD is key_BSD:
            query, key, value = self.project_in(query_BTD).chunk(3, dim=-1)
            return query, key, value
        width = query_BTD.shape[-1]
        weight, bias = self.project_in.weight, self.project_in.bias
        query = F.linear(query_BTD, weight[:width], bias[:width])
        key, value = F.linear(key_BSD, weight[width:], bias[width:]).chunk(2, dim=-1)
        return query, key, value

    def _split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """y = r(x, Attention(LN1 x, LN1 k));  out = r(y, W2 Drop(ReLU(W1 LN2 y))).

    r(x, f) = x + Drop(f), or with learnable scalars alpha x + beta Drop(f) (AuxFormer,
    section 4.2), the same two in both sublayers: ``independent``, or ``tied`` to
    beta = 1 - alpha. alpha starts uniform in [0, 1), beta at 1 - alpha either way.
    """

    def __init__(self, config: TransformerConfig, attention_dropout: float, residual: Residual):
        super().__init__()
        width, hidden = config.width, config.ffn_ratio * config.width
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, config.heads, attention_dropout)
        self.norm_ffn = nn.LayerNorm(width)
        self.ffn = nn.Sequential(
            xavier_linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(config.relu_dropout),
            xavier_linear(hidden, width),
        )
        self.dropout = nn.Dropout(config.residual_dropout)
        self.attention_out = nn.Dropout(config.embedding_dropout if config.attn_out_dropout else 0.0)
        self.alpha = None if residual == "plain" else nn.Parameter(torch.rand(()))
        self.beta = None
        if residual == "independent" and self.alpha is not None:
            self.beta = nn.Parameter(1 - self.alpha.detach())

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor | None, allowed: Tensor) -> Tensor:
        """``(B, T, D)``; ``memory_BSD`` None means self-attention."""
        query_BTD = self.norm_attention(x_BTD)
        key_BSD = query_BTD if memory_BSD is None else self.norm_attention(memory_BSD)
        attended_BTD = self.attention_out(self.attention(query_BTD, key_BSD, allowed))
        y_BTD = self._add(x_BTD, attended_BTD)
        return self._add(y_BTD, self.ffn(self.norm_ffn(y_BTD)))

    def _add(self, x_BTD: Tensor, update_BTD: Tensor) -> Tensor:
        update_BTD = self.dropout(update_BTD)
        if self.alpha is None:
            return x_BTD + update_BTD
        beta = 1 - self.alpha if self.beta is None else self.beta
        return self.alpha * x_BTD + beta * update_BTD


class Encoder(nn.Module):
    """Inputs times sqrt(D), optional positions, dropout, blocks, a final layer norm.

    A cross encoder re-reads the same embedded memory in every block.
    """

    def __init__(
        self,
        config: TransformerConfig,
        *,
        layers: int | None = None,
        cross: bool = False,
        positions: bool = False,
        residual: Residual = "plain",
    ):
        super().__init__()
        self.width, self.causal, self.positions = config.width, config.causal, positions
        self.zeros_are_padding = config.as_published_padding
        self.dropout = nn.Dropout(0.0 if config.attn_out_dropout else config.embedding_dropout)
        attention_dropout = config.cross_attention_dropout if cross else config.attention_dropout
        self.blocks = nn.ModuleList(
            Block(config, attention_dropout, residual)
            for _ in range(config.layers if layers is None else layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(
        self,
        x_BTD: Tensor,
        mask_BT: Tensor,
        memory_BSD: Tensor | None = None,
        memory_mask_BS: Tensor | None = None,
    ) -> Tensor:
        """``(B, T, D)``, as long as the queries. Give memory and its mask to attend across."""
        key_mask_BS = mask_BT if memory_mask_BS is None else memory_mask_BS
        allowed = attention_mask(mask_BT, key_mask_BS, causal=self.causal)
        x_BTD = self._embed(x_BTD, mask_BT)
        if memory_BSD is not None:
            memory_BSD = self._embed(memory_BSD, key_mask_BS)
        for block in self.blocks:
            x_BTD = block(x_BTD, memory_BSD, allowed)
        return self.norm(x_BTD)

    def share_scales(self) -> None:
        """Give all blocks the residual scales of the first."""
        first, *others = self.blocks
        for block in others:
            block.alpha, block.beta = first.alpha, first.beta

    def _embed(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        placed_BT = x_BTD[:, :, 0] != 0 if self.zeros_are_padding else mask_BT
        x_BTD = x_BTD * math.sqrt(self.width)
        if self.positions:
            table_TD = sinusoid(x_BTD.shape[1], self.width, device=x_BTD.device)
            x_BTD = x_BTD + table_TD * placed_BT[:, :, None]
        return self.dropout(x_BTD)
