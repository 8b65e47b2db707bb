"""What image networks that a config names have in common: crops as the network's own preprocessor wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from avemo.base.contracts import AvemoError, silent
from avemo.faces.crop import CropPolicy
from avemo.features.crop_network import CropNetwork, CropNetworkConfig

Interpolation = Literal["area", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Input:
    """How a network wants its pixels: side, mean and std of red, green and blue from 0 to 1, way of resizing."""

    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation


class AnyImageConfig(CropNetworkConfig):
    """What is cut of frames, and what of the network's own preprocessor is left aside."""

    crop: Literal["face", "none"] = silent("face")
    """``none``: the whole frame, for scenes: resized to the network's square, whatever its shape. No face is looked for, and
    ``margin``, ``background`` and ``alignment`` say nothing."""
    input_px: int | None = Field(None, ge=16)
    """Side of the crop; None: the network's own."""
    interpolation: Interpolation | None = None
    """See `avemo.faces.crop.CropPolicy`; None: the network's own."""
    background: Literal["kept", "masked"] = "kept"
    """See `avemo.faces.crop.CropPolicy`."""
    alignment: Literal["box", "landmarks"] = "box"
    """See `avemo.faces.crop.CropPolicy`; landmarks are aligned by ``interpolation: area``."""
    fps: float | None = Field(None, gt=0)
    """Faces, or frames, of each second that are looked at; None: all."""

    @model_validator(mode="after")
    def _whole(self) -> AnyImageConfig:
        fields = type(self).model_fields
        of_faces = ("margin", "background", "alignment")
        given = [name for name in of_faces if getattr(self, name) != fields[name].default]
        if self.crop == "none" and given:
            raise ValueError(
                f"crop: expected face with {', '.join(given)}, found none; take one of them away"
            )
        return self


class AnyImage(CropNetwork):
    """A network whose width is measured and whose input is declared by itself. Subclasses say where."""

    config: Any

    @classmethod
    def input_of(cls, config: Any) -> Input:
        """What the network wants, without its weights: the workflow asks too."""
        raise NotImplementedError

    @classmethod
    def reads_of(cls, config: Any) -> str:
        """See `Extractor`."""
        return "frames" if config.crop == "none" else cls.reads

    @classmethod
    def crop_policy(cls, config: Any) -> CropPolicy:
        """The box with its margin, at the network's own size."""
        own = cls.input_of(config)
        aligned = config.alignment == "landmarks"
        return CropPolicy(
            size_px=config.input_px or own.size_px,
            margin=config.margin,
            background=config.background,
            alignment=config.alignment,
            fps=config.fps,
            interpolation=config.interpolation or ("area" if aligned else own.interpolation),
        )

    def __init__(self, config: Any):
        own = self.input_of(config)
        self.mean = tuple(255 * value for value in own.mean)
        self.std = tuple(255 * value for value in own.std)
        super().__init__(config)
        import numpy as np

        side = self.crop.size_px
        try:
            (row,) = self._forward(np.zeros((1, side, side, 3), np.uint8))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise AvemoError(
                f"{self.name}: expected crops that the network takes, found that it refuses {side} x {side} pixels: "
                f"{' '.join(str(error).split())[:300]}; set input_px, or leave it out"
            ) from error
        if row.ndim != 1:
            raise AvemoError(f"{self.name}: expected one row a crop, found {row.shape}; name another layer")
        self.dim = len(row)


def averaged(output: Any, channels_last: bool) -> Any:
    """Maps or tokens of any layer to one row a picture: averaged over all places.

    ``(batch, channels, height, width)`` (or channels last) or ``(batch, places, dim)`` to ``(batch, dim)``.
    """
    if output.ndim == 4:
        return output.mean((1, 2) if channels_last else (2, 3))
    return output.mean(1) if output.ndim == 3 else output
