"""The model contract: a `Batch` in, `Outputs` out; models never see training.

Dimension letters: B batch, T time, D feature or model width, C outputs.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.contracts import ComponentConfig
from pipeline.dataset.batch import Batch


@dataclass
class Outputs:
    """``logits``: supervised heads by name (``av``, ``audio``, ``visual``), each ``(B, C)``;
    the supervised loss is their mean. ``prediction (B, C)``: logits used at test time.
    ``losses``: further named scalar terms, already weighted, added to the supervised one.
    """

    logits: dict[str, Tensor]
    prediction: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)


class System(nn.Module):
    """Base of every system."""

    version: ClassVar[int] = 1
    Config: ClassVar[type[ComponentConfig]]

    def __init__(self, config: ComponentConfig, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__()
        self.config = config
        self.audio_dim, self.visual_dim, self.outputs = audio_dim, visual_dim, outputs

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass. ``generator`` feeds the model's own noise, so that a run resumes exactly."""
