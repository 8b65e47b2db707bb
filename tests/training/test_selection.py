"""The dev loss: what it is made of, which epoch it keeps, when it lowers the rate or ends the run."""

from __future__ import annotations

import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.training.loop import train
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import build_seeded
from same_run import Killed, same_bytes
from training_standins import SHORT, TinySystem, ToyData, ToySplit, fresh, run_tiny


class Scripted(TinySystem):
    """Answers dev with chosen losses: a bias b on the right class gives CE = log(1 + 2 e^-b)."""

    def __init__(self, losses, epoch=0):
        super().__init__()
        self.losses, self.epoch = losses, epoch

    def forward(self, batch, generator=None):
        outputs = super().forward(batch, generator)
        if not self.training:
            wanted = torch.tensor(self.losses[self.epoch])
            self.epoch += 1
            margin = torch.log(2 / (wanted.exp() - 1))
            outputs.prediction = margin * torch.nn.functional.one_hot(batch.targets, 3)
        return outputs


def scripted(folder, losses, *, start=0, progress=None, **changes):
    given = {"batch_size": 30, "device": "cpu", "checkpoint_s": 0}
    config = TrainingConfig(epochs=len(losses), **given | changes)
    model = build_seeded(lambda: Scripted(losses, start), 0, "split00")
    run = fresh(model, config)
    return train(run, ToyData(), ToySplit(), run_id="scripted", folder=folder, progress=progress)


def test_rate_falls_every_few_epochs_or_never(tmp_path):
    rates = {}
    for schedule in ("step", "none"):
        config = SHORT.model_copy(update={"schedule": schedule, "step_epochs": 2})
        rates[schedule] = [row["lr"] for row in run_tiny(tmp_path / schedule, config)[1].history]
    assert rates["step"] == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005])
    assert rates["none"] == [0.05] * 5


def test_rate_falls_after_the_sixth_bad_epoch(tmp_path):
    result = scripted(tmp_path, [1.0] + [2.0] * 7)
    rates = [row["lr"] for row in result.history]
    assert rates == pytest.approx([7.25e-4] * 7 + [7.25e-5])
    assert result.best_epoch == 1


@pytest.mark.parametrize(("threshold", "falls"), [(1e-4, True), (0.0, False)])
def test_a_loss_that_falls_by_less_than_the_threshold_is_a_plateau(tmp_path, threshold, falls):
    """PyTorch's default threshold is 1e-4 of the lowest loss; these losses fall by 3e-5 of it in each epoch."""
    losses = [1.0 - 3e-5 * epoch for epoch in range(4)]
    result = scripted(tmp_path, losses, plateau_patience=1, plateau_threshold=threshold)
    assert (result.history[-1]["lr"] < result.history[0]["lr"]) == falls
    assert result.best_epoch == 4


def test_resumption_remembers_the_bad_epochs(tmp_path):
    losses = [1.0] + [2.0] * 7

    def stop(epoch, epochs, row):
        if epoch == 4:
            raise Killed

    with pytest.raises(Killed):
        scripted(tmp_path, losses, progress=stop)
    result = scripted(tmp_path, losses, start=4)
    assert [row["lr"] for row in result.history] == pytest.approx([7.25e-4] * 7 + [7.25e-5])


def test_best_state_is_that_of_the_lowest_dev_loss(whole):
    _, result = whole[0]
    losses = [row["dev_loss"] for row in result.history]
    assert result.best_epoch == losses.index(min(losses)) + 1
    # The kept weights, run again, give the recorded loss.
    model = TinySystem()
    model.load_state_dict(result.best_state)
    model.eval()
    batch = ToyData().batch(list(ToySplit().dev))
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(batch).prediction, batch.targets).item()
    assert loss == pytest.approx(min(losses), rel=1e-6)


def test_best_state_does_not_follow_later_updates(tmp_path):
    longer = scripted(tmp_path / "longer", [1.0, 2.0, 2.0]).best_state
    shorter = scripted(tmp_path / "shorter", [1.0]).best_state
    assert same_bytes(longer, shorter)


def test_early_stopping_counts_epochs_without_a_lower_loss(tmp_path):
    result = scripted(tmp_path, [1.0, 1.2, 0.9, 0.95, 0.91, 0.5], patience=2)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5]
    assert result.best_epoch == 3
    assert [row["dev_loss"] for row in result.history] == pytest.approx([1.0, 1.2, 0.9, 0.95, 0.91], rel=1e-4)


def test_dev_loss_of_heads_is_their_mean(tmp_path):
    config = TrainingConfig(epochs=1, batch_size=5, device="cpu", dev_loss="heads")
    model, result = run_tiny(tmp_path, config)
    model.eval()
    batch = ToyData().batch(list(ToySplit().dev))
    with torch.no_grad():
        logits = model(batch).logits.values()
        expected = sum(torch.nn.functional.cross_entropy(x, batch.targets).item() for x in logits) / 2
    assert result.history[0]["dev_loss"] == pytest.approx(expected, rel=1e-6)


class Surer(TinySystem):
    """Dev clips in its first epoch: all right by a hair. Later: all but the first by a wide margin."""

    epoch = 0

    def forward(self, batch, generator=None):
        outputs = super().forward(batch, generator)
        if not self.training:
            said, margin = batch.targets.clone(), 5.0 if self.epoch else 0.1
            said[0] = (said[0] + bool(self.epoch)) % 3
            outputs.prediction = margin * torch.nn.functional.one_hot(said, 3).float()
            self.epoch += 1
        return outputs


@pytest.mark.parametrize(("dev_loss", "best"), [("prediction", 2), ("score", 1)])
def test_the_kept_epoch_has_the_lowest_loss_or_the_highest_score(tmp_path, dev_loss, best):
    """The second epoch's cross-entropy is lower, and one of its clips is wrong."""
    config = TrainingConfig(epochs=2, batch_size=100, device="cpu", dev_loss=dev_loss)
    run = fresh(build_seeded(Surer, 0, "split00"), config)
    result = train(run, ToyData(), ToySplit(), run_id="surer", folder=tmp_path)
    assert result.best_epoch == best
    scores = [row["dev_macro_f1"] for row in result.history]
    assert scores[0] == 1.0 > scores[1]
    if dev_loss == "score":
        assert [row["dev_loss"] for row in result.history] == [1 - score for score in scores]


def test_a_dev_loss_of_each_input_is_their_mean(tmp_path):
    """With both modalities, with sound alone, with faces alone; the scores stay those of both."""
    config = TrainingConfig(epochs=1, batch_size=100, device="cpu")
    model, result = run_tiny(tmp_path / "each", config.model_copy(update={"dev_inputs": "each"}))
    batch = ToyData().batch(list(ToySplit().dev))
    with torch.no_grad():
        losses = [
            torch.nn.functional.cross_entropy(model.eval()(seen).prediction, batch.targets).item()
            for seen in (batch, batch.without("visual"), batch.without("audio"))
        ]
    assert result.history[0]["dev_loss"] == pytest.approx(sum(losses) / 3, rel=1e-6)
    _, both = run_tiny(tmp_path / "both", config)
    assert both.history[0]["dev_loss"] == pytest.approx(losses[0], rel=1e-6)
    assert both.history[0]["dev_macro_f1"] == result.history[0]["dev_macro_f1"]


def test_noisy_dev_drops_modalities_of_dev_batches(tmp_path):
    """With certain loss of one modality or the other, the dev loss is that of one of the two."""
    config = TrainingConfig(epochs=1, batch_size=100, device="cpu", modality_drop=0.5, noisy_dev=True)
    model, result = run_tiny(tmp_path, config)
    batch = ToyData().batch(list(ToySplit().dev))
    with torch.no_grad():
        possible = [
            torch.nn.functional.cross_entropy(model.eval()(seen).prediction, batch.targets).item()
            for seen in (batch.without("audio"), batch.without("visual"), batch)
        ]
    found = result.history[0]["dev_loss"]
    assert min(abs(found - loss) for loss in possible[:2]) < 1e-6
    assert abs(found - possible[2]) > 1e-4


class AlwaysReconstructing(TinySystem):
    """Has a loss of its own in evaluation, as VAVL has."""

    def forward(self, batch, generator=None):
        outputs = super().forward(batch, generator)
        if not self.training:
            outputs.losses["reconstruction"] = torch.tensor(0.25)
        return outputs


def test_own_losses_select_no_epoch_unless_asked(tmp_path):
    found = {
        system: run_tiny(tmp_path / system.__name__, system=system)[1].history[0]["dev_loss"]
        for system in (TinySystem, AlwaysReconstructing)
    }
    assert found[TinySystem] == found[AlwaysReconstructing]


class Reconstructing(TinySystem):
    """Has a loss of its own in evaluation, if it is given noise: 0.25."""

    def forward(self, batch, generator=None):
        outputs = super().forward(batch, generator)
        if not self.training and generator is not None:
            outputs.losses["reconstruction"] = torch.tensor(0.25)
        return outputs


@pytest.mark.parametrize(("dev_loss", "more"), [("heads", 0.0), ("total", 0.25)])
def test_dev_loss_in_total(tmp_path, dev_loss, more):
    config = TrainingConfig(epochs=1, batch_size=5, device="cpu", dev_loss=dev_loss)
    model = build_seeded(Reconstructing, 0, "split00")
    result = train(fresh(model, config), ToyData(), ToySplit(), run_id="tiny", folder=tmp_path)
    batch = ToyData().batch(list(ToySplit().dev))
    with torch.no_grad():
        logits = model.eval()(batch).logits.values()
        heads = sum(torch.nn.functional.cross_entropy(x, batch.targets).item() for x in logits) / 2
    assert result.history[0]["dev_loss"] == pytest.approx(heads + more, rel=1e-6)


def test_dev_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(
        AvemoError, match=r"tiny, split split00, epoch 1: expected a finite dev loss, found nan"
    ):
        run_tiny(tmp_path, data=ToyData(poison="clip31"))
