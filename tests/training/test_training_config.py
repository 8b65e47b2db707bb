"""The schedule's fields: the paper's numbers, bounds, and what stays out of keys."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from avemo.training.recipe import TrainingConfig


def test_defaults_are_auxformers():
    config = TrainingConfig()
    assert (config.lr, config.clip_norm, config.batch_size, config.epochs) == (7.25e-4, 0.8, 32, 20)
    assert (config.plateau_patience, config.plateau_factor) == (5, 0.1)
    assert (config.modality_drop, config.weight_decay, config.patience) == (0, 0, None)


def test_speed_fields_stay_out_of_the_numbers():
    assert TrainingConfig(device="cpu", threads=2).numbers() == TrainingConfig().numbers()
    assert TrainingConfig(seed=1).numbers() != TrainingConfig().numbers()


@pytest.mark.parametrize(
    "wrong",
    [{"modality_drop": 0.51}, {"epochs": 0}, {"lr": 0}, {"optimizer": "sgd"}, {"device": "tpu"}, {"lrr": 1}],
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        TrainingConfig(**wrong)


def test_unknown_procedure_answers_with_the_known_ones():
    with pytest.raises(ValidationError, match=r"did you mean 'joint'.*known: alternating, joint, sampled"):
        TrainingConfig(procedure="joined")


def test_config_needs_no_torch():
    code = "import sys, avemo.training.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
