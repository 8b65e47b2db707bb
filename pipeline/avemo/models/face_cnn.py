"""From face frames to one vector a frame, by a CNN that is trained with its system."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avemo.base.contracts import AvemoError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

FRAMES_AT_ONCE = 256
"""In evaluation, frames that go through the CNN together, so that memory does not grow with a clip."""


class FaceCNN(nn.Module):
    """MobileNetV3 (Howard et al. 2019; torchvision, untrained) up to its pooled features.

    Training keeps every frame's activations of the batch: batch normalisation needs all
    of its frames at once.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, features: int):
        import torchvision

        super().__init__()
        self.side = math.isqrt(features // 3)
        if 3 * self.side**2 != features:
            raise AvemoError(
                f"{name}: expected face frames of side x side x 3 values, found {features}; "
                f"use the extractor face_frames, or set cnn: none for feature vectors"
            )
        network = getattr(torchvision.models, name)(weights=None)
        self.features = network.features
        self.width: int = network.classifier[0].in_features
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD), persistent=False)

    def forward(self, frames_NF: Tensor) -> Tensor:
        """``(N, width)`` of frames ``(N, side * side * 3)`` with values 0..255, any dtype."""
        if self.training or torch.compiler.is_exporting():
            return self._pooled(frames_NF)
        return torch.cat([self._pooled(part) for part in frames_NF.split(FRAMES_AT_ONCE)])

    def _pooled(self, frames_NF: Tensor) -> Tensor:
        frames_NHWC = frames_NF.float().unflatten(-1, (self.side, self.side, 3))
        images_NCHW = ((frames_NHWC / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        return self.features(images_NCHW).mean(dim=(2, 3))
