"""A tiny system and an in-memory data set that need every generator a run has."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from avemo.base.contracts import ComponentConfig
from avemo.dataset.batch import Batch
from avemo.dataset.normalise import BY_TRAIN, Normalise
from avemo.dataset.tasks import Classes, Task
from avemo.models.base import Outputs, System
from avemo.training.loop import TrainingResult, train
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import build_seeded
from avemo.training.state import RunState

AUDIO_DIM, VISUAL_DIM, CLASSES = 5, 7, 3

TASK = Classes(("calm", "glad", "sad"))


class TinyConfig(ComponentConfig):
    """Nothing to set."""


class TinySystem(System):
    """Dropout draws from the global RNG, its noise from the generator; batch norm keeps buffers."""

    Config = TinyConfig

    def __init__(self) -> None:
        super().__init__(TinyConfig(), audio_dim=AUDIO_DIM, visual_dim=VISUAL_DIM, outputs=CLASSES)
        self.trunk = nn.Sequential(nn.Linear(AUDIO_DIM + VISUAL_DIM, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.heads = nn.ModuleDict({name: nn.Linear(8, CLASSES) for name in ("av", "audio")})

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        x = torch.cat([masked_mean(batch.audio_BTD, batch.audio_mask_BT), batch.visual_BTD.mean(1)], dim=-1)
        losses = {}
        if self.training:
            x = x + 0.1 * torch.randn(x.shape, generator=generator)
            losses["size"] = 0.01 * self.heads["av"].weight.square().mean()
        h = self.dropout(self.trunk(x))
        logits = {name: head(h) for name, head in self.heads.items()}
        return Outputs(logits, torch.stack(list(logits.values())).mean(0), losses)


class Towers(System):
    """A tower a modality, a shared part and three heads, each trained apart; batch norm over frames."""

    Config = TinyConfig
    procedures = ("joint", "alternating", "sampled")

    def __init__(self) -> None:
        super().__init__(TinyConfig(), audio_dim=AUDIO_DIM, visual_dim=VISUAL_DIM, outputs=CLASSES)
        self.audio, self.visual, self.shared = (_layer(dim) for dim in (AUDIO_DIM, VISUAL_DIM, 6))
        self.heads = nn.ModuleDict({"audio": nn.Linear(6, CLASSES), "visual": nn.Linear(6, CLASSES)})
        self.fusion = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, CLASSES))

    def parts(self) -> dict[str, Sequence[nn.Module]]:
        return {
            "audio": (self.audio, self.shared, self.heads["audio"]),
            "visual": (self.visual, self.shared, self.heads["visual"]),
            "av": (self.fusion,),
        }

    def represent(self, name: str, batch: Batch) -> Tensor:
        x_BTD = getattr(batch, f"{name}_BTD")
        frames = self.shared(getattr(self, name)(x_BTD.flatten(0, 1)))
        return frames.unflatten(0, x_BTD.shape[:2]).mean(1)

    def forward_only(self, head: str, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        if head == "av":
            both = torch.cat([self.represent("audio", batch), self.represent("visual", batch)], dim=1)
            logits = self.fusion(both)
            return Outputs({"av": logits}, logits)
        logits = self.heads[head](self.represent(head, batch))
        losses = {"size": 0.01 * self.heads[head].weight.square().mean()}
        return Outputs({head: logits}, logits, losses)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        each = [self.forward_only(head, batch, generator) for head in self.parts()]
        return Outputs({k: v for one in each for k, v in one.logits.items()}, each[-1].prediction)


def _layer(dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(dim, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2))


def masked_mean(x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    weights = mask_BT.unsqueeze(-1).float()
    return (x_BTD * weights).sum(1) / weights.sum(1).clamp(min=1)


@dataclass
class ToyData:
    """Clips whose class can be heard and seen. ``die_at``: batches served before SIGKILL."""

    die_at: int | None = None
    poison: str | None = None
    served: int = 0
    fitted: list[str] = field(default_factory=list)
    normalise: Normalise = BY_TRAIN
    read: set[str] = field(default_factory=set)

    def fit(self, train_ids: Sequence[str], normalise: Normalise = BY_TRAIN) -> None:
        self.fitted, self.normalise = list(train_ids), normalise

    def batches(
        self,
        clip_ids: Sequence[str],
        batch_size: int,
        generator: torch.Generator | None = None,
        bucketing: int = 1,
    ) -> Iterator[Batch]:
        order = (
            torch.randperm(len(clip_ids), generator=generator).tolist()
            if generator and bucketing
            else range(len(clip_ids))
        )
        ids = [clip_ids[i] for i in order]
        for start in range(0, len(ids), batch_size):
            if self.served == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.served += 1
            yield self.batch(ids[start : start + batch_size])

    def batch(self, ids: list[str]) -> Batch:
        self.read |= set(ids)
        numbers = [int(name.removeprefix("clip")) for name in ids]
        target_B = torch.tensor([number % CLASSES for number in numbers])
        audio, visual = (
            torch.stack([noise(number, dim) for number in numbers]) + target_B[:, None, None]
            for dim in (AUDIO_DIM, VISUAL_DIM)
        )
        if self.poison in ids:
            audio[ids.index(self.poison)] = float("nan")
        mask = torch.ones(audio.shape[:2], dtype=torch.bool)
        return Batch(audio, visual, mask, mask.clone(), target_B, ids)


def noise(number: int, dim: int) -> Tensor:
    return torch.randn(4, dim, generator=torch.Generator().manual_seed(100 * number + dim))


@dataclass(frozen=True)
class ToySplit:
    name: str = "split00"
    train: tuple[str, ...] = tuple(f"clip{i}" for i in range(30))
    dev: tuple[str, ...] = tuple(f"clip{i}" for i in range(30, 42))
    test: tuple[str, ...] = tuple(f"clip{i}" for i in range(42, 60))


SHORT = TrainingConfig(
    **{"epochs": 5, "batch_size": 8, "lr": 0.05, "plateau_patience": 0},
    **{"modality_drop": 0.2, "device": "cpu", "checkpoint_s": 0},
)
"""Six batches an epoch (four of train, two of dev); the rate falls on the way."""


def run_tiny(
    folder: Path,
    config: TrainingConfig = SHORT,
    data: ToyData | None = None,
    system: type[System] = TinySystem,
    **kwargs,
) -> tuple[System, TrainingResult]:
    """Train the tiny system from its seeded start."""
    split = ToySplit()
    model = build_seeded(system, config.seed, split.name)
    run = fresh(model, config)
    return model, train(run, data or ToyData(), split, run_id="tiny", folder=folder, **kwargs)


def fresh(model: System, config: TrainingConfig = SHORT, task: Task = TASK) -> RunState:
    """A run on the CPU before its first epoch, on the toy's split."""
    return RunState.fresh(model, task, config, ToySplit.name, torch.device("cpu"))


if __name__ == "__main__":
    run_tiny(Path(sys.argv[1]), data=ToyData(die_at=int(sys.argv[2])))
