"""Training one system on one split: epochs, selection on dev, resumption.

The test clips of a split are never read here.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor

from avemo.base.arithmetic import arithmetic
from avemo.base.contracts import AvemoError, digest
from avemo.dataset.batch import Batch
from avemo.training import STEPS
from avemo.training.checkpoint import load_checkpoint, save_checkpoint
from avemo.training.inference import Data, infer
from avemo.training.losses import judged
from avemo.training.seeding import seed_global
from avemo.training.state import Resumable, RunState
from avemo.training.steps import ablate_visual, drop_modality, unpair
from avemo.training.watch import Diverged, told

log = logging.getLogger(__name__)

Listener = Callable[[int, int, dict[str, Any]], None]
"""Called after each epoch with its number, the number of epochs and its row of the history."""


class TrainDev(Protocol):
    """What training may know of a split: no test side."""

    @property
    def name(self) -> str: ...
    @property
    def train(self) -> Sequence[str]: ...
    @property
    def dev(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class TrainingResult:
    """``history``: a row an epoch. ``best_state``: weights of ``best_epoch`` (from 1), on the CPU."""

    history: list[dict[str, Any]]
    best_epoch: int
    best_state: dict[str, Tensor]


def train(
    run: RunState,
    data: Data,
    split: TrainDev,
    *,
    run_id: str,
    folder: Path,
    progress: Listener | None = None,
) -> TrainingResult:
    """Train a fresh ``run`` to its end; keep the epoch with the lowest dev loss.

    After an epoch ``folder`` holds a checkpoint, which is at most ``checkpoint_s`` old. Called again with the same
    arguments after a kill, the run goes on from there and ends with the same
    bytes; a checkpoint of another run is replaced. Raises `Diverged` if a
    loss is not finite.
    """
    config, device = run.config, run.device
    if config.threads:
        torch.set_num_threads(config.threads)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        data.fit(split.train, config.normalise)
        seed_global(config.seed, run.stream)
        identity = run_identity(run, split, run_id)
        resume(run, identity, folder)
        kept_s = -math.inf
        while not finished(run):
            started = time.perf_counter()
            epoch, lr = len(run.history) + 1, run.lr
            place = f"{run_id}, split {split.name}, epoch {epoch}"
            with arithmetic(config.precision):
                losses = train_epoch(run, data, split.train, place)
            dev = assess(run, data, split.dev, place)
            row = {"epoch": epoch, "lr": lr, **losses, **dev, "seconds": time.perf_counter() - started}
            run.finish_epoch(row)
            if finished(run) or time.monotonic() - kept_s >= config.checkpoint_s:
                tensors, meta = run.snapshot()
                save_checkpoint(folder, tensors, {**meta, "identity": identity})
                kept_s = time.monotonic()
            if progress:
                progress(epoch, config.epochs, row)
    return TrainingResult(run.history, run.best_epoch, run.best_state)


def train_epoch(run: RunState, data: Data, clip_ids: Sequence[str], place: str) -> dict[str, float]:
    """One pass in random order; each loss term's mean over the clips of the batches that have it."""
    config, step = run.config, STEPS.load(run.config.procedure)
    run.model.train()
    sums: dict[str, float | Tensor] = {}
    clips: dict[str, int] = {}
    bucketing = config.bucketing if config.shuffle else 0
    clips_drawn = run.skew.drawn(clip_ids, run.generators.shuffle)
    batches = data.batches(clips_drawn, config.batch_size, run.generators.shuffle, bucketing)
    for number, batch in enumerate(batches, start=1):
        seen = train_batch(run, batch).to(run.device)
        for name, value in step(run, seen, f"{place}, batch {number}").items():
            sums[name] = sums.get(name, 0.0) + len(batch) * value
            clips[name] = clips.get(name, 0) + len(batch)
    if not sums:
        raise AvemoError(f"{place}: expected clips to train on, found none; check the split and the features")
    run.watch.look()
    return {f"train_{name}": float(value) / clips[name] for name, value in sums.items()}


def assess(run: RunState, data: Data, clip_ids: Sequence[str], place: str) -> dict[str, float]:
    """Dev loss over all clips, as `TrainingConfig.dev_loss` and ``dev_inputs`` say, and the task's headline."""
    each = run.config.dev_inputs == "each" and len(run.model.modalities) == 2
    inputs = (None, "visual", "audio") if each else (None,)
    found = [_judged_on(run, data, clip_ids, place, without) for without in inputs]
    loss = sum(one["dev_loss"] for one in found) / len(found)
    return found[0] | {"dev_loss": loss}


def _judged_on(
    run: RunState, data: Data, clip_ids: Sequence[str], place: str, without: str | None
) -> dict[str, float]:
    """Loss and headline of all clips ``without`` a modality."""
    config = run.config
    own_losses: float | Tensor = 0.0
    targets, predictions = [], []
    logits: dict[str, list[Tensor]] = {}
    for batch, outputs in infer(
        run.model,
        data,
        clip_ids,
        batch_size=config.batch_size,
        device=run.device,
        without=without,
        change=partial(dev_batch, run),
        noise=run.generators.noise if config.dev_loss == "total" else None,
    ):
        if config.dev_loss == "total":
            own_losses += len(batch) * told(sum(outputs.losses.values(), torch.zeros(())))
        targets.append(batch.targets)
        predictions.append(outputs.prediction)
        for head, found in judged(outputs, config.dev_loss).items():
            logits.setdefault(head, []).append(found)
    if not targets:
        raise AvemoError(f"{place}: expected dev clips, found none; check the split and the features")
    loss = sum(run.criterion.set_loss(each, targets) for each in logits.values()) / len(logits)
    loss += float(own_losses) / sum(map(len, targets))
    if not math.isfinite(loss):
        raise Diverged(f"{place}: expected a finite dev loss, found {loss}; lower training.lr")
    table = run.task.table(torch.cat(targets).cpu().numpy(), run.task.readout(torch.cat(predictions)))
    scores = run.task.score(pd.DataFrame(table))
    loss = 1 - scores[run.task.headline[0]] if config.dev_loss == "score" else loss
    return {"dev_loss": loss} | {f"dev_{metric}": scores[metric] for metric in run.task.headline}


def train_batch(run: RunState, batch: Batch) -> Batch:
    """``batch`` as training is to see it."""
    config = run.config
    batch = dropped(run, unpair(labelled(run, batch), config.unpaired, config.seed))
    return ablate_visual(batch, config.ablate_visual_clips, config.ablate_visual_frames, run.generators.drop)


def dev_batch(run: RunState, batch: Batch) -> Batch:
    """``batch`` as the dev loss is to see it."""
    batch = labelled(run, batch)
    return dropped(run, batch) if run.config.noisy_dev else batch


def labelled(run: RunState, batch: Batch) -> Batch:
    """``batch`` with the labels of this epoch: see `TrainingConfig.inplace_flip`."""
    if not run.config.inplace_flip or len(run.history) % 2:
        return batch
    if run.task.kind != "attributes":
        raise AvemoError(
            f"training.inplace_flip: expected attributes for labels, found {run.task.kind}; set it to false"
        )
    first_C = torch.arange(batch.targets.shape[1]) == 0
    return replace(batch, targets=torch.where(first_C, 1 - batch.targets, batch.targets))


def dropped(run: RunState, batch: Batch) -> Batch:
    """``batch`` as `TrainingConfig.modality_drop` leaves it."""
    config = run.config
    return drop_modality(batch, config.modality_drop, run.generators.drop, config.drop_scope)


def finished(run: RunState) -> bool:
    """All epochs are done, or the dev loss has not fallen for ``patience`` of them."""
    config, done = run.config, len(run.history)
    return done >= config.epochs or (config.patience is not None and done - run.best_epoch >= config.patience)


def resume(run: Resumable, identity: str, folder: Path) -> None:
    """Become what the checkpoint in ``folder`` has kept, if it is of this run."""
    found = load_checkpoint(folder)
    if found is None:
        return
    tensors, meta = found
    if meta.get("identity") != identity:
        log.warning("%s: the checkpoint belongs to another run or setting; starting anew", folder)
        return
    run.restore(tensors, meta)
    log.info("%s: going on after epoch %d", folder, len(run.history))


def run_identity(run: RunState, split: TrainDev, run_id: str) -> str:
    """A digest of all that a checkpoint must agree with to be resumed."""
    weights = {name: list(value.shape) for name, value in run.model.state_dict().items()}
    sides = [split.name, list(split.train), list(split.dev)]
    task = [run.task.kind, *run.task.names]
    return digest([run_id, sides, run.config.numbers(), task, weights, run.device.type])
