"""Frame features of face crops: 4096 rectified outputs of a VGG-16 face network's first FC layer.

Two extractors: the network as published (AuxFormer, section 4.1.1), and one
fine-tuned on AffectNet's seven emotions (AV-Ladder, section 4.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from avemo.base.contracts import AvemoError
from avemo.faces.crop import CropPolicy
from avemo.features.crop_network import CropNetwork, CropNetworkConfig
from avemo.weights.find import Weights
from avemo.weights.known import VGG_FACE_MEAN

if TYPE_CHECKING:
    from torch import nn

    from avemo.features.vgg_network import Shape

HALF_RANGE = (127.5, 127.5, 127.5)
"""As mean and as standard deviation, this scales pixels of 0 to 255 to [-1, 1], as both papers say."""


class VGGFaceFC6(CropNetwork):
    """``fc6`` of VGG-Face as published: what AuxFormer's faces are made of."""

    name = "vgg_face_fc6"
    version = 1
    dim = 4096
    shape: ClassVar[Shape | None] = None
    """Another size of network, for tests; None is VGG-16."""

    class Config(CropNetworkConfig):
        """A file in any of `avemo.features.vgg_network.LAYOUTS`."""

        normalise: Literal["minus_one_one", "mean"] = "minus_one_one"
        """``minus_one_one``: pixels scaled to [-1, 1], AuxFormer's text. ``mean``: pixels of 0 to 255 minus
        the mean of the faces VGG-Face was trained on, as its authors feed it."""
        channels: Literal["layout", "RGB", "BGR"] = "layout"
        """Order that the file's network was trained on; ``layout``: MatConvNet's names RGB, all others BGR."""

    config: Config

    def __init__(self, config: Config):
        self.mean, self.std = (
            (VGG_FACE_MEAN, (1.0, 1.0, 1.0)) if config.normalise == "mean" else (HALF_RANGE, HALF_RANGE)
        )
        super().__init__(config)

    @classmethod
    def crop_policy(cls, config: Config) -> CropPolicy:
        """The box with its margin, background kept."""
        return CropPolicy(size_px=224 if cls.shape is None else cls.shape.px, margin=config.margin)

    def network(self, weights: Weights) -> nn.Module:
        """The convolutions and ``fc6``."""
        from avemo.features.vgg_network import Shape, load_network

        channels = None if self.config.channels == "layout" else self.config.channels
        return load_network(weights, self.shape or Shape(), "fc6", channels)


class VGGFaceAffectNet(CropNetwork):
    """The first FC layer (25088 to 4096) of the network that `avemo finetune faces` makes.

    Crops are the box without margin, its background masked, in [-1, 1].
    """

    name = "vgg_face_affectnet"
    version = 1
    dim = 4096
    mean, std = HALF_RANGE, HALF_RANGE
    shape: ClassVar[Shape | None] = None
    """Another size of network, for tests; None is VGG-16."""

    class Config(CropNetworkConfig):
        """AV-Ladder's text."""

        margin: float = Field(default=0.0, ge=0)
        background: Literal["kept", "masked"] = "masked"
        """See `avemo.faces.crop.CropPolicy`."""

    config: Config

    @classmethod
    def crop_policy(cls, config: Config) -> CropPolicy:
        """The masked box."""
        size_px = 224 if cls.shape is None else cls.shape.px
        return CropPolicy(size_px=size_px, margin=config.margin, background=config.background)

    def network(self, weights: Weights) -> nn.Module:
        """The tuned convolutions and ``fc1``. Raises `AvemoError` where they were tuned on faces with another background."""
        from avemo.features.vgg_network import Shape, load_network, tuned_background

        wanted, tuned = self.config.background, tuned_background(weights)
        if tuned not in (None, wanted):
            raise AvemoError(
                f"weights {weights.path}: expected a network tuned on faces with their background {wanted}, found "
                f"{tuned}; set the extractor's background to {tuned}, or tune with faces.config.background {wanted}"
            )
        return load_network(weights, self.shape or Shape(), "fc1")
