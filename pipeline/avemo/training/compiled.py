"""A system's training pass, compiled for a few lengths, so that a GPU has fewer and larger steps to be told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from avemo.dataset.batch import Batch
from avemo.models.base import Outputs, System

COMPILED_ON = ("cuda",)
BACKEND = "inductor"
SHORTEST = 16
MOST_SHAPES = 64
"""Pairs of lengths, at most, for which a process compiles."""

Pass = tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]
"""Logits, prediction and losses, as in `Outputs`."""


def length_of(frames: int) -> int:
    """The next of few lengths: each doubling has four, so that at most a fifth of a batch is padding.

    >>> [length_of(frames) for frames in (5, 17, 75, 150, 257, 311)]
    [16, 20, 80, 160, 320, 320]
    """
    step = 1 << max(0, (max(frames, SHORTEST + 1) - 1).bit_length() - 3)
    return max(SHORTEST, -(-frames // step) * step)


def padded(batch: Batch) -> Batch:
    """``batch`` with frames that are not real at its end, up to `length_of` either modality."""
    longer: dict[str, Tensor] = {}
    for modality in ("audio", "visual"):
        x_BTD, mask_BT = batch.frames(modality)
        room = length_of(x_BTD.shape[1]) - x_BTD.shape[1]
        longer[f"{modality}_BTD"] = F.pad(x_BTD, (0, 0, 0, room))
        longer[f"{modality}_mask_BT"] = F.pad(mask_BT, (0, room))
    return replace(batch, **longer)  # type: ignore[arg-type]


class CompiledPass:
    """A system in training mode on a `padded` batch; its noise is drawn from the device's own generator."""

    def __init__(self, model: System, mode: str | None = None, backend: Any = None):
        import torch._dynamo

        settings: Any = torch._dynamo.config
        settings.recompile_limit = max(settings.recompile_limit, MOST_SHAPES)
        how: Any = {"fullgraph": True, "dynamic": False} | ({"mode": mode} if mode else {})
        self._pass = torch.compile(partial(_passed, model), backend=backend or BACKEND, **how)

    def __call__(self, batch: Batch) -> Outputs:
        """As the system's own ``forward``. Raises whatever the compiler does."""
        longer = padded(batch)
        logits, prediction_BC, losses = self._pass(
            *(longer.audio_BTD, longer.visual_BTD, longer.audio_mask_BT, longer.visual_mask_BT),
            *(longer.targets, longer.has_audio_B, longer.has_visual_B),
        )
        return Outputs(logits, prediction_BC, losses)


def compiled(model: System, procedure: str, device: torch.device) -> CompiledPass | None:
    """The pass, where system, procedure and device allow it."""
    fits = procedure == "joint" and model.pads_freely and device.type in COMPILED_ON
    return CompiledPass(model) if fits else None


def _passed(
    model: System,
    audio_BTD: Tensor,
    visual_BTD: Tensor,
    audio_mask_BT: Tensor,
    visual_mask_BT: Tensor,
    targets: Tensor,
    has_audio_B: Tensor,
    has_visual_B: Tensor,
) -> Pass:
    """A batch is made inside: its clips' names would be compiled in."""
    frames = audio_BTD, visual_BTD, audio_mask_BT, visual_mask_BT
    batch = Batch(*frames, targets, [], has_audio_B, has_visual_B, whole=True)
    outputs = model(batch, None)
    return outputs.logits, outputs.prediction, outputs.losses
