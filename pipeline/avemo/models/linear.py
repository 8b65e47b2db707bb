"""A linear layer whose float32 products on a CPU are oneDNN's.

PyTorch gives them to MKL, which uses the vector units of other makers' processors less well:
on a Zen 4 core 75 to 95 GFLOP/s, where oneDNN reaches 100 to 110.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """x W^T + b, with PyTorch's weights and gradients up to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """``(..., outputs)``."""
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0
        if plain and torch.backends.mkldnn.is_available() and not torch.is_autocast_enabled("cpu"):
            return _Product.apply(x, self.weight, self.bias)
        return super().forward(x)


class _Product(torch.autograd.Function):
    """Forward and backward products of a linear layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        x_needs, weight_needs, bias_needs = ctx.needs_input_grad
        rows = grad.reshape(-1, grad.shape[-1])
        return (
            _product(rows, weight.T).view(x.shape) if x_needs else None,
            _product(rows.T, x.reshape(-1, x.shape[-1]).T) if weight_needs else None,
            rows.sum(0) if bias_needs else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
