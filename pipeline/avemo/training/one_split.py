"""One system trained on one split: from its checked settings to what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avemo.base.contracts import ConfigError, digest
from avemo.base.devices import choose_device
from avemo.dataset.labels import Labels
from avemo.dataset.loading import ClipData
from avemo.dataset.splits import Split
from avemo.models import build_model
from avemo.training.inference import Data
from avemo.training.loop import Listener, TrainingResult, train
from avemo.training.recipe import TrainSpec
from avemo.training.record import run_record
from avemo.training.seeding import build_seeded, stream_of
from avemo.training.shares import train_share
from avemo.training.skew import Skew
from avemo.training.state import RunState
from avemo.training.witness import Witness, account_of


@dataclass(frozen=True)
class Job:
    """What the trainings of one system have in common.

    ``spec`` is all they depend on beside the data; its ``training`` has the job's own speed settings.
    ``inputs`` are the fingerprints of the features by modality, ``weights`` what the networks behind them hold;
    ``places`` say where weights to start from lie.
    """

    run: str
    system: str
    spec: TrainSpec
    known: Labels
    inputs: dict[str, str]
    places: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A training's result, the ``meta`` by which the system is built again, and the record of what made it."""

    result: TrainingResult
    meta: dict[str, Any]
    record: dict[str, Any]


def train_on(job: Job, data: ClipData, split: Split, read: Data, resume: Path, progress: Listener) -> Trained:
    """Train a fresh system, or go on from the checkpoint in ``resume``.

    ``read`` gives the batches: ``data``, or what looks on. Raises `AvemoError` as `train` does.
    """
    started, spec, config, task = time.time(), job.spec, job.spec.training, job.known.task
    if spec.config.get("average") == "probabilities" and task.kind != "classes":
        raise ConfigError(
            f"systems.{job.system}.config.average: expected 'logits' with {task.kind}, whose outputs are no "
            "probabilities of classes, found 'probabilities'; leave it out"
        )
    train_ids, left_train = data.usable(train_share(split, config.train_share))
    dev_ids, left_dev = data.usable(split.dev)
    dims = {"audio_dim": data.audio_dim, "visual_dim": data.visual_dim, "outputs": len(task.names)}
    stream = stream_of(split.name, job.system, config.common_random_numbers)
    settings = {**dims, **spec.config, **job.places}
    model = build_seeded(lambda: build_model(spec.model, **settings), config.seed, stream)
    model.initialise()
    sides, seen = Split(split.name, tuple(train_ids), tuple(dev_ids), ()), Witness(read)
    part = spec.model_dump(mode="json")
    run_id = f"{job.system}-{digest([part, job.inputs, job.known.targets])}"
    device = choose_device(config.device, "training.device")
    skew = Skew.of(task, config, {clip: job.known.targets[clip] for clip in train_ids})
    run = RunState.fresh(model, task, config, stream, device, skew)
    result = train(run, seen, sides, run_id=run_id, folder=resume, progress=progress)
    place = {"run": job.run, "system": job.system, "split": split.name, "best_epoch": result.best_epoch}
    meta = place | {"model": spec.model, "config": spec.config}
    meta |= {"dims": dims, "task": task.kind, "outputs": list(task.names)}
    meta |= {"normalisers": {key: each.to_dict() for key, each in data.normalisers.items()}}
    meta |= {"inputs": job.inputs, "weights": dict(job.weights), "batch_size": config.batch_size}
    record = place | run_record(part, seed=config.seed, inputs=job.inputs, started=started)
    record |= {"parameters": sum(weights.numel() for weights in model.parameters())}
    account = seen.account()
    if skew.chances is not None and seen.read["train"] <= set(train_ids):
        # Draws with replacement leave clips out by chance.
        account["train"]["drawn_from"] = account_of(train_ids)
    record |= {"left_out": left_train | left_dev, "read": account}
    return Trained(result, meta, record)
