"""Weights, focal loss and balanced draws, against PyTorch, torchvision and scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy
from torchvision.ops import sigmoid_focal_loss

from avemo.base.contracts import ConfigError
from avemo.dataset.tasks import Attributes, Bits, Classes
from avemo.training.recipe import TrainingConfig
from avemo.training.skew import Skew, class_weights

COUNTS = np.array([60, 30, 9, 1])
TASK = Classes(list("abcd"))
TARGETS = {f"c{i:03d}": int(c) for i, c in enumerate(np.repeat(np.arange(4), COUNTS))}


def logits(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_settings_of_before_keep_their_text():
    plain = TrainingConfig().numbers()
    assert not {"class_weights", "effective_beta", "focal_gamma", "draw", "draw_bins"} & set(plain)
    assert TrainingConfig(draw="balanced").numbers()["draw"] == "balanced"
    assert Skew.of(TASK, TrainingConfig(), TARGETS) == Skew()


def test_inverse_weights_are_scikit_learns_balanced_ones():
    labels = np.repeat(np.arange(4), COUNTS)
    theirs = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert class_weights(COUNTS, TrainingConfig(class_weights="inverse")) == pytest.approx(theirs)


def test_effective_numbers_are_those_of_a_geometric_series():
    """E = Σ_{i<n} β^i (Cui et al., proposition 1), counted term by term."""
    found = class_weights(COUNTS, TrainingConfig(class_weights="effective", effective_beta=0.9))
    numbers = np.array([sum(0.9**i for i in range(n)) for n in COUNTS])
    assert found == pytest.approx(4 / numbers / (1 / numbers).sum())
    alike = class_weights(COUNTS, TrainingConfig(class_weights="effective", effective_beta=0.0))
    assert alike == pytest.approx(np.ones(4))


def test_a_class_that_train_lacks_weighs_nothing():
    for way in ("inverse", "effective"):
        found = class_weights(np.array([3, 0, 1]), TrainingConfig(class_weights=way))
        assert found[1] == 0
        assert np.isfinite(found).all()


@pytest.mark.parametrize("way", ["none", "inverse", "effective"])
def test_weighted_loss_is_pytorchs(way):
    config = TrainingConfig(class_weights=way, focal_gamma=0.0 if way != "none" else 1e-12)
    skew = Skew.of(TASK, config, TARGETS)
    x, y = logits(12, 4), torch.arange(12) % 4
    weight = torch.from_numpy(class_weights(COUNTS, config))
    assert float(skew.loss.loss(x, y)) == pytest.approx(float(cross_entropy(x, y, weight=weight)))
    parts = [x[:5], x[5:]], [y[:5], y[5:]]
    assert skew.loss.set_loss(*parts) == pytest.approx(float(cross_entropy(x, y, weight=weight)))


def test_focal_loss_of_classes_by_its_equation():
    skew = Skew.of(TASK, TrainingConfig(focal_gamma=2.0), TARGETS)
    x, y = logits(12, 4), torch.arange(12) % 4
    p = x.softmax(1)[torch.arange(12), y]
    assert float(skew.loss.loss(x, y)) == pytest.approx(float(-((1 - p) ** 2 * p.log()).mean()))


def test_focal_loss_of_bits_is_torchvisions():
    task, targets = Bits(["x", "y"]), {"a": (1.0, 0.0), "b": (0.0, 0.0), "c": (0.0, 1.0)}
    skew = Skew.of(task, TrainingConfig(focal_gamma=2.0), targets)
    x, y = logits(9, 2), (logits(9, 2, seed=1) > 0).double()
    theirs = sigmoid_focal_loss(x, y, alpha=-1, gamma=2.0).sum(1).mean()
    assert float(skew.loss.loss(x, y)) == pytest.approx(float(theirs))


def test_bits_values_are_weighted_each_by_itself():
    targets = {f"c{i}": (float(i < 2), float(i % 2)) for i in range(10)}
    skew = Skew.of(Bits(["rare", "even"]), TrainingConfig(class_weights="inverse"), targets)
    for column, values in enumerate(np.array(list(targets.values())).T):
        theirs = compute_class_weight("balanced", classes=np.array([0.0, 1.0]), y=values)
        assert skew.loss.weights_VC[:, column].numpy() == pytest.approx(theirs)


def test_balanced_draws_make_classes_equally_frequent():
    skew = Skew.of(TASK, TrainingConfig(draw="balanced"), TARGETS)
    generator = torch.Generator().manual_seed(0)
    drawn = [clip for _ in range(200) for clip in skew.drawn(list(TARGETS), generator)]
    found = Counter(TARGETS[clip] for clip in drawn)
    assert len(drawn) == 200 * len(TARGETS)
    assert [found[c] / len(drawn) for c in range(4)] == pytest.approx([0.25] * 4, abs=0.02)
    again = skew.drawn(list(TARGETS), torch.Generator().manual_seed(0))
    assert again == drawn[: len(TARGETS)]


def test_attributes_are_drawn_by_bins_and_have_no_class_weights():
    values = np.concatenate([np.full(90, 0.1), np.full(10, 0.9)])
    targets = {f"c{i}": (value,) for i, value in enumerate(values)}
    skew = Skew.of(Attributes(["arousal"]), TrainingConfig(draw="balanced", draw_bins=4), targets)
    assert sum(skew.chances[f"c{i}"] for i in range(90)) == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="expected neither with attributes.*use training.draw: balanced"):
        Skew.of(Attributes(["arousal"]), TrainingConfig(class_weights="inverse"), targets)
