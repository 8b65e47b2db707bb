"""Attention on a CPU, a few clips at a time, so that their weights never leave the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from avemo.models.dropout import keep, toss

CACHED = 2**18
"""Attention weights held at a time, or one clip's: 1 MiB of them."""


class ClipwiseAttention(torch.autograd.Function):
    """Dropout(softmax(Q K^T / sqrt(K))) V, float32, some clips after the others.

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
        shape = (*query_BHTK.shape[:3], key_BHSK.shape[2])
        coins = toss(shape) if probability else None
        ctx.save_for_backward(query_BHTK, key_BHSK, value_BHSK, bias, coins)
        ctx.probability = probability
        out_BHTK = empty_as(query_BHTK)
        for clips, (weights, mask) in portions(shape, 2):
            attend(query_BHTK[clips], key_BHSK[clips], None if bias is None else bias[clips], out=weights)
            if coins is not None:
                weights.mul_(keep(coins[clips].flatten(0, 1), probability, out=mask))
            put(out_BHTK[clips], narrow(weights, value_BHSK[clips]))
        return out_BHTK

    @staticmethod
    def backward(ctx: Any, grad_BHTK: Tensor) -> tuple[Tensor | None, ...]:
        """Chain rule through the three steps of `forward`."""
        query_BHTK, key_BHSK, value_BHSK, bias, coins = ctx.saved_tensors
        d_query, d_key, d_value = map(empty_as, (query_BHTK, key_BHSK, value_BHSK))
        scale = query_BHTK.shape[-1] ** -0.5
        for clips, (weights, d_weights, mask) in portions((*query_BHTK.shape[:3], key_BHSK.shape[2]), 3):
            query, key, value, grad = (x[clips] for x in (query_BHTK, key_BHSK, value_BHSK, grad_BHTK))
            attend(query, key, None if bias is None else bias[clips], out=weights)
            torch.bmm(grad.flatten(0, 1), value.flatten(0, 1).transpose(1, 2), out=d_weights)
            dropped = weights
            if coins is not None:
                keep(coins[clips].flatten(0, 1), ctx.probability, out=mask)
                d_weights.mul_(mask)
                dropped = mask.mul_(weights)
            put(d_value[clips], narrow(dropped.transpose(1, 2), grad))
            d_scores = torch._softmax_backward_data(
                d_weights, weights, -1, torch.float32, grad_input=d_weights
            )
            put(d_query[clips], narrow(d_scores, key).mul_(scale))
            put(d_key[clips], narrow(d_scores.transpose(1, 2), query).mul_(scale))
        return d_query, d_key, d_value, None, None


def portions(shape: Sequence[int], rooms: int) -> Iterator[tuple[slice, list[Tensor]]]:
    """Clips whose weights, of all ``(B, H, T, S)``, fit the cache together, and ``rooms`` tensors
    ``(B * H, T, S)`` for them, the same memory each time."""
    clips, heads, steps, keys = shape
    size = min(clips, max(1, CACHED // (heads * steps * keys)))
    room = torch.empty(rooms, size * heads, steps, keys)
    for first in range(0, clips, size):
        part = slice(first, min(first + size, clips))
        yield part, [*room[:, : (part.stop - first) * heads]]


def empty_as(x_BHTK: Tensor) -> Tensor:
    """Room for a tensor of this shape, with a clip's heads of one frame side by side."""
    clips, heads, steps, width = x_BHTK.shape
    return x_BHTK.new_empty(clips, steps, heads, width).transpose(1, 2)


def put(room_BHTK: Tensor, x_NTK: Tensor) -> None:
    """``x_NTK``, N clips' heads, into its place."""
    room_BHTK.copy_(x_NTK.view(room_BHTK.shape))


def penalty(allowed: Tensor) -> Tensor | None:
    """What to add to scores: -inf where not ``allowed``; None, which costs nothing, if all is."""
    if bool(allowed.all()):
        return None
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill_(~allowed, -torch.inf)


def attend(query_BHTK: Tensor, key_BHSK: Tensor, bias: Tensor | None, *, out: Tensor) -> None:
    """Softmax of the scaled scores, to ``out (B * H, T, S)``."""
    query_NTK, key_NSK = query_BHTK.flatten(0, 1), key_BHSK.flatten(0, 1)
    torch.bmm(query_NTK * query_NTK.shape[-1] ** -0.5, key_NSK.transpose(1, 2), out=out)
    if bias is not None:
        out.view(*query_BHTK.shape[:3], -1).add_(bias)
    torch.softmax(out, -1, out=out)


def narrow(wide_NTS: Tensor, few_BHSK: Tensor) -> Tensor:
    """The product ``(N, T, K)`` of two batches of matrices, the second one narrow."""
    return torch.bmm(few_BHSK.flatten(0, 1).transpose(1, 2), wide_NTS.transpose(1, 2)).transpose(1, 2)
