"""Fine-tuning a network on a corpus of its own: epochs, selection on dev, resumption.

It knows nothing of faces or speech: a task hands over batches, a loss and
scores. The test side of such a corpus is never read here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from avemo.base.arithmetic import Precision, arithmetic
from avemo.base.contracts import AvemoError, ComponentConfig, digest, silent, speed
from avemo.base.devices import choose_device, sent
from avemo.training.checkpoint import save_checkpoint
from avemo.training.loop import Listener, TrainingResult, resume
from avemo.training.seeding import Generators, seed_global
from avemo.training.state import Resumable
from avemo.training.watch import Watch, told

PURPOSE = "finetuning"
"""Stands for the split's name where `avemo.training.seeding` asks for one."""


class Schedule(ComponentConfig):
    """How a network is fine-tuned. A task gives its paper's numbers as its own defaults."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    """Items a mini-batch."""
    lr: float = Field(gt=0)
    """Adam's learning rate, constant."""
    precision: Precision = silent("float32")
    """Of the training passes; ``bfloat16`` is autocast, ``tf32`` has a GPU round factors to 10 bits before it multiplies
    them (on a CPU it is float32). Weights, losses and dev are float32 always."""
    seed: int = Field(0, ge=0)
    device: str = speed("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """``auto``: a GPU if there is one. Equal bytes are promised on the CPU only, and on one kind of processor."""
    checkpoint_s: float = speed(30.0, ge=0)
    """Seconds, at least, from one checkpoint to the next: what a kill may cost beside the epoch under way."""


@dataclass(frozen=True)
class Batch:
    """``model(*inputs)`` gives outputs ``(batch, n)`` for ``targets (batch, ...)``; ``names`` are for errors."""

    inputs: tuple[Tensor, ...]
    targets: Tensor
    names: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(tuple(sent(x, device) for x in self.inputs), sent(self.targets, device), self.names)


class TrainDev(Protocol):
    """A corpus to tune on. Both sides may be made batch by batch; dev always comes in one order."""

    @property
    def n_train(self) -> int: ...
    def train(self, generator: torch.Generator) -> Iterable[Batch]: ...
    def dev(self) -> Iterable[Batch]: ...


Loss = Callable[[Tensor, Tensor], Tensor]
"""``(outputs (n, ...), targets (n, ...))`` to a scalar: of a mini-batch in training, of the whole dev side then."""
Scores = Callable[[Tensor, Tensor], dict[str, float]]
"""The same arguments, on the CPU, to named numbers for the history."""
Items = Callable[[int, int, int], None]
"""Called after each mini-batch with the epoch, the items trained on in it, and their number in all."""


def tune(
    model: nn.Module,
    data: TrainDev,
    schedule: Schedule,
    loss: Loss,
    scores: Scores,
    *,
    run_id: str,
    folder: Path,
    progress: Listener | None = None,
    items: Items | None = None,
) -> TrainingResult:
    """Tune every parameter of ``model`` that requires a gradient; keep the epoch with the lowest dev loss.

    After an epoch ``folder`` holds a checkpoint, which is at most ``checkpoint_s`` old. Called again after a kill
    with the same arguments (``run_id`` names the corpus and the start weights),
    it goes on from there and ends with the same bytes; a checkpoint of another
    run is replaced. Raises `AvemoError` if a loss is not finite.
    """
    device = choose_device(schedule.device, "training.device")
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        identity = _identity(model, schedule, run_id, device)
        run = _start_or_resume(model, schedule, identity, folder, device)
        kept_s = -math.inf
        while len(run.history) < schedule.epochs:
            began, epoch = time.perf_counter(), len(run.history) + 1
            place = f"{run_id}, epoch {epoch}"
            told = partial(items, epoch) if items else None
            with arithmetic(schedule.precision):
                train_loss = _train_epoch(run, data, loss, schedule.precision, place, told)
            row = {"epoch": epoch, "train_loss": train_loss, **_assess(run, data, loss, scores, place)}
            run.finish_epoch(row | {"seconds": time.perf_counter() - began})
            is_last = len(run.history) == schedule.epochs
            if is_last or time.monotonic() - kept_s >= schedule.checkpoint_s:
                tensors, meta = run.snapshot()
                save_checkpoint(folder, tensors, meta | {"identity": identity})
                kept_s = time.monotonic()
            if progress:
                progress(epoch, schedule.epochs, run.history[-1])
    return TrainingResult(run.history, run.best_epoch, run.best_state)


def predict(
    model: nn.Module, batches: Iterable[Batch], device: torch.device
) -> tuple[Tensor, Tensor, list[str]]:
    """Outputs ``(n, ...)``, targets ``(n, ...)`` and names of all batches, in evaluation mode, on the CPU."""
    outputs: list[Tensor] = []
    targets: list[Tensor] = []
    names: list[str] = []
    was_training = model.training
    model.eval()
    with torch.inference_mode(), arithmetic("float32"):
        for batch in batches:
            moved = batch.to(device)
            outputs.append(model(*moved.inputs).float())
            targets.append(batch.targets)
            names += batch.names
    model.train(was_training)
    if not outputs:
        raise AvemoError("expected items to assess, found none; check the split column of the table")
    return torch.cat(outputs).cpu(), torch.cat(targets), names


def _start_or_resume(
    model: nn.Module, schedule: Schedule, identity: str, folder: Path, device: torch.device
) -> Resumable:
    trained = [weights for weights in model.to(device).parameters() if weights.requires_grad]
    seed_global(schedule.seed, PURPOSE)
    run = Resumable(
        model=model,
        optimizer=torch.optim.Adam(trained, lr=schedule.lr),
        generators=Generators.of(schedule.seed, PURPOSE, device),
        device=device,
    )
    resume(run, identity, folder)
    return run


def _identity(model: nn.Module, schedule: Schedule, run_id: str, device: torch.device) -> str:
    """A digest of all that a checkpoint must agree with to be resumed."""
    weights = {name: list(value.shape) for name, value in model.state_dict().items()}
    tuned = [name for name, value in model.named_parameters() if value.requires_grad]
    return digest([run_id, schedule.numbers(), weights, tuned, device.type])


def _train_epoch(
    run: Resumable,
    data: TrainDev,
    loss: Loss,
    precision: Precision,
    place: str,
    items: Callable[[int, int], None] | None,
) -> float:
    """One pass over the train side; returns the mean loss of an item."""
    run.model.train()
    watch = Watch("items", "look at these, or lower the learning rate")
    total: float | Tensor = 0.0
    count = 0
    for number, batch in enumerate(data.train(run.generators.shuffle), start=1):
        moved = batch.to(run.device)
        run.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(run.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = run.model(*moved.inputs)
        value = loss(outputs.float(), moved.targets)
        watch.require_finite(value, "loss", batch.names, f"{place}, batch {number}")
        value.backward()
        run.optimizer.step()
        total, count = total + told(value) * len(batch.names), count + len(batch.names)
        if items:
            items(count, data.n_train)
    if not count:
        raise AvemoError(f"{place}: expected items to train on, found none; check the table's split column")
    watch.look()
    return float(total) / count


def _assess(run: Resumable, data: TrainDev, loss: Loss, scores: Scores, place: str) -> dict[str, float]:
    outputs, targets, _ = predict(run.model, data.dev(), run.device)
    value = float(loss(outputs, targets))
    if not math.isfinite(value):
        raise AvemoError(f"{place}: expected a finite dev loss, found {value}; lower the learning rate")
    return {"dev_loss": value, **{f"dev_{name}": score for name, score in scores(outputs, targets).items()}}
