"""What one mini-batch does to the weights. Names stand in `pipeline.training.STEPS`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from pipeline.contracts import AvemoError
from pipeline.dataset.batch import Batch
from pipeline.models.base import System
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import total
from pipeline.training.seeding import Generators


def joint(
    model: System,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    config: TrainingConfig,
    generators: Generators,
    place: str,
) -> dict[str, float]:
    """One update of all weights from all losses; returns the loss terms.

    ``place`` says where the run is. A loss or gradient that is not finite
    raises `AvemoError` before the update, so the weights stay good.
    """
    batch = drop_modality(batch, config.modality_drop, generators.drop)
    optimizer.zero_grad(set_to_none=True)
    terms = total(model(batch, generators.noise), batch)
    _require_finite(terms["total"], "loss", batch, place)
    terms["total"].backward()
    norm = clip_grad_norm_(model.parameters(), config.clip_norm)
    _require_finite(norm, "gradient norm", batch, place)
    optimizer.step()
    return {name: float(term.detach()) for name, term in terms.items()}


def drop_modality(batch: Batch, probability: float, generator: torch.Generator) -> Batch:
    """Zero the sound if r < p, the faces if p ≤ r < 2p, with one r ~ U[0, 1) a batch (AuxFormer's code)."""
    draw = torch.rand((), generator=generator).item()
    if draw < probability:
        return batch.without("audio")
    if draw < 2 * probability:
        return batch.without("visual")
    return batch


def _require_finite(value: Tensor, what: str, batch: Batch, place: str) -> None:
    if not torch.isfinite(value):
        raise AvemoError(
            f"{place}: expected a finite {what}, found {value.item()}; clips: {', '.join(batch.clip_ids)}; "
            "check these clips' features for extreme values, or lower training.lr"
        )
