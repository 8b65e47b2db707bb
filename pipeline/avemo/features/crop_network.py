"""What extractors that run a network over face crops have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from avemo.base.arithmetic import Precision, arithmetic, dtype_of
from avemo.base.contracts import AvemoError, ComponentConfig, FeatureSequence, located, speed
from avemo.base.devices import choose_device
from avemo.base.frames import FrameBuffer
from avemo.features.base import VisualExtractor, batched
from avemo.features.shared_batches import SharedBatches, filled, places_alike
from avemo.weights.find import Weights, find

if TYPE_CHECKING:
    from torch import nn


SMALLEST = 8
"""Crops of the least batch that is filled up."""


class CropNetworkConfig(ComponentConfig):
    """Weights have no default: random ones are used only when asked for by name."""

    weights: str = located()
    """A registered name, the path of a state dict (.safetensors, .pt, .pth), or ``random-seed-<n>``."""
    margin: float = Field(default=0.2, ge=0)
    """Added on each side of the face box, as a fraction of its larger side."""
    precision: Precision = "float32"
    """What the network computes in. bfloat16 keeps a cosine of 0.999 to float32; it is slow where a CPU lacks it.
    ``tf32``: float32 whose factors a GPU rounds to 10 bits; on a CPU it is float32."""
    dtype: Literal["float32", "float16"] = "float32"
    """Type of the stored features."""
    batch_size: int | None = speed(None, ge=1)
    """Crops per forward pass; by default 64 on a GPU, few on a CPU."""
    device: str = speed("auto")
    """``auto`` is the GPU if there is one; else any torch device."""


class CropNetwork(VisualExtractor):
    """Batches of crops, normalised, through one network. Subclasses say which, and how it wants its pixels."""

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    work = replace(VisualExtractor.work, gpu_mb=8000)
    tiny = {"weights": "random-seed-0", "device": "cpu"}
    filled_on: tuple[str, ...] = ("cuda",)
    """Devices on which a clip's last batch is filled up to one of a few sizes."""
    cpu_batch: int = 8
    """Crops per forward pass on a CPU."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of red, green and blue on a scale of 0 to 255: the network sees (pixel - mean) / std."""
    config: CropNetworkConfig

    def __init__(self, config: CropNetworkConfig):
        super().__init__(config)
        import torch

        self._device = choose_device(config.device)
        self._batch_size = config.batch_size or (self.cpu_batch if self._device.type == "cpu" else 64)
        self._dtype = dtype_of(config.precision)
        self._shared: SharedBatches | None = None
        self._weights = find(config.weights)
        model = self.network(self._weights).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._model = model.to(self._device, self._dtype).eval()
        self._mean = torch.tensor(self.mean, device=self._device).view(3, 1, 1)
        self._std = torch.tensor(self.std, device=self._device).view(3, 1, 1)

    @abstractmethod
    def network(self, weights: Weights) -> nn.Module:
        """Normalised RGB ``(batch, 3, size_px, size_px)`` to features ``(batch, dim)``, on the CPU."""

    @property
    def dtype(self) -> str:
        """As the config says."""
        return self.config.dtype

    def provenance(self) -> dict[str, Any]:
        """Sha-256 of the weights or the name of random ones, and whether they are random."""
        return dict(self._weights.provenance())

    def extract(self, crops: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """Crops ``(size_px, size_px, 3)`` uint8 RGB with their times to ``x (frames, dim)``.

        Memory holds one batch of crops at a time. No crops give no frames.
        Raises `AvemoError` for a crop of another shape or type.
        """
        times_s: list[float] = []
        features, shared = FrameBuffer((self.dim,), self.config.dtype), self._shared
        forward = shared.rows if shared else self._forward
        with shared.clip() if shared else nullcontext():
            for batch in batched(crops, self._batch_size):
                times_s.extend(time_s for time_s, _ in batch)
                features.append(forward(np.stack([self._checked(*item) for item in batch])))
        return FeatureSequence(features.array(), np.array(times_s, float))

    def share(self) -> None:
        """Have threads' clips share batches, where this device gives a picture the same bits at each place of one."""
        if places_alike(self._forward, self._batch_size, self.crop.size_px):
            self._shared = SharedBatches(self._forward, self._batch_size)
        else:
            print(
                f"{self.name}: on {self._device} what is made of a picture depends on its place among "
                f"{self._batch_size}; each clip has batches of its own"
            )

    def _forward(self, images: np.ndarray) -> np.ndarray:
        """``images (batch, height, width, 3)`` uint8 to ``(batch, dim)`` float32."""
        import torch

        count = len(images)
        if self._device.type in self.filled_on and count < self._batch_size:
            # A GPU's library prepares itself for each size, and clips end in batches of all sizes.
            images = filled(images, min(self._batch_size, max(SMALLEST, 1 << (count - 1).bit_length())))
        # The permuted view is channels-last already.
        with torch.inference_mode(), arithmetic(self.config.precision):
            pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
            normal = pixels.sub_(self._mean).div_(self._std)
            return self._model(normal.to(self._dtype))[:count].float().cpu().numpy()

    def _checked(self, time_s: float, crop: np.ndarray) -> np.ndarray:
        expected = (self.crop.size_px, self.crop.size_px, 3)
        if crop.shape != expected or crop.dtype != np.uint8:
            raise AvemoError(
                f"crop at {time_s:.3f} s: expected uint8 {expected}, found {crop.dtype} {crop.shape}; "
                "cut it with this extractor's `crop` policy"
            )
        return crop
