"""The VGG-16 face network, layer for layer, and the names its published weights go by.

Parkhi, Vedaldi and Zisserman, Deep Face Recognition, BMVC 2015 (network D of
Simonyan and Zisserman 2015, with 2622 people as classes).
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from avemo.base.contracts import AvemoError
from avemo.weights.find import Weights, load_state_dict
from avemo.weights.random import IMAGES, photograph_noise, scale_layers, seeded

BLOCKS = (2, 2, 3, 3, 3)
"""Convolutions of each block; after each block a max-pooling halves the sides."""
CONVS = tuple(f"conv{b}_{n}" for b, count in enumerate(BLOCKS, start=1) for n in range(1, count + 1))
FULL = ("fc6", "fc7", "fc8")
Channels = Literal["RGB", "BGR"]


@dataclass(frozen=True)
class Shape:
    """Sizes of a network; the published one is the default."""

    width: int = 64
    """Channels of the first block; they double until eight times this."""
    px: int = 224
    hidden: int = 4096

    @property
    def flat(self) -> int:
        """Numbers that leave the last pooling."""
        return 8 * self.width * (self.px // 2 ** len(BLOCKS)) ** 2


class VGGFace(nn.Module):
    """Images ``(batch, 3, px, px)`` in RGB to the rectified outputs ``(batch, hidden)`` of the first FC layer.

    ``first`` is that layer's name: ``fc6`` of the published network, ``fc1`` of a fine-tuned one.
    """

    def __init__(self, shape: Shape, first: str = "fc6"):
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for block, count in enumerate(BLOCKS, start=1):
            width = shape.width * min(2 ** (block - 1), 8)
            for number in range(1, count + 1):
                layers[f"conv{block}_{number}"] = nn.Conv2d(channels, width, kernel_size=3, padding=1)
                layers[f"relu{block}_{number}"] = nn.ReLU(inplace=True)
                channels = width
            layers[f"pool{block}"] = nn.MaxPool2d(2)
        layers["flat"] = nn.Flatten()
        layers[first] = nn.Linear(shape.flat, shape.hidden)
        layers[f"relu_{first}"] = nn.ReLU(inplace=True)
        self.layers = nn.Sequential(layers)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Pooled maps are flattened channel by channel, as in the published files."""
        return self.layers(images_BCHW)


def _torch_indices() -> list[int]:
    """Places of the convolutions in a plain sequence of convolutions, ReLUs and poolings."""
    places, place = [], 0
    for count in BLOCKS:
        places += [place + 2 * number for number in range(count)]
        place += 2 * count + 1
    return places


LAYOUTS: dict[str, tuple[Channels, dict[str, str]]] = {
    # MatConvNet's network, as vgg_face_dag.pth: trained on RGB.
    "dag": ("RGB", {name: name for name in (*CONVS, *FULL)}),
    # Torch's and Caffe's network under names of its own, bare or under `features.` and `fc.`: trained on BGR.
    "underscored": ("BGR", {name: name.replace("conv", "conv_") for name in CONVS} | {n: n for n in FULL}),
    "features_fc": (
        "BGR",
        {name: f"features.{name.replace('conv', 'conv_')}" for name in CONVS} | {n: f"fc.{n}" for n in FULL},
    ),
    # The same network numbered as torchvision numbers VGG-16.
    "torchvision": (
        "BGR",
        {name: f"features.{place}" for name, place in zip(CONVS, _torch_indices(), strict=True)}
        | dict(zip(FULL, ("classifier.0", "classifier.3", "classifier.6"), strict=True)),
    ),
    # VGG_FACE.t7 turned into one nn.Sequential, each linear layer behind a reshape.
    "sequential": (
        "BGR",
        {name: str(place) for name, place in zip(CONVS, _torch_indices(), strict=True)}
        | dict(zip(FULL, ("32.1", "35.1", "38.1"), strict=True)),
    ),
    # What `avemo finetune faces` writes.
    "finetuned": ("RGB", {name: name for name in (*CONVS, "fc1", "fc2", "fc3")}),
}
"""Layout to the channel order it was trained on and, by our names, its names of the layers."""


def layout_of(state: dict[str, Tensor], first: str, path: object) -> str:
    """The layout whose names of the convolutions and of the layer ``first`` are all there.

    Raises `AvemoError` naming what the nearest layout lacks.
    """
    lacking = {}
    for layout, (_, names) in LAYOUTS.items():
        if first in names:
            wanted = [f"{names[layer]}.{kind}" for layer in (*CONVS, first) for kind in ("weight", "bias")]
            lacking[layout] = [name for name in wanted if name not in state]
            if not lacking[layout]:
                return layout
    nearest = min(lacking, key=lambda layout: len(lacking[layout]))
    raise AvemoError(
        f"weights {path}: expected the layers of VGG-Face as one of {', '.join(lacking)} names them, found "
        f"{', '.join(list(state)[:4])}, ...; nearest: {nearest}, without {', '.join(lacking[nearest][:4])}"
    )


def in_our_names(
    state: dict[str, Tensor], first: str, path: object, channels: Channels | None = None
) -> dict[str, Tensor]:
    """Weights of the convolutions and of ``first`` for `VGGFace`, from any of `LAYOUTS`.

    Our networks see RGB: where the file's saw BGR (by its layout, or by
    ``channels``), the first convolution's inputs change places. Later layers are left out.
    """
    layout = layout_of(state, first, path)
    order, names = LAYOUTS[layout]
    own = {
        f"layers.{layer}.{kind}": state[f"{names[layer]}.{kind}"].float()
        for layer in (*CONVS, first)
        for kind in ("weight", "bias")
    }
    if (channels or order) == "BGR":
        own["layers.conv1_1.weight"] = own["layers.conv1_1.weight"].flip(1).contiguous()
    return own


def load_network(
    weights: Weights, shape: Shape, first: str = "fc6", channels: Channels | None = None
) -> VGGFace:
    """The network with the weights of a file, of what fine-tuning wrote, or random ones, in evaluation mode.

    Raises `AvemoError` naming the tensors that are missing or misshapen.
    """
    if weights.path is None:
        return random_network(weights.seed or 0, shape, first)
    network = VGGFace(shape, first)
    path = _file_of(weights.path)
    state = in_our_names(load_state_dict(path), first, path, channels)
    wanted = network.state_dict()
    wrong = [
        f"{name.removeprefix('layers.')}: expected {tuple(wanted[name].shape)}, found {tuple(value.shape)}"
        for name, value in state.items()
        if value.shape != wanted[name].shape
    ]
    if wrong:
        raise AvemoError(f"weights {path}: {'; '.join(wrong[:5])}; give a VGG-16 face network's file")
    network.load_state_dict(state, strict=True)
    return network.eval()


def tuned_background(weights: Weights) -> str | None:
    """Whether the faces that a network was tuned on had their background ``kept`` or ``masked``; None where no file says it."""
    from safetensors import safe_open

    path = _file_of(weights.path) if weights.path else None
    if path is None or path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {}).get("meta", "{}")).get("background")


def _file_of(path: Path) -> Path:
    """The network's file: ``path``, or the one in the folder that fine-tuning wrote."""
    return path / "model.safetensors" if path.is_dir() else path


def random_network(seed: int, shape: Shape, first: str = "fc6") -> VGGFace:
    """Random weights under ``seed``, scaled on noise like photographs (`scale_layers`)."""

    def make() -> VGGFace:
        network = VGGFace(shape, first)
        scale_layers(network, photograph_noise(IMAGES, shape.px))
        return network

    return seeded(make, seed)
