"""The loop: selection, schedule, and resumption to the byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.base.devices import choose_device
from avemo.dataset.normalise import Normalise
from avemo.dataset.tasks import Attributes
from avemo.models.base import Outputs
from avemo.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from avemo.training.loop import train
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import build_seeded
from same_run import Killed, assert_same_run, flat_checkpoint, same_bytes
from training_standins import CLASSES, SHORT, TinySystem, Towers, ToyData, ToySplit, fresh, run_tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run_tiny(folder), folder


def test_checkpoint_holds_optimizer_scheduler_and_every_generator(whole):
    tensors, meta = flat_checkpoint(whole[1])
    assert {f"rng/{name}" for name in ("shuffle", "drop", "noise", "global")} <= tensors.keys()
    assert "optimizer/0/exp_avg_sq" in tensors
    assert tensors["optimizer/0/step"].item() == SHORT.epochs * 4
    assert "model/trunk.1.running_var" in tensors
    assert meta["scheduler"]["last_epoch"] == SHORT.epochs


@pytest.mark.parametrize("last", [1, 2, 4, 5])
def test_run_stopped_after_an_epoch_goes_on_to_the_same_bytes(whole, tmp_path, last):
    def stop(epoch, epochs, row):
        if epoch == last:
            raise Killed

    with pytest.raises(Killed):
        run_tiny(tmp_path, progress=stop)
    torch.rand(7)  # the caller's use of the global RNG must not matter
    resumed_epochs = []
    resumed = run_tiny(tmp_path, progress=lambda epoch, epochs, row: resumed_epochs.append(epoch))
    assert resumed_epochs == list(range(last + 1, SHORT.epochs + 1))
    assert_same_run(*whole, resumed, tmp_path)


def test_run_killed_inside_an_epoch_goes_on_to_the_same_bytes(whole, tmp_path):
    """A child process dies by SIGKILL in the third epoch's third batch."""
    root = Path(__file__).resolve().parents[2]
    child = subprocess.run(
        [sys.executable, str(root / "tests" / "helpers" / "training_standins.py"), str(tmp_path), "14"],
        capture_output=True,
        text=True,
    )
    assert child.returncode == -9, child.stderr
    assert len(load_checkpoint(tmp_path)[1]["history"]) == 2
    assert_same_run(*whole, run_tiny(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"procedure": "alternating", "betas": (0.95, 0.999), "clip_norm": None, "schedule": "none"},
        {
            "procedure": "alternating",
            "visual_first": True,
            "optimizer": "adamw",
            "schedule": "step",
            "step_epochs": 2,
        },
        {"procedure": "sampled", "optimizer": "radam"},
        {"procedure": "sampled", "sampling": "clip", "weight_decay": 1e-3},
    ],
)
def test_each_procedure_goes_on_to_the_same_bytes(tmp_path, change):
    config = SHORT.model_copy(update=change)

    def stop(epoch, epochs, row):
        if epoch == 3:
            raise Killed

    uninterrupted = run_tiny(tmp_path / "whole", config, system=Towers)
    with pytest.raises(Killed):
        run_tiny(tmp_path / "killed", config, system=Towers, progress=stop)
    resumed = run_tiny(tmp_path / "killed", config, system=Towers)
    assert_same_run(*(uninterrupted, tmp_path / "whole"), *(resumed, tmp_path / "killed"))
    assert not same_bytes(uninterrupted[0].state_dict(), build_seeded(Towers, 0, "split00").state_dict())


def test_rate_falls_every_few_epochs_or_never(tmp_path):
    rates = {}
    for schedule in ("step", "none"):
        config = SHORT.model_copy(update={"schedule": schedule, "step_epochs": 2})
        rates[schedule] = [row["lr"] for row in run_tiny(tmp_path / schedule, config)[1].history]
    assert rates["step"] == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005])
    assert rates["none"] == [0.05] * 5


def test_crash_while_saving_leaves_the_last_checkpoint_whole(whole, tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def fail_third(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError("no space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_third)
        with pytest.raises(OSError, match="no space"):
            run_tiny(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert len(load_checkpoint(tmp_path)[1]["history"]) == 2
    assert_same_run(*whole, run_tiny(tmp_path), tmp_path)


def test_finished_run_is_not_trained_again(whole):
    data = ToyData()
    again = run_tiny(whole[1], data=data)
    assert data.served == 0
    assert_same_run(*whole, again, whole[1])


@pytest.mark.parametrize("change", [{"seed": 1}, {"lr": 0.04}, {"epochs": 6}])
def test_checkpoint_of_another_setting_is_not_resumed(tmp_path, caplog, change):
    run_tiny(tmp_path, SHORT.model_copy(update={"epochs": 1}))
    epochs = []
    run_tiny(tmp_path, SHORT.model_copy(update=change), progress=lambda epoch, *_: epochs.append(epoch))
    assert epochs[0] == 1
    assert "another run" in caplog.text


def test_device_and_threads_do_not_stop_a_resumption(whole, tmp_path):
    run = SHORT.model_copy(
        update={"device": "auto" if not torch.cuda.is_available() else "cpu", "threads": None}
    )
    data = ToyData()
    save_checkpoint(tmp_path, *load_checkpoint(whole[1]))
    run_tiny(tmp_path, run, data=data)
    assert data.served == 0


def test_another_seed_gives_another_run(whole, tmp_path):
    _, other = run_tiny(tmp_path, SHORT.model_copy(update={"seed": 1}))
    assert not same_bytes(whole[0][1].best_state, other.best_state)


def test_test_clips_are_never_read_and_statistics_are_train_only(tmp_path):
    data, split = ToyData(), ToySplit()
    run_tiny(tmp_path, data=data)
    assert data.read == {*split.train, *split.dev}
    assert data.fitted == list(split.train)


def test_data_hear_how_frames_are_normalised(tmp_path):
    data, wanted = ToyData(), Normalise(audio="clip", visual="none")
    run_tiny(tmp_path, SHORT.model_copy(update={"epochs": 1, "normalise": wanted}), data=data)
    assert data.normalise == wanted


class Attentive(ToyData):
    """Remembers in which order clips came, with their arousal."""

    def __init__(self):
        super().__init__()
        self.order: list[list[str]] = []

    def batch(self, ids):
        self.order.append(ids)
        made = super().batch(ids)
        made.targets = made.targets[:, None].repeat(1, 3) / 2
        return made


def epochs_of(tmp_path, **training):
    """The order of the train clips in two epochs, and the loss of each."""
    config = SHORT.model_copy(update={"epochs": 2, "lr": 1e-9, "modality_drop": 0.0, **training})
    data, split = Attentive(), ToySplit()
    model = build_seeded(Calm, 0, split.name)
    task = Attributes(["arousal", "valence", "dominance"])
    result = train(fresh(model, config, task), data, split, run_id="calm", folder=tmp_path)
    return data.order, result.history


class Calm(TinySystem):
    """Answers with what the clip's sound shows, whatever its weights."""

    def forward(self, batch, generator=None):
        outputs = super().forward(batch, generator)
        said_B1 = batch.audio_BTD.mean((1, 2))[:, None] / 2
        said = said_B1.expand(-1, CLASSES) + 0 * outputs.prediction
        return Outputs({"av": said}, said)


def test_without_shuffling_every_epoch_has_the_given_order(tmp_path):
    shuffled, _ = epochs_of(tmp_path / "default")
    assert shuffled[:4] != shuffled[6:10]
    kept, _ = epochs_of(tmp_path / "kept", shuffle=False)
    assert kept[:4] == kept[6:10] == [list(ToySplit().train[i : i + 8]) for i in range(0, 30, 8)]


def test_arousal_turned_over_in_every_other_epoch(tmp_path):
    """Sum over three attributes of 1 − CCC: a flipped one counts 1 + CCC instead."""
    _, (first, second) = epochs_of(tmp_path / "default", shuffle=False)
    _, (flipped, back) = epochs_of(tmp_path / "flipped", shuffle=False, inplace_flip=True)
    for loss in ("train_total", "dev_loss"):
        assert first[loss] == pytest.approx(second[loss], abs=1e-4)
        assert back[loss] == pytest.approx(second[loss], abs=1e-4)
        ccc = 1 - first[loss] / 3
        assert ccc > 0.5
        assert flipped[loss] > first[loss] + ccc


def test_flipped_labels_need_attributes(tmp_path):
    with pytest.raises(AvemoError, match="inplace_flip: expected attributes for labels, found classes"):
        run_tiny(tmp_path, SHORT.model_copy(update={"inplace_flip": True}))


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


def test_history_says_what_the_report_reads(whole):
    row = whole[0][1].history[0]
    names = {"epoch", "lr", "train_total", "train_supervised", "train_size", "dev_loss"}
    assert names | {"dev_macro_f1", "dev_micro_f1", "seconds"} == row.keys()
    assert row["train_total"] == pytest.approx(row["train_supervised"] + row["train_size"], rel=1e-5)


def test_system_learns_what_can_be_learnt(tmp_path):
    _, result = run_tiny(tmp_path, TrainingConfig(epochs=15, batch_size=8, lr=0.02, device="cpu"))
    assert result.history[result.best_epoch - 1]["dev_macro_f1"] > 0.9


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
    config = TrainingConfig(epochs=len(losses), batch_size=30, device="cpu", **changes)
    model = build_seeded(lambda: Scripted(losses, start), 0, "split00")
    run = fresh(model, config)
    return train(run, ToyData(), ToySplit(), run_id="scripted", folder=folder, progress=progress)


def test_rate_falls_after_the_sixth_bad_epoch(tmp_path):
    result = scripted(tmp_path, [1.0] + [2.0] * 7)
    rates = [row["lr"] for row in result.history]
    assert rates == pytest.approx([7.25e-4] * 7 + [7.25e-5])
    assert result.best_epoch == 1


def test_resumption_remembers_the_bad_epochs(tmp_path):
    losses = [1.0] + [2.0] * 7

    def stop(epoch, epochs, row):
        if epoch == 4:
            raise Killed

    with pytest.raises(Killed):
        scripted(tmp_path, losses, progress=stop)
    result = scripted(tmp_path, losses, start=4)
    assert [row["lr"] for row in result.history] == pytest.approx([7.25e-4] * 7 + [7.25e-5])


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


def test_empty_sides_are_errors(tmp_path):
    for side in ("train", "dev"):
        split = ToySplit(**{side: ()})
        with pytest.raises(
            AvemoError, match=f"{'clips to train on' if side == 'train' else 'dev clips'}, found none"
        ):
            train(fresh(TinySystem()), ToyData(), split, run_id="tiny", folder=tmp_path)


def test_training_leaves_the_callers_generator_alone(tmp_path):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run_tiny(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_absent_gpu_is_an_error():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(AvemoError, match="expected a GPU"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"
