"""Attention on a CPU, clip by clip, so that a clip's weights never leave the cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pipeline.models.dropout import keep, toss


class ClipwiseAttention(torch.autograd.Function):
    """Dropout(softmax(Q K^T / sqrt(K))) V, float32, one clip after the other.

    Weights are computed again in the backward pass: cheaper than fetching them from memory.
    Products with few columns (a head is 13 wide) are computed transposed, which fills
    vector registers along time.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query_BHTK: Tensor,
        key_BHSK: Tensor,
        value_BHSK: Tensor,
        allowed: Tensor,
        probability: float,
    ) -> Tensor:
        """``(B, H, T, K)``; ``allowed (B, 1, T or 1, S)`` is False where nobody may look."""
        bias = penalty(allowed)
        clips, heads, steps, width = query_BHTK.shape
        shape = heads, steps, key_BHSK.shape[2]
        coins = toss((clips, *shape)) if probability else None
        ctx.save_for_backward(query_BHTK, key_BHSK, value_BHSK, bias, coins)
        ctx.probability = probability
        out_BTHK = query_BHTK.new_empty(clips, steps, heads, width)
        weights, mask = query_BHTK.new_empty(shape), query_BHTK.new_empty(shape)
        for clip in range(clips):
            attend(query_BHTK[clip], key_BHSK[clip], None if bias is None else bias[clip], out=weights)
            if coins is not None:
                weights.mul_(keep(coins[clip], probability, out=mask))
            out_BTHK[clip] = narrow(weights, value_BHSK[clip]).transpose(0, 1)
        return out_BTHK.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad_BHTK: Tensor) -> tuple[Tensor | None, ...]:
        """Chain rule through the three steps of `forward`."""
        query_BHTK, key_BHSK, value_BHSK, bias, coins = ctx.saved_tensors
        d_query, d_key, d_value = (
            torch.empty_like(x.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
            for x in (query_BHTK, key_BHSK, value_BHSK)
        )
        clips, heads, steps, width = query_BHTK.shape
        shape = heads, steps, key_BHSK.shape[2]
        weights, mask, d_weights = (query_BHTK.new_empty(shape) for _ in range(3))
        for clip in range(clips):
            query, key, value, grad = query_BHTK[clip], key_BHSK[clip], value_BHSK[clip], grad_BHTK[clip]
            attend(query, key, None if bias is None else bias[clip], out=weights)
            torch.bmm(grad, value.transpose(1, 2), out=d_weights)
            if coins is None:
                d_value[clip] = narrow(weights.transpose(1, 2), grad)
            else:
                keep(coins[clip], ctx.probability, out=mask)
                d_weights.mul_(mask)
                d_value[clip] = narrow(mask.mul_(weights).transpose(1, 2), grad)
            d_scores = torch._softmax_backward_data(
                d_weights, weights, -1, torch.float32, grad_input=d_weights
            )
            d_query[clip] = narrow(d_scores, key) * width**-0.5
            d_key[clip] = narrow(d_scores.transpose(1, 2), query) * width**-0.5
        return d_query, d_key, d_value, None, None


def penalty(allowed: Tensor) -> Tensor | None:
    """What to add to scores: -inf where not ``allowed``; None, which costs nothing, if all is."""
    if bool(allowed.all()):
        return None
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill_(~allowed, -torch.inf)


def attend(query_HTK: Tensor, key_HSK: Tensor, bias: Tensor | None, *, out: Tensor) -> None:
    """Softmax of the scaled scores of one clip, into ``out (H, T, S)``."""
    torch.bmm(query_HTK * query_HTK.shape[-1] ** -0.5, key_HSK.transpose(1, 2), out=out)
    if bias is not None:
        out.add_(bias)
    torch.softmax(out, -1, out=out)


def narrow(wide_HTS: Tensor, few_HSK: Tensor) -> Tensor:
    """The product ``(H, T, K)`` of two batches of matrices, the second one narrow."""
    return torch.bmm(few_HSK.transpose(1, 2), wide_HTS.transpose(1, 2)).transpose(1, 2)
