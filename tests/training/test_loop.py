"""The loop as a whole: it learns, tells its history, and disturbs nobody."""

from __future__ import annotations

import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.base.devices import choose_device
from avemo.dataset.batch import Batch
from avemo.training.recipe import TrainingConfig
from same_run import same_bytes
from training_standins import SHORT, TinySystem, run_tiny


def test_another_seed_gives_another_run(whole, tmp_path):
    _, other = run_tiny(tmp_path, SHORT.model_copy(update={"seed": 1}))
    assert not same_bytes(whole[0][1].best_state, other.best_state)


def test_history_says_what_the_report_reads(whole):
    row = whole[0][1].history[0]
    names = {"epoch", "lr", "train_total", "train_supervised", "train_size", "dev_loss"}
    assert names | {"dev_macro_f1", "dev_uar", "dev_micro_f1", "seconds"} == row.keys()
    assert row["train_total"] == pytest.approx(row["train_supervised"] + row["train_size"], rel=1e-5)


def test_system_learns_what_can_be_learnt(tmp_path):
    _, result = run_tiny(tmp_path, TrainingConfig(epochs=15, batch_size=8, lr=0.02, device="cpu"))
    assert result.history[result.best_epoch - 1]["dev_macro_f1"] > 0.9


def test_training_leaves_the_callers_generator_alone(tmp_path):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run_tiny(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("changes", "deaf", "blind", "zeroed"),
    [
        ({}, 0.0, 0.0, 0.0),
        ({"unpaired": 1.0}, 0.5, 0.5, 0.5),
        ({"ablate_visual_clips": 1.0}, 0.0, 1.0, 1.0),
        ({"ablate_visual_frames": 1.0}, 0.0, 0.0, 1.0),
    ],
)
def test_a_training_loses_what_its_config_says_and_dev_does_not(tmp_path, changes, deaf, blind, zeroed):
    """Shares of 30 train clips without sound, without faces, and of face frames that are zeros, as the system sees them."""
    seen: dict[bool, list[Batch]] = {True: [], False: []}

    class Watched(TinySystem):
        def forward(self, batch, generator=None):
            seen[self.training].append(batch)
            return super().forward(batch, generator)

    config = TrainingConfig(epochs=1, batch_size=30, device="cpu", **changes)
    run_tiny(tmp_path, config, system=Watched)
    (train,), (dev,) = seen[True], seen[False]
    frames = (train.visual_BTD == 0).all(-1)
    lost = ~train.has_audio_B, ~train.has_visual_B, frames
    # Coins decide which modality an unpaired clip loses.
    tolerance = 0.25 if "unpaired" in changes else 0
    assert [x.float().mean().item() for x in lost] == pytest.approx([deaf, blind, zeroed], abs=tolerance)
    for kept in (dev.has_audio_B, dev.has_visual_B, dev.visual_BTD != 0):
        assert kept.all()


def test_absent_gpu_is_an_error():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(AvemoError, match="expected a GPU"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"
