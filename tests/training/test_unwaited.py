"""A training step of every system asks nothing of the device that it runs on.

Meta tensors have no values: who reads one, on whatever way (`item`, `bool`, `.cpu()`, a boolean index), raises.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from avemo.base import devices
from avemo.dataset.tasks import Classes
from avemo.models import MODELS
from avemo.models.base import Outputs
from avemo.models.conformer import FrameBatchNorm
from avemo.training import STEPS
from avemo.training.inference import infer
from avemo.training.loop import train_batch
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import Generators
from avemo.training.skew import Skew, WeightedLoss
from avemo.training.state import RunState
from avemo.training.steps import sampled
from model_batches import CLIPS, OUTPUTS, lacking, random_batch
from small_systems import small

META, CPU = torch.device("meta"), torch.device("cpu")
SYSTEMS = sorted(MODELS)
TRAINED = [(name, procedure) for name in SYSTEMS for procedure in MODELS.load(name).procedures]
WHOLE = replace(random_batch(), whole=True)
BATCHES = {
    "whole": WHOLE,
    "unequal": lacking(WHOLE, audio=[0], visual=[1]),
    "mute": lacking(WHOLE, audio=range(CLIPS)),
    "blind": lacking(WHOLE, visual=range(CLIPS)),
}


@pytest.fixture(autouse=True)
def uncast(monkeypatch):
    """No autocast, which torch has not for meta tensors."""
    monkeypatch.setattr(torch, "autocast", lambda *given, **named: nullcontext())


def on_meta(model: nn.Module, **training) -> RunState:
    config = TrainingConfig(**training)
    return RunState(
        model=model.to(META).train(),
        task=Classes([str(number) for number in range(OUTPUTS)]),
        config=config,
        # torch's fused Adam knows no meta tensors; foreach reads nothing either.
        optimizer=torch.optim.Adam(model.parameters(), foreach=True),
        generators=Generators.of(0, "s", CPU),
        device=META,
        stream="s",
    )


def stepped(run: RunState, batch) -> dict:
    """One step as an epoch takes it: drawn on the CPU, moved, trained on."""
    return STEPS.load(run.config.procedure)(run, train_batch(run, batch).to(run.device), "here")


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(("name", "procedure"), TRAINED)
def test_a_step_of_every_system_reads_nothing(name, procedure, batch):
    for more in ({}, {"modality_drop": 0.3, "drop_scope": "clip", "ablate_visual_frames": 0.2}):
        terms = stepped(on_meta(small(name), procedure=procedure, **more), batch)
        assert all(isinstance(term, torch.Tensor) for term in terms.values())


@pytest.mark.parametrize("sampling", ["batch", "clip", "all"])
@pytest.mark.parametrize("name", [name for name, procedure in TRAINED if procedure == "sampled"])
def test_a_sampled_step_reads_nothing_however_heads_are_drawn(name, sampling):
    for _ in range(3):
        stepped(on_meta(small(name), procedure="sampled", sampling=sampling), BATCHES["unequal"])


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_dev_pass_of_every_system_reads_nothing(name, batch):
    class Data:
        def batches(self, *_):
            return [batch, batch]

    model = small(name).to(META)
    for without in (None, "audio", "visual"):
        found = infer(model, Data(), batch.clip_ids, batch_size=CLIPS, device=META, without=without)
        assert all(outputs.prediction.shape == (CLIPS, OUTPUTS) for _, outputs in found)


class Copies(TorchDispatchMode):
    """Counts copies from the CPU for which a GPU would be waited."""

    waited = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if function._overloadpacket.__name__ in ("_to_copy", "copy_"):
            source = args[1] if function._overloadpacket.__name__ == "copy_" else args[0]
            frame, callers = sys._getframe(), set()
            while frame := frame.f_back:
                callers.add(frame.f_code.co_name)
            self.waited += (source.device, found.device) == (CPU, META) and "sent" not in callers
        return found


@pytest.mark.parametrize(("name", "procedure"), TRAINED)
def test_what_travels_to_the_device_is_not_waited_for(name, procedure):
    weights = torch.rand(1, OUTPUTS)
    for batch in BATCHES.values():
        run = on_meta(small(name), procedure=procedure, modality_drop=0.3)
        run.skew = Skew(WeightedLoss(run.task, weights, 2.0))
        # A GPU draws the noise itself.
        run.generators = replace(run.generators, noise=None)
        with Copies() as copies:
            stepped(run, batch)
        assert copies.waited == 0
    with Copies() as copies:
        weights.to(META)
    assert copies.waited == 1, "guards the above"


@pytest.mark.parametrize("read", [torch.Tensor.item, bool, float, torch.Tensor.tolist, torch.Tensor.cpu])
def test_a_step_that_reads_is_found(read):
    """Guards the tests above."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(6, OUTPUTS)

        def forward(self, batch, generator=None):
            read(batch.audio_mask_BT.any())
            logits = self.out(batch.audio_BTD.mean(1))
            return Outputs({"audio": logits}, logits)

    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        stepped(on_meta(Reader()), WHOLE)


def outcome(name, procedure, batch):
    """Loss terms, gradients and buffers of a step in training mode without dropout."""
    model = small(name).double()
    for module in model.modules():
        for field in ("p", "dropout", "weight_dropout"):
            if isinstance(getattr(module, field, None), float):
                setattr(module, field, 0.0)
    task = Classes([str(number) for number in range(OUTPUTS)])
    config = TrainingConfig(procedure=procedure, optimizer="radam", sampling="all", clip_norm=None)
    run = RunState.fresh(model.train(), task, config, "s", CPU)
    x = {side: getattr(batch, side).double() for side in ("audio_BTD", "visual_BTD")}
    terms = STEPS.load(procedure)(run, replace(batch, **x), "here")
    return {name: float(term) for name, term in terms.items()}, model.state_dict()


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(("name", "procedure"), TRAINED)
def test_what_is_computed_without_reading_is_the_same(monkeypatch, name, procedure, batch):
    seen = outcome(name, procedure, batch)
    monkeypatch.setattr(devices, "AT_ONCE", ())
    unseen = outcome(name, procedure, batch)
    assert unseen[0] == pytest.approx(seen[0], rel=1e-6, abs=3e-7)
    for key, value in seen[1].items():
        torch.testing.assert_close(unseen[1][key], value, rtol=1e-5, atol=3e-7, msg=key)


@pytest.mark.parametrize("lengths", [[9, 4, 1], [1], [7, 7]])
def test_batch_norm_over_real_frames_is_the_same_without_reading(monkeypatch, lengths):
    torch.manual_seed(0)
    x = torch.randn(len(lengths), max(lengths) + 2, 5) * 3 + 1
    mask = torch.arange(x.shape[1]) < torch.tensor(lengths)[:, None]
    found = []
    for free in (("cpu",), ()):
        monkeypatch.setattr(devices, "AT_ONCE", free)
        torch.manual_seed(1)
        norm, given = FrameBatchNorm(5), x.clone().requires_grad_()
        nn.init.normal_(norm.weight)
        trained = norm(given, mask)
        trained.square().sum().backward()
        found.append((trained, given.grad, norm.running_mean, norm.running_var, norm.eval()(x, mask)))
    for seen, unseen in zip(*found, strict=True):
        torch.testing.assert_close(unseen, seen, rtol=1e-4, atol=1e-5)


def test_a_moved_batch_knows_what_it_was_made_of():
    batch = BATCHES["unequal"]
    moved = batch.to(META)
    for each, expected in (
        (moved, batch),
        (moved.without("audio"), batch.without("audio")),
        (moved.without("visual", torch.arange(CLIPS) < 2), batch.without("visual", torch.arange(CLIPS) < 2)),
        (moved.select(torch.arange(CLIPS) > 1), batch.select(torch.arange(CLIPS) > 1)),
        (moved.to(META), batch),
    ):
        for name in ("audio_mask_BT", "visual_mask_BT", "has_audio_B", "has_visual_B"):
            assert torch.equal(each.known(name), getattr(expected, name))
            assert getattr(each, name).device == META
    changed = replace(moved, audio_mask_BT=torch.ones_like(moved.audio_mask_BT))
    with pytest.raises(NotImplementedError):
        changed.known("audio_mask_BT")


def test_what_is_sent_to_a_gpu_goes_by_pinned_memory_and_is_not_waited_for():
    steps = []

    class Here:
        device = CPU

        def contiguous(self):
            steps.append("contiguous")
            return self

        def pin_memory(self):
            steps.append("pinned")
            return self

        def to(self, device, non_blocking=False):
            steps.append((device.type, non_blocking))
            return self

    devices.sent(Here(), "cuda:1")
    devices.sent(Here(), "cpu")
    assert steps == ["contiguous", "pinned", ("cuda", True), ("cpu", False)]


def test_heads_are_drawn_alike_wherever_the_batch_lies():
    run = on_meta(small("colearning"), procedure="sampled", sampling="clip")
    terms = sampled(run, BATCHES["unequal"].to(META), "here")
    here = RunState.fresh(small("colearning").train(), run.task, run.config, "s", CPU)
    here.generators = Generators.of(0, "s", CPU)
    assert set(terms) == set(sampled(here, BATCHES["unequal"], "here"))
