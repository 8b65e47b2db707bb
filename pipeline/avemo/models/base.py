"""The model contract: a `Batch` in, `Outputs` out; models never see training.

Dimension letters: B batch, T time, D feature or model width, C outputs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from pydantic import model_validator
from torch import Tensor, nn

from avemo.base.component import Component, Work
from avemo.base.contracts import AvemoError, ComponentConfig
from avemo.dataset.batch import Batch


def heads_divide_width(config: Any) -> Any:
    """Pydantic's after-validator of a config with ``width`` and ``heads``."""
    if config.width % config.heads:
        raise ValueError(
            f"width {config.width} is not a multiple of heads {config.heads}; "
            f"change either in the model's config"
        )
    return config


class SystemConfig(ComponentConfig):
    """Config of a system whose code was released."""

    published: ClassVar[dict[str, Any]] = {}
    """The switches that ``as_published_code`` sets."""

    as_published_code: bool = False
    """Do as the released code does, defects included: sets every such switch that is not given."""

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("as_published_code"):
            return cls.published | given
        return given


@dataclass
class Outputs:
    """``logits``: supervised heads by name (``av``, ``audio``, ``visual``), each ``(B, C)``;
    the supervised loss is their mean. ``prediction (B, C)``: logits used at test time.
    ``losses``: further named scalar terms, already weighted, added to the supervised one.
    ``representations``: vectors ``(B, D)`` by name, for analyses; they train nothing.

    A logit is what the task reads it as: of a class, of an emotion bit, or an attribute's value itself.
    """

    logits: dict[str, Tensor]
    prediction: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)
    representations: dict[str, Tensor] = field(default_factory=dict)


class System(Component, nn.Module):
    """Base of every system.

    A system trained by ``joint`` needs `forward` alone. One whose heads are trained
    apart (``alternating``, ``sampled``) also names them in `parts` and computes one
    of them in `forward_only`.
    """

    work = Work(seconds=0.1, memory_mb=6000, gpu_mb=3000, gpu_frame_kb=600, gpu_seconds=0.01)
    procedures: ClassVar[tuple[str, ...]] = ("joint",)
    """Training procedures (`avemo.training.STEPS`) that fit this system."""

    def __init__(self, config: ComponentConfig, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__()
        self.config = config
        self.audio_dim, self.visual_dim, self.outputs = audio_dim, visual_dim, outputs

    def initialise(self) -> None:
        """Load the parts that a config says were trained elsewhere; called once, before training."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the system looks at. It is not scored on a modality alone that it does not see."""
        return ("audio", "visual")

    @property
    def pads_freely(self) -> bool:
        """Whether frames that are not real can be added to a batch without a change but for rounding, and a training pass
        be compiled: it asks no tensor for its values, and draws noise without a generator if it is given none."""
        return False

    @property
    def frames_seen(self) -> int | None:
        """How many frames of a modality it looks at, where later ones are cut off and fewer can be filled up with padding
        without a change but for rounding. None: it looks at all."""
        return None

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass. ``generator`` feeds the model's own noise, so that a run resumes exactly. In evaluation
        mode a system adds noise, for its further losses, only if it is given one.

        ``prediction`` uses what a clip has: `Batch.has_audio_B`, `Batch.has_visual_B`. Raises `AvemoError`
        for a clip without frames (`avemo.models.attention.require_frames`).
        """

    def parts(self) -> dict[str, Sequence[nn.Module]]:
        """Heads that can be trained apart, in order, and the modules that the step of each trains.

        The names are ``audio``, ``visual``, ``av``; a head's name says which modalities a clip must have
        for its step. Modules may stand under several heads, as shared ones do.
        """
        return {}

    def forward_only(self, head: str, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """A pass through what ``head`` (a key of `parts`) needs and no more.

        ``logits`` holds that head alone, ``prediction`` its logits, ``losses`` the terms
        that belong to it. Every clip of ``batch`` has the head's modalities.
        """
        raise AvemoError(f"{type(self).__name__}: no head {head!r} to train apart; use the procedure 'joint'")
