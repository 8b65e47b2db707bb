"""The shared fine-tuning loop on a toy corpus, against plain PyTorch."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.overrides import TorchFunctionMode

from avemo.base import devices
from avemo.base.contracts import AvemoError
from avemo.finetuning import loop
from avemo.finetuning.loop import Batch, Schedule, predict, tune
from avemo.training.loop import TrainingResult

SCHEDULE = Schedule(epochs=4, batch_size=8, lr=0.01, device="cpu", checkpoint_s=0)


class Toy:
    """40 train and 16 dev points of two classes; may raise at a given epoch, as a kill would."""

    n_train = 40

    def __init__(self, die_in_epoch: int | None = None):
        generator = torch.Generator().manual_seed(5)
        self.x = torch.randn(56, 6, generator=generator)
        self.y = (self.x[:, 0] + 0.8 * torch.randn(56, generator=generator) > 0).long()
        self.die_in_epoch, self.epoch = die_in_epoch, 0

    def _batches(self, order: list[int]):
        for start in range(0, len(order), 8):
            rows = order[start : start + 8]
            yield Batch((self.x[rows],), self.y[rows], tuple(f"item{row}" for row in rows))

    def train(self, generator: torch.Generator):
        self.epoch += 1
        for number, batch in enumerate(self._batches(torch.randperm(40, generator=generator).tolist())):
            if self.epoch == self.die_in_epoch and number == 2:
                raise KeyboardInterrupt
            yield batch

    def dev(self):
        return self._batches(list(range(40, 56)))


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))


def accuracy(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    return {"accuracy": float((outputs.argmax(-1) == targets).float().mean())}


def run(folder: Path, data: Toy | None = None, schedule: Schedule = SCHEDULE, **kwargs) -> TrainingResult:
    model = kwargs.pop("model", None) or network()
    data = data or Toy()
    return tune(model, data, schedule, cross_entropy, accuracy, run_id="toy", folder=folder, **kwargs)


def test_the_first_update_is_adams(tmp_path):
    """Adam's first step moves every weight by lr against its gradient's sign (Kingma and Ba, 2015, eq. 1)."""

    class One(Toy):
        def train(self, generator):
            yield Batch((self.x[:40],), self.y[:40], ("all",))

    model = nn.Linear(6, 2)
    before = model.weight.detach().clone()
    cross_entropy(model(One().x[:40]), One().y[:40]).backward()
    sign = model.weight.grad.sign()
    run(tmp_path, One(), SCHEDULE.model_copy(update={"epochs": 1}), model=model)
    torch.testing.assert_close(model.weight.detach(), before - 0.01 * sign, atol=1e-5, rtol=0)


def test_it_learns_and_keeps_the_epoch_of_lowest_dev_loss(tmp_path):
    schedule = SCHEDULE.model_copy(update={"epochs": 30, "lr": 0.1})
    tuned = run(tmp_path, schedule=schedule)
    losses = [row["dev_loss"] for row in tuned.history]
    assert losses[tuned.best_epoch - 1] == min(losses) < losses[0]
    assert tuned.best_epoch < 30, "it overfits, so the best is not the last"
    model = network()
    model.load_state_dict(tuned.best_state)
    outputs, targets, names = predict(model, Toy().dev(), torch.device("cpu"))
    assert float(cross_entropy(outputs, targets)) == pytest.approx(min(losses), rel=1e-6)
    assert names == [f"item{n}" for n in range(40, 56)]


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, epoch):
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Toy(die_in_epoch=epoch))
    data = Toy()
    resumed = run(tmp_path / "killed", data)
    assert data.epoch == 4 - (epoch - 1), "finished epochs are not trained again"
    assert resumed.best_epoch == whole.best_epoch
    assert all(torch.equal(resumed.best_state[name], value) for name, value in whole.best_state.items())
    kept = [[{k: v for k, v in row.items() if k != "seconds"} for row in r.history] for r in (whole, resumed)]
    assert kept[0] == kept[1]


def test_checkpoints_are_as_far_apart_as_asked_and_the_last_epoch_is_always_kept(tmp_path, monkeypatch):
    clock, saved = iter(range(0, 1000, 12)), []
    timers = SimpleNamespace(monotonic=lambda: next(clock), perf_counter=time.perf_counter)
    monkeypatch.setattr(loop, "time", timers)
    whole = loop.save_checkpoint

    def save(folder, tensors, meta):
        saved.append(len(meta["history"]))
        whole(folder, tensors, meta)

    monkeypatch.setattr(loop, "save_checkpoint", save)
    run(tmp_path, schedule=Schedule(epochs=8, batch_size=8, lr=0.01, device="cpu"))
    # The clock is asked once an epoch but the last, and once more after a checkpoint.
    assert saved == [1, 4, 7, 8]


def test_a_step_reads_nothing_where_that_would_be_waited_for(tmp_path, monkeypatch):
    """No more reads in many steps than in one, and the same bits."""

    class Reads(TorchFunctionMode):
        count = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.count += getattr(function, "__name__", "") in ("item", "__float__", "__bool__", "tolist")
            return function(*args, **(kwargs or {}))

    class Split(Toy):
        def train(self, generator):
            for batch in super().train(generator):
                for row in range(len(batch.names)):
                    yield Batch(
                        (batch.inputs[0][row : row + 1],), batch.targets[row : row + 1], batch.names[:1]
                    )

    def counted(data):
        with Reads() as reads:
            tuned = run(tmp_path / data.__class__.__name__ / str(devices.AT_ONCE), data)
        return reads.count, [row["train_loss"] for row in tuned.history]

    # Unfused, it reads its own count of steps, which lies on the CPU.
    monkeypatch.setattr(torch.optim, "Adam", partial(torch.optim.Adam, fused=True))
    at_once = [counted(data()) for data in (Toy, Split)]
    monkeypatch.setattr(devices, "AT_ONCE", ())
    later = [counted(data()) for data in (Toy, Split)]
    assert later[0][0] == later[1][0] < at_once[0][0] < at_once[1][0]
    assert [losses for _, losses in later] == [losses for _, losses in at_once]


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"seed": 1}, {"epochs": 5}])
def test_a_checkpoint_of_another_setting_is_not_resumed(tmp_path, change):
    run(tmp_path)
    data = Toy()
    schedule = SCHEDULE.model_copy(update=change)
    run(tmp_path, data, schedule)
    assert data.epoch == schedule.epochs


def test_frozen_weights_stay(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    tuned = run(tmp_path, model=model)
    assert torch.equal(tuned.best_state["0.weight"], before)
    assert not torch.equal(tuned.best_state["3.weight"], network()[3].weight)


def test_a_loss_that_is_not_finite_names_the_items(tmp_path):
    data = Toy()
    data.x[7] = float("nan")
    with pytest.raises(
        AvemoError, match=r"toy, epoch 1, batch \d: expected a finite loss, found nan; .*item7"
    ):
        run(tmp_path, data)


def test_progress_is_told_by_epoch_and_by_item(tmp_path):
    epochs, items = [], []
    run(
        tmp_path,
        progress=lambda epoch, of, row: epochs.append((epoch, of, sorted(row))),
        items=lambda *told: items.append(told),
    )
    columns = ["dev_accuracy", "dev_loss", "epoch", "seconds", "train_loss"]
    assert epochs == [(n, 4, columns) for n in range(1, 5)]
    assert items[:6] == [(1, 8, 40), (1, 16, 40), (1, 24, 40), (1, 32, 40), (1, 40, 40), (2, 8, 40)]
