"""The optimisers: torch's own numbers, without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from avemo.training.optimizers import OPTIMIZERS
from avemo.training.recipe import TrainingConfig
from training_standins import TinySystem, fresh

PLAIN = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}
FUSED = {"adam": True, "adamw": True}


def after_steps(optimizer_of) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(7, 3, generator=generator, requires_grad=True) for _ in range(2)]
    optimizer = optimizer_of(weights)
    for _ in range(3):
        optimizer.zero_grad()
        sum((w**3).sum() for w in weights).backward()
        optimizer.step()
    again = optimizer_of(weights)
    again.load_state_dict(optimizer.state_dict())
    sum((w**2).sum() for w in weights).backward()
    again.step()
    return weights


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_moves_weights_as_torchs_does(name):
    kwargs = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.01}
    ours = after_steps(lambda weights: OPTIMIZERS[name](weights, **kwargs))
    fused = {"fused": True} if name in FUSED else {}
    theirs = after_steps(lambda weights: PLAIN[name](weights, **kwargs, **fused))
    for our, their in zip(ours, theirs, strict=True):
        assert torch.equal(our, their)


def test_a_run_steps_with_what_its_config_says():
    """VAVL's code has betas and a weight decay of its own."""
    asked = {"lr": 5e-5, "betas": (0.95, 0.999), "weight_decay": 5e-7}
    (group,) = fresh(TinySystem(), TrainingConfig(device="cpu", **asked)).optimizer.param_groups
    assert {name: group[name] for name in asked} == asked


TRAIN = """
import sys, torch
from avemo.training.optimizers import OPTIMIZERS
weights = [torch.ones(3, requires_grad=True)]
for name, make in OPTIMIZERS.items():
    optimizer = make(weights, lr=0.1)
    optimizer.zero_grad()
    weights[0].sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_none_imports_the_compiler():
    told = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"
