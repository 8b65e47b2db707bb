"""Frame features by any network of timm (Wightman, PyTorch image models), over face crops."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from avemo.base.contracts import AvemoError, ConfigError
from avemo.base.registry import nearest
from avemo.features.any_image import AnyImage, AnyImageConfig, Input, averaged
from avemo.features.efficientnet import calibrated, fold_batch_norm
from avemo.weights.find import Weights, load_state_dict, locate, random_seed
from avemo.weights.random import photograph_noise, seeded

TENSORS = "model.safetensors"
NEAR = 1e-3
"""Batch norms are folded where that moves outputs by no more than this share of their size."""


class TimmImage(AnyImage):
    """Each crop to what the network gives its classifier, or to the mean over one of its layers.

    Size, mean, deviation and interpolation are the network's own: from ``pretrained_cfg`` in the config.json beside
    its weights, or timm's for its name.
    """

    name = "timm_image"
    version = 1
    libraries = ("timm", "pillow")
    tiny = {"weights": "random-seed-0", "model": "test_resnet", "device": "cpu"}

    class Config(AnyImageConfig):
        """Weights: ``hub:timm/name@revision`` or a folder with config.json, a state dict with timm's names (the
        classifier is ignored), or ``random-seed-<n>``."""

        model: str | None = None
        """timm's name of the network, such as ``vit_base_patch14_dinov2``; None: the one in config.json."""
        layer: str | None = None
        """A module of the network, by timm's path, such as ``layer3`` or ``blocks.8``; its places are averaged.
        None: what the classifier would see."""

    config: Config

    @classmethod
    def input_of(cls, config: Config) -> Input:
        """By timm's own reading of the network's ``pretrained_cfg``."""
        from timm.data import resolve_data_config

        own = pretrained_cfg(config)
        found = resolve_data_config({}, pretrained_cfg=own)
        how = str(found["interpolation"])
        return Input(
            *(found["input_size"][-1], tuple(found["mean"]), tuple(found["std"])),
            interpolation=how if how in ("bilinear", "bicubic", "lanczos") else "bicubic",  # type: ignore[arg-type]
        )

    def network(self, weights: Weights) -> Any:
        """timm's network without classifier, batch norms folded where that changes nothing."""
        import torch

        name, config = architecture(self.config), self.config
        own = pretrained_cfg(config)
        heads = own.get("classifier") or ()
        model = _load(weights, name, (heads,) if isinstance(heads, str) else tuple(heads), self.crop.size_px)
        if config.layer is not None:
            model = _AtLayer(model, config.layer)
        noise = seeded(lambda: photograph_noise(1, self.crop.size_px), 0)
        with torch.no_grad():
            try:
                folded = fold_batch_norm(copy.deepcopy(model))
            except AvemoError:
                return model
            before, after = model(noise), folded(noise)
            return folded if (before - after).abs().max() <= NEAR * before.abs().max() else model


def architecture(config: TimmImage.Config) -> str:
    """timm's name of a config's network; raises `ConfigError` for one that timm has not."""
    import timm

    name = config.model or _file(config).get("architecture")
    if name is None:
        raise ConfigError(
            f"config: model: expected timm's name of the network, as no config.json beside {config.weights} has one"
        )
    if not timm.is_model(name.split(".")[0]):
        raise ConfigError(
            f"config: model: expected a network of timm, found {name!r}{nearest(name, timm.list_models()) or '.'}"
        )
    return name.split(".")[0]


def pretrained_cfg(config: TimmImage.Config) -> dict[str, Any]:
    """How a network's input is made: from the file beside its weights, else as timm says for its name."""
    import timm

    own = _file(config).get("pretrained_cfg")
    if isinstance(own, dict):
        return own
    name = architecture(config)
    try:
        found = timm.get_pretrained_cfg(config.model or name)
    except RuntimeError as error:
        raise ConfigError(
            f"config: model: expected one of {name}'s weights in timm ({', '.join(timm.list_pretrained(name))}), "
            f"found {config.model!r}"
        ) from error
    return found.to_dict() if found else {}


def _file(config: TimmImage.Config) -> dict[str, Any]:
    """config.json beside the weights; nothing where there is none."""
    path = locate(config.weights)
    path = (path if path.is_dir() else path.parent) / "config.json"
    if random_seed(config.weights) is not None or not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise AvemoError(f"{path}: expected timm's JSON, found: {error}; fetch it again") from error
    return found if isinstance(found, dict) and "pretrained_cfg" in found else {}


def _load(weights: Weights, name: str, heads: tuple[str, ...], size_px: int) -> Any:
    """timm's network of these weights in evaluation mode; raises `AvemoError` for tensors that are not its own."""
    import timm

    def make() -> Any:
        return timm.create_model(name, pretrained=False, num_classes=0)

    if weights.path is None:
        return calibrated(make, weights.seed or 0, size_px)
    path: Path = weights.path / TENSORS if weights.path.is_dir() else weights.path
    model = make()
    state = {
        tensor: value
        for tensor, value in load_state_dict(path).items()
        if not any(tensor.startswith(f"{head}.") for head in heads)
    }
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:600]
        raise AvemoError(
            f"weights {path}: expected exactly the tensors of timm's {name}, found others ({detail}); "
            "rename them to timm's names, or correct `model`"
        ) from error
    return model.eval()


def _AtLayer(model: Any, layer: str) -> Any:
    """``model`` up to the output of one of its modules, averaged over places."""
    from torch import nn

    modules = dict(model.named_modules())
    if not layer or layer not in modules:
        raise ConfigError(
            f"config: layer: expected a module of the network, found {layer!r}{nearest(layer, modules) or '.'}"
        )
    channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"

    class AtLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self._found: Any = None

        def forward(self, pixels: Any) -> Any:
            hook = self.model.get_submodule(layer).register_forward_hook(self._keep)
            try:
                self.model(pixels)
            finally:
                hook.remove()
            found, self._found = self._found, None
            return averaged(found, channels_last)

        def _keep(self, _module: Any, _given: Any, made: Any) -> None:
            self._found = made

    return AtLayer()
