"""Remedies for classes of unequal size: weights in the loss, focal loss, balanced draws of train clips.

All counts are of the train clips of the split. Dimension letters: B clips, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, one_hot

from avemo.base.contracts import ConfigError
from avemo.base.devices import sent
from avemo.dataset.tasks import Task
from avemo.training.recipe import TrainingConfig

Target = int | tuple[float, ...]


@dataclass(frozen=True)
class WeightedLoss:
    """In place of a task's own loss, in training and where an epoch is judged.

    ``weights_VC``: of classes in one row; of bits for their values 0 and 1, a row each. ``gamma``: of focal loss
    (Lin et al., ICCV 2017, eq. 4): a term counts by (1 − p)^γ, p being the probability of what is true.
    """

    task: Task
    weights_VC: Tensor
    gamma: float

    def loss(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        """Of classes the weighted mean over clips, as PyTorch's cross-entropy has it; of bits their sum, mean over clips."""
        weights_VC = sent(self.weights_VC.to(logits_BC.dtype), logits_BC.device)
        if self.task.kind == "bits":
            terms_BC = binary_cross_entropy_with_logits(logits_BC, targets, reduction="none")
            own_BC = torch.where(targets > 0.5, weights_VC[1], weights_VC[0])
            return (own_BC * self._focus(torch.exp(-terms_BC)) * terms_BC).sum(1).mean()
        log_p_BC = log_softmax(logits_BC, dim=1)
        true_BC = targets if targets.ndim == 2 else one_hot(targets, logits_BC.shape[1])
        own_BC = true_BC * weights_VC[0]
        return -(own_BC * self._focus(log_p_BC.exp()) * log_p_BC).sum() / own_BC.sum()

    def set_loss(self, logits: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
        """That of the whole set."""
        return float(self.loss(torch.cat(list(logits)), torch.cat(list(targets))))

    def _focus(self, p: Tensor) -> Tensor:
        return (1 - p) ** self.gamma if self.gamma else torch.ones_like(p)


@dataclass(frozen=True)
class Skew:
    """What a training does about it: a ``loss`` of its own, and ``chances`` of clips to be drawn; None: nothing."""

    loss: WeightedLoss | None = None
    chances: Mapping[str, float] | None = None

    @classmethod
    def of(cls, task: Task, config: TrainingConfig, targets: Mapping[str, Target]) -> Skew:
        """As the config says, for the ``targets`` of the train clips. Raises `ConfigError` for what does not fit."""
        weighted = config.class_weights != "none" or config.focal_gamma > 0
        if weighted and task.kind == "attributes":
            raise ConfigError(
                "training.class_weights and focal_gamma: expected neither with attributes, whose concordance has no "
                f"classes, found {config.class_weights!r} and {config.focal_gamma:g}; use training.draw: balanced"
            )
        values = np.array(list(targets.values()))
        chances = None
        if config.draw == "balanced":
            chances = dict(zip(targets, _chances(task, values, config.draw_bins).tolist(), strict=True))
        return cls(_weighted(task, config, values) if weighted else None, chances)

    def drawn(self, clip_ids: Sequence[str], generator: torch.Generator) -> Sequence[str]:
        """As many clips as there are, drawn with replacement by their chances; or ``clip_ids`` as they are."""
        if self.chances is None:
            return clip_ids
        chances = torch.tensor([self.chances[clip] for clip in clip_ids], dtype=torch.float64)
        drawn = torch.multinomial(chances, len(clip_ids), replacement=True, generator=generator)
        return [clip_ids[i] for i in drawn.tolist()]


def class_weights(counts: np.ndarray, config: TrainingConfig) -> np.ndarray:
    """A weight for each class of ``counts`` clips, 0 where there are none.

    ``inverse``: clips / (classes · clips of the class). ``effective``: (1 − β) / (1 − β^clips) (Cui et al., CVPR 2019),
    so scaled that the weights of the classes that there are add up to their number.
    """
    there = counts > 0
    if config.class_weights == "none":
        return there.astype(np.float64)
    if config.class_weights == "inverse":
        return np.where(there, counts.sum() / (there.sum() * np.maximum(counts, 1)), 0.0)
    effective = (1 - config.effective_beta) / (1 - config.effective_beta ** np.maximum(counts, 1))
    weights = np.where(there, effective, 0.0)
    return weights * there.sum() / weights.sum()


def _weighted(task: Task, config: TrainingConfig, values: np.ndarray) -> WeightedLoss:
    if task.kind == "bits":
        counts_VC = np.stack([(values == value).sum(0) for value in (0, 1)])
        weights_VC = np.stack([class_weights(counts, config) for counts in counts_VC.T], axis=1)
    else:
        numbers = values.argmax(1) if values.ndim == 2 else values
        counts = np.bincount(numbers, minlength=len(task.names))
        weights_VC = class_weights(counts, config)[None]
    return WeightedLoss(task, torch.from_numpy(weights_VC), config.focal_gamma)


def _chances(task: Task, values: np.ndarray, bins: int) -> np.ndarray:
    """For each clip one over the clips of its class; of several outputs the mean over them.

    The classes of an attribute are ``bins`` of equal width over the range of the train clips.
    """
    if task.kind == "classes":
        columns = [values.argmax(1) if values.ndim == 2 else values]
    elif task.kind == "bits":
        columns = list(values.T)
    else:
        inner = (
            np.linspace(low, high, bins + 1)[1:-1]
            for low, high in zip(values.min(0), values.max(0), strict=True)
        )
        columns = [np.digitize(column, edges) for column, edges in zip(values.T, inner, strict=True)]
    shares = []
    for column in columns:
        _, which, counts = np.unique(column, return_inverse=True, return_counts=True)
        shares.append(1 / (len(counts) * counts[which]))
    return np.mean(shares, axis=0)
