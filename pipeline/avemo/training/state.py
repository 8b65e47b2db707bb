"""Everything a run would have to remember to go on after a kill as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau, StepLR

from avemo.dataset.tasks import Task
from avemo.models.base import System
from avemo.training.compiled import CompiledPass, compiled
from avemo.training.optimizers import OPTIMIZERS
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import Generators, rng_state, set_rng_state
from avemo.training.skew import Skew, WeightedLoss
from avemo.training.watch import Watch

SCHEDULER_NUMBERS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")
"""What changes in a scheduler; the rest of it is config."""


@dataclass(kw_only=True)
class Resumable:
    """A training after ``len(history)`` epochs, whose rows have a ``dev_loss``."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    generators: Generators
    device: torch.device
    scheduler: LRScheduler | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)

    def finish_epoch(self, row: dict[str, Any]) -> None:
        """Add an epoch to the history; keep its weights if its dev loss is the lowest so far."""
        self.history.append(row)
        if not self.best_epoch or row["dev_loss"] < self.history[self.best_epoch - 1]["dev_loss"]:
            self.best_epoch = row["epoch"]
            self.best_state = {
                name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()
            }
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row["dev_loss"])
        elif self.scheduler:
            self.scheduler.step()

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """``(tensors, meta)`` for `avemo.training.checkpoint.save_checkpoint`."""
        optimizer = self.optimizer.state_dict()
        scheduler = self.scheduler.state_dict() if self.scheduler else {}
        tensors = {
            "model": self.model.state_dict(),
            "best": self.best_state,
            "optimizer": {str(index): moments for index, moments in optimizer["state"].items()},
            "rng": rng_state(self.generators, self.device),
        }
        meta = {
            "optimizer": optimizer["param_groups"],
            "scheduler": {name: scheduler[name] for name in SCHEDULER_NUMBERS if name in scheduler},
            "history": self.history,
            "best_epoch": self.best_epoch,
        }
        return tensors, meta

    def restore(self, tensors: dict[str, Any], meta: dict[str, Any]) -> None:
        """Become the run that `snapshot` saw."""
        self.model.load_state_dict(tensors["model"])
        moments = {int(index): value for index, value in tensors.get("optimizer", {}).items()}
        self.optimizer.load_state_dict({"state": moments, "param_groups": meta["optimizer"]})
        if self.scheduler:
            self.scheduler.load_state_dict(meta["scheduler"])
        set_rng_state(tensors["rng"], self.generators, self.device)
        self.history, self.best_epoch = meta["history"], meta["best_epoch"]
        self.best_state = tensors.get("best", {})


@dataclass(kw_only=True)
class RunState(Resumable):
    """A system's training on one split."""

    model: System
    task: Task
    config: TrainingConfig
    skew: Skew = field(default_factory=Skew)
    """What is done about classes of unequal size."""
    stream: str
    """Whose random numbers it draws (`avemo.training.seeding.stream_of`)."""
    watch: Watch = field(default_factory=Watch)
    compiled: CompiledPass | None = None
    """The system's pass in whole mini-batches, if it is compiled."""

    @classmethod
    def fresh(
        cls,
        model: System,
        task: Task,
        config: TrainingConfig,
        stream: str,
        device: torch.device,
        skew: Skew | None = None,
    ) -> RunState:
        """A run before its first epoch."""
        model.to(device)
        optimizer = OPTIMIZERS[config.optimizer](
            model.parameters(),
            lr=config.lr,
            betas=config.betas,
            weight_decay=config.weight_decay,
        )
        return cls(
            model=model,
            task=task,
            config=config,
            optimizer=optimizer,
            scheduler=_scheduler(optimizer, config),
            generators=Generators.of(config.seed, stream, device),
            device=device,
            stream=stream,
            skew=skew or Skew(),
            compiled=compiled(model, config.procedure, device) if config.compile == "auto" else None,
        )

    @property
    def criterion(self) -> Task | WeightedLoss:
        """What has the loss that is trained and judged."""
        return self.skew.loss or self.task

    @property
    def lr(self) -> float:
        """The learning rate of the epoch to come."""
        return float(self.optimizer.param_groups[0]["lr"])


def _scheduler(optimizer: torch.optim.Optimizer, config: TrainingConfig) -> LRScheduler | None:
    if config.schedule == "plateau":
        return ReduceLROnPlateau(
            optimizer,
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            threshold=config.plateau_threshold,
        )
    if config.schedule == "step":
        return StepLR(optimizer, config.step_epochs, gamma=config.plateau_factor)
    return None
