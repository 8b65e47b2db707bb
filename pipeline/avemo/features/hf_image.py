"""Frame features by vision networks of transformers (CLIP's and SigLIP's towers, DINOv2, ViT …), over face crops."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from avemo.base.contracts import AvemoError, ConfigError
from avemo.features.any_image import AnyImage, AnyImageConfig, Input
from avemo.features.hf_loading import network_of, network_shape
from avemo.weights.find import Weights, locate, random_seed

FILE = "preprocessor_config.json"
RESAMPLING = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which the file has."""


class HFImage(AnyImage):
    """Each crop to one row: what the network itself pools, or the first or mean token of one of its layers.

    Size, mean, deviation and interpolation are those of preprocessor_config.json beside the weights.
    """

    name = "hf_image"
    version = 1
    libraries = ("transformers", "pillow")
    tiny = {
        "weights": "random-seed-0",
        "architecture": "dinov2",
        "shape": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56},
        "device": "cpu",
    }

    class Config(AnyImageConfig):
        """Weights: ``hub:owner/name@revision``, a folder in transformers' format, or ``random-seed-<n>`` with
        ``architecture``."""

        architecture: str | None = None
        """Of random weights alone: transformers' name of the kind of network, such as ``dinov2`` or ``clip``."""
        shape: dict[str, Any] = {}
        """Of random weights alone: fields of the network's configuration that differ from transformers' defaults."""
        pooling: Literal["own", "first", "mean", "projected"] = "own"
        """``own``: the network's ``pooler_output``. ``first`` and ``mean``: of the tokens. ``projected``: CLIP's
        embedding, which texts share."""
        layer: int | None = Field(None, ge=0)
        """Tokens that leave this layer, before any norm that follows, instead of the last; 0 is what enters the first."""

    config: Config

    @classmethod
    def input_of(cls, config: Config) -> Input:
        """From the file beside the weights; for random ones from the shape, with values of CLIP's kind."""
        if random_seed(config.weights) is not None:
            vision = config.shape.get("vision_config", config.shape)
            return Input(int(vision.get("image_size", 224)), (0.5,) * 3, (0.5,) * 3, "bicubic")
        path = locate(config.weights) / FILE
        try:
            found = json.loads(path.read_text())
            size = found["crop_size"] if found.get("do_center_crop") else found["size"]
            side = size if isinstance(size, int) else size.get("height") or size["shortest_edge"]
            mean, std = ((found[name]) for name in ("image_mean", "image_std"))
            how = RESAMPLING.get(found.get("resample", 3), "bicubic")
            return Input(int(side), tuple(mean), tuple(std), how)  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AvemoError(
                f"weights {path.parent}: expected {FILE} with size, image_mean and image_std, found: {error!r}; "
                "fetch the network again, or put the file there"
            ) from error

    def network(self, weights: Weights) -> Any:
        """The vision tower, and how its tokens become one row."""
        from torch import nn

        config = self.config
        if config.layer is not None and config.pooling in ("own", "projected"):
            raise ConfigError("config: layer: expected pooling first or mean, found " + config.pooling)
        whole = network_of(weights, network_shape(weights, config.architecture, config.shape))
        tower = getattr(whole, "vision_model", whole)
        projected = config.pooling == "projected"
        if projected and not hasattr(whole, "get_image_features"):
            raise ConfigError(
                f"config: pooling: expected own, first or mean of {whole.config.model_type}, which has no projection, "
                "found projected"
            )
        depth = getattr(tower.config, "num_hidden_layers", 0)
        if config.layer is not None and config.layer > depth:
            raise ConfigError(f"config: layer: expected at most {depth}, found {config.layer}")

        class Row(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = whole if projected else tower

            def forward(self, pixels: Any) -> Any:
                """``(batch, 3, side, side)`` to ``(batch, dim)``."""
                if projected:
                    found = self.network.get_image_features(pixel_values=pixels)
                    return getattr(found, "pooler_output", found)
                found = self.network(pixel_values=pixels, output_hidden_states=config.layer is not None)
                if config.pooling == "own":
                    return found.pooler_output
                tokens = (
                    found.last_hidden_state if config.layer is None else found.hidden_states[config.layer]
                )
                return tokens[:, 0] if config.pooling == "first" else tokens.mean(1)

        return Row()
