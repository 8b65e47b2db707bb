"""Which clips a training reads, in which order and with which labels."""

from __future__ import annotations

import pytest

from avemo.base.contracts import AvemoError
from avemo.dataset.normalise import Normalise
from avemo.dataset.tasks import Attributes
from avemo.models.base import Outputs
from avemo.training.loop import train
from avemo.training.seeding import build_seeded
from training_standins import CLASSES, SHORT, TinySystem, ToyData, ToySplit, fresh, run_tiny


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


class Calm(TinySystem):
    """Answers with what the clip's sound shows, whatever its weights."""

    def forward(self, batch, generator=None):
        outputs = super().forward(batch, generator)
        said_B1 = batch.audio_BTD.mean((1, 2))[:, None] / 2
        said = said_B1.expand(-1, CLASSES) + 0 * outputs.prediction
        return Outputs({"av": said}, said)


def epochs_of(tmp_path, **training):
    """The order of the train clips in two epochs, and the loss of each."""
    config = SHORT.model_copy(update={"epochs": 2, "lr": 1e-9, "modality_drop": 0.0, **training})
    data, split = Attentive(), ToySplit()
    model = build_seeded(Calm, 0, split.name)
    task = Attributes(["arousal", "valence", "dominance"])
    result = train(fresh(model, config, task), data, split, run_id="calm", folder=tmp_path)
    return data.order, result.history


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


def test_empty_sides_are_errors(tmp_path):
    for side in ("train", "dev"):
        split = ToySplit(**{side: ()})
        with pytest.raises(
            AvemoError, match=f"{'clips to train on' if side == 'train' else 'dev clips'}, found none"
        ):
            train(fresh(TinySystem()), ToyData(), split, run_id="tiny", folder=tmp_path)
