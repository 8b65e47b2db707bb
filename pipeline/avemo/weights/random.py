"""Networks that no training has shaped, made so that their features still follow the image.

Untouched, an untrained deep network gives features that hardly depend on what
it sees. So its scale is measured on noise that looks like photographs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

Made = TypeVar("Made")
IMAGES = 8
"""Images that a network is measured on."""


def seeded(make: Callable[[], Made], seed: int) -> Made:
    """``make()`` with torch's global generator at ``seed``; the generator is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def photograph_noise(count: int, size_px: int) -> Tensor:
    """``(count, 3, size_px, size_px)`` noise with what matters of normalised photographs.

    Equal variance in each octave (the 1/f spectrum of natural images), mostly
    grey, with contrast and brightness that differ between images. Drawn from
    torch's global generator.
    """
    import torch
    from torch.nn.functional import interpolate

    images = torch.zeros(count, 3, size_px, size_px)
    for side in (7, 14, 28, 56, 112, 224):
        octave = torch.randn(count, 1, side, side) + 0.3 * torch.randn(count, 3, side, side)
        images += interpolate(octave, (size_px, size_px), mode="bicubic")
    contrast = (0.4 * torch.randn(count, 1, 1, 1)).exp()
    return images / images.std() * contrast + 0.7 * torch.randn(count, 1, 1, 1)


def scale_layers(model: nn.Module, images: Tensor) -> nn.Module:
    """He's initial weights, each layer then scaled until its outputs on ``images`` have unit variance; in place.

    For networks without normalisation (layer-sequential unit variance, Mishkin
    and Matas, ICLR 2016). Draws from torch's global generator.
    """
    import torch
    from torch import nn

    def to_unit(layer: Any, _: object, output: Tensor) -> Tensor:
        size = output.std()
        layer.weight.data.div_(size)
        return output / size

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    hooks = [layer.register_forward_hook(to_unit) for layer in layers]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return model
