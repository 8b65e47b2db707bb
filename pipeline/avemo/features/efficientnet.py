"""Frame features of face crops: the pooled 1408 channels of an EfficientNet-B2.

Network: Tan and Le, ICML 2019; emotion weights: EmotiEffLib's ``enet_b2_8``
(Savchenko), whose classifier is left out, as in VAVL (Goncalves et al.).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from avemo.base.contracts import AvemoError
from avemo.faces.crop import CropPolicy
from avemo.features.crop_network import CropNetwork, CropNetworkConfig
from avemo.weights.find import Weights, load_state_dict
from avemo.weights.known import IMAGENET_MEAN, IMAGENET_STD
from avemo.weights.random import IMAGES, photograph_noise, seeded

if TYPE_CHECKING:
    from torch import nn

CALIBRATION_PX = 224
RESIDUAL_GAIN = 0.2


class EfficientNetB2(CropNetwork):
    """Each crop to the 1408 globally averaged channels of the last convolution."""

    name = "efficientnet_b2"
    version = 1
    dim = 1408
    libraries = ("timm",)
    # The CPU's allocator returns larger maps to the system and faults them in again at every layer.
    cpu_batch = 3
    mean = tuple(255 * value for value in IMAGENET_MEAN)
    std = tuple(255 * value for value in IMAGENET_STD)

    class Config(CropNetworkConfig):
        """Weights: EmotiEffLib's (``enet_b2_8``), or a file with timm's names; ``classifier.*`` is ignored."""

        architecture: Literal["tf_efficientnet_b2", "efficientnet_b2"] = "tf_efficientnet_b2"
        """timm's name. Both have the same tensors; the first, EmotiEffLib's, pads as TensorFlow does."""
        input_px: int = Field(224, ge=32)
        """Side of the crop: 224 in the paper and its code, 260 in EmotiEffLib; any other for trying."""

    config: Config

    @classmethod
    def crop_policy(cls, config: Config) -> CropPolicy:
        """The box with its margin."""
        return CropPolicy(size_px=config.input_px, margin=config.margin)

    def network(self, weights: Weights) -> nn.Module:
        """timm's network without classifier, batch norms folded."""
        return fold_batch_norm(load_model(weights, self.config.architecture))


def load_model(weights: Weights, architecture: str = "tf_efficientnet_b2") -> nn.Module:
    """timm's network without its classifier, in evaluation mode on the CPU.

    A file must hold exactly timm's tensors; ``classifier.*`` is ignored.
    Raises `AvemoError` naming the tensors that are missing, surplus or misshapen.
    """
    if weights.path is None:
        return random_model(weights.seed or 0, architecture)
    model = _create(architecture)
    state = {
        name: value
        for name, value in load_state_dict(weights.path).items()
        if not name.startswith("classifier.")
    }
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:600]
        raise AvemoError(
            f"weights {weights.path}: expected exactly the tensors of timm's {architecture}, "
            f"found others ({detail}); rename them to timm's names"
        ) from error
    return model.eval()


def random_model(seed: int, architecture: str = "tf_efficientnet_b2") -> nn.Module:
    """timm's initial weights under ``seed``, with batch-norm statistics measured on `photograph_noise`.

    Untouched, an untrained network gives features near 1e-5 that hardly depend
    on the image. Residual branches get a fifth of their gain, so that similar
    images keep similar features. The global random generator is left as it was.
    """
    return calibrated(lambda: _create(architecture), seed, CALIBRATION_PX)


def calibrated(make: Callable[[], nn.Module], seed: int, size_px: int) -> nn.Module:
    """What ``make`` makes under ``seed``, its batch norms' statistics measured on noise; see `random_model`."""
    import torch
    from torch import nn

    model, images = seeded(lambda: (make().eval(), photograph_noise(IMAGES, size_px)), seed)
    for module in model.modules():
        norms = [child for child in module.children() if isinstance(child, nn.BatchNorm2d)]
        for norm in norms:
            norm.train().momentum = None  # statistics of exactly this one batch
        if getattr(module, "has_skip", False):
            nn.init.constant_(norms[-1].weight, RESIDUAL_GAIN)
    with torch.inference_mode():
        model(images)
    return model.eval()


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """``model`` with each batch norm folded into the convolution before it, in place.

    In evaluation y = (conv(x) - μ)·γ/√(σ² + ε) + β is itself a convolution, so
    only the rounding changes. timm registers every norm right after its
    convolution. Raises `AvemoError` if one is left.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights as fuse

    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (_, conv), (name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                mean, var, gain, shift = norm.running_mean, norm.running_var, norm.weight, norm.bias
                assert mean is not None, "timm tracks statistics"
                assert var is not None, "timm tracks statistics"
                conv.weight, conv.bias = fuse(conv.weight, conv.bias, mean, var, norm.eps, gain, shift)
                setattr(parent, name, getattr(norm, "act", nn.Identity()))
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        raise AvemoError(
            "timm: expected a convolution before every batch norm, found another order; install timm 1.0"
        )
    return model


def _create(architecture: str) -> nn.Module:
    import timm

    return timm.create_model(architecture, pretrained=False, num_classes=0)
