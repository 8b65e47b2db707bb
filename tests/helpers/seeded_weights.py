"""Weights and inputs by seed, the same wherever they are made, for parity with other implementations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def seed_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """Fill every parameter and buffer, by sorted name, with numbers of a trained network's size; returns the model.

    Matrices get N(0, 1 / inputs), vectors N(0, 0.1), scales of norms N(1, 0.1), variances U(0.5, 1.5).
    """
    draw = torch.Generator().manual_seed(seed)
    scales = {
        f"{path}.weight"
        for path, module in model.named_modules()
        if isinstance(module, nn.LayerNorm | nn.modules.batchnorm._BatchNorm)
    }
    with torch.no_grad():
        for name, x in sorted(model.state_dict().items()):
            if x.is_floating_point():
                x.copy_(_values(name, x, name in scales, draw))
    return model


def _values(name: str, x: Tensor, is_scale: bool, draw: torch.Generator) -> Tensor:
    noise = torch.randn(x.shape, generator=draw)
    if name.endswith("running_var"):
        return 1 + 0.5 * noise.tanh()
    if is_scale:
        return 1 + 0.1 * noise
    return noise / x[0].numel() ** 0.5 if x.ndim > 1 else 0.1 * noise


def seeded_input(*shape: int, seed: int) -> Tensor:
    """N(0, 1) of this shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
