"""Training on a device that should not be waited for: nothing is read back at a step, and no bad loss is missed."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.overrides import TorchFunctionMode

from avemo.base import devices
from avemo.base.contracts import AvemoError
from avemo.dataset.batch import Batch
from avemo.models.attention import require_frames
from avemo.training import watch
from avemo.training.loop import train_epoch
from avemo.training.recipe import TrainingConfig
from training_standins import TinySystem, Towers, ToyData, ToySplit, fresh

READS = {"item", "__float__", "__bool__", "__int__", "tolist", "nonzero", "cpu", "numpy"}
TRAIN = ToySplit.train


class Reads(TorchFunctionMode):
    """Counts what a GPU would be waited for."""

    def __init__(self):
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        self.counts[name] += name in READS
        return function(*args, **(kwargs or {}))


def epoch(batch_size: int, data: ToyData | None = None, system=TinySystem, **config):
    """Losses of an epoch from one start, and how often something was read back."""
    torch.manual_seed(0)
    run = fresh(system(), TrainingConfig(batch_size=batch_size, device="cpu", **config))
    with Reads() as reads:
        losses = train_epoch(run, data or ToyData(), TRAIN, "here")
    return losses, sum(reads.counts.values())


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Batches as they come: what a training drops is drawn and looked at on the CPU, wherever it trains."""
    monkeypatch.setattr("avemo.training.loop.train_batch", lambda run, batch: batch)


@pytest.fixture
def elsewhere(monkeypatch):
    """A CPU that is treated as a GPU."""
    monkeypatch.setattr(devices, "AT_ONCE", ())


def test_nothing_is_read_back_at_a_step(elsewhere):
    few, many = (epoch(size)[1] for size in (len(TRAIN), 2))
    assert many == few, "15 steps read as often as one"


def test_a_cpu_looks_before_each_update():
    few, many = (epoch(size)[1] for size in (len(TRAIN), 2))
    assert many > few


@pytest.mark.parametrize(
    ("system", "procedure"), [(TinySystem, "joint"), (Towers, "alternating"), (Towers, "sampled")]
)
def test_losses_are_the_same_bits_whenever_they_are_read(monkeypatch, system, procedure):
    at_once, _ = epoch(8, system=system, procedure=procedure)
    monkeypatch.setattr(devices, "AT_ONCE", ())
    assert epoch(8, system=system, procedure=procedure)[0] == at_once


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_a_bad_loss_ends_the_epoch_and_its_own_batch_is_named(elsewhere, monkeypatch, every):
    monkeypatch.setattr(watch, "LOOK_EVERY", every)
    with pytest.raises(
        AvemoError, match=r"here, batch \d+: expected a finite loss, found nan; clips: .*clip7\b"
    ):
        epoch(4, ToyData(poison="clip7"))


def test_batches_known_to_be_whole_are_not_looked_at():
    x, mask = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    batch = Batch(x, x, mask, mask, torch.tensor([0, 1]), whole=True)
    for seen in (batch, batch.without("audio"), batch.to("cpu"), batch.select(torch.tensor([True, False]))):
        with Reads() as reads:
            require_frames(seen)
        assert not sum(reads.counts.values())
    with Reads() as reads:
        require_frames(Batch(x, x, mask, mask, torch.tensor([0, 1])))
    assert sum(reads.counts.values())
