"""Frame features of face crops: the pooled 1408 channels of an EfficientNet-B2.

Network: Tan and Le, ICML 2019; emotion weights: EmotiEffLib's ``enet_b2_8``
(Savchenko), whose classifier is left out, as in VAVL (Goncalves et al.).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from pipeline.contracts import AvemoError, ComponentConfig, FeatureSequence, located, speed
from pipeline.faces.crop import CropPolicy
from pipeline.features.base import VisualExtractor, batched
from pipeline.features.known_weights import IMAGENET_MEAN, IMAGENET_STD
from pipeline.features.weights import Weights, find, load_state_dict
from pipeline.frames import FrameBuffer

if TYPE_CHECKING:
    from torch import Tensor, nn

CALIBRATION_IMAGES = 8
CALIBRATION_PX = 224
RESIDUAL_GAIN = 0.2


class EfficientNetB2(VisualExtractor):
    """Each crop to the 1408 globally averaged channels of the last convolution."""

    name = "efficientnet_b2"
    version = 1
    dim = 1408

    class Config(ComponentConfig):
        """Weights have no default: random ones are used only when asked for by name."""

        weights: str = located()
        """A registered name (``enet_b2_8``), the path of a state dict (.safetensors, .pt, .pth) with timm's
        names, or ``random-seed-<n>``."""
        architecture: Literal["tf_efficientnet_b2", "efficientnet_b2"] = "tf_efficientnet_b2"
        """timm's name. Both have the same tensors; the first, EmotiEffLib's, pads as TensorFlow does."""
        input_px: Literal[224, 260] = 224
        """Side of the crop: 224 in the paper and its code, 260 in EmotiEffLib."""
        margin: float = Field(default=0.2, ge=0)
        """Added on each side of the face box, as a fraction of its larger side."""
        dtype: Literal["float32", "float16"] = "float32"
        """Type of the stored features."""
        batch_size: int | None = speed(None, ge=1)
        """Crops per forward pass; by default 64 on a GPU and 3 on a CPU, whose allocator returns larger maps
        to the system and faults them in again at every layer."""
        device: str = speed("auto")
        """``auto`` is the GPU if there is one; else any torch device."""

    config: Config

    def __init__(self, config: Config):
        super().__init__(config)
        import torch

        self.crop = CropPolicy(size_px=config.input_px, margin=config.margin)
        name = ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
        self._device = torch.device(name)
        self._batch_size = config.batch_size or (3 if self._device.type == "cpu" else 64)
        self._weights = find(config.weights)
        model = fold_batch_norm(load_model(self._weights, config.architecture))
        self._model = model.to(memory_format=torch.channels_last).to(self._device)  # type: ignore[call-overload]
        self._mean = torch.tensor(IMAGENET_MEAN, device=self._device).view(3, 1, 1) * 255
        self._std = torch.tensor(IMAGENET_STD, device=self._device).view(3, 1, 1) * 255

    def provenance(self) -> dict[str, Any]:
        """Sha-256 of the weights or the name of random ones, whether random, version of timm."""
        from importlib.metadata import version

        return self._weights.provenance() | {"timm": version("timm")}

    def extract(self, crops: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """Crops ``(input_px, input_px, 3)`` uint8 RGB with their times to ``x (frames, 1408)``.

        Memory holds one batch of crops at a time. No crops give no frames.
        Raises `AvemoError` for a crop of another shape or type.
        """
        times_s: list[float] = []
        features = FrameBuffer((self.dim,), self.config.dtype)
        for batch in batched(crops, self._batch_size):
            times_s.extend(time_s for time_s, _ in batch)
            features.append(self._forward(np.stack([self._checked(*item) for item in batch])))
        return FeatureSequence(features.array(), np.array(times_s, float))

    def _forward(self, images: np.ndarray) -> np.ndarray:
        """``images (batch, height, width, 3)`` uint8 to ``(batch, 1408)`` float32."""
        import torch

        # The permuted view is channels-last already. TF32 would change the fourth digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
            pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
            return self._model(pixels.sub_(self._mean).div_(self._std)).cpu().numpy()

    def _checked(self, time_s: float, crop: np.ndarray) -> np.ndarray:
        expected = (self.config.input_px, self.config.input_px, 3)
        if crop.shape != expected or crop.dtype != np.uint8:
            raise AvemoError(
                f"crop at {time_s:.3f} s: expected uint8 {expected}, found {crop.dtype} {crop.shape}; "
                "cut it with this extractor's `crop` policy"
            )
        return crop


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
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _create(architecture).eval()
        images = photograph_noise(CALIBRATION_IMAGES, CALIBRATION_PX)
    for module in model.modules():
        norms = [child for child in module.children() if isinstance(child, nn.BatchNorm2d)]
        for norm in norms:
            norm.train().momentum = None  # statistics of exactly this one batch
        if getattr(module, "has_skip", False):
            nn.init.constant_(norms[-1].weight, RESIDUAL_GAIN)
    with torch.inference_mode():
        model(images)
    return model.eval()


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
