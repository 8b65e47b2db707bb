"""The training procedures on the systems they were made for."""

from collections import Counter

import pytest
import torch

from avemo.dataset.tasks import Classes
from avemo.models import build_model
from avemo.models.base import Outputs
from avemo.training.recipe import TrainingConfig
from avemo.training.state import RunState
from avemo.training.steps import alternating, sampled
from model_batches import lacking, random_batch

VAVL = {"width": 8, "heads": 2, "layers": 1, "embedding": 5, "depthwise_kernel": 5, "hidden": (8, 6)}
COLEARNING = {"cnn": "none", "width": 8, "heads": 2, "ffn": 8, "audio_layers": 1, "visual_layers": 1}
UAVM = {"width": 8, "heads": 2, "length": 20, "specific_layers": 1, "shared_layers": 1}


def started(name, sizes, **training):
    torch.manual_seed(0)
    model = build_model(name, audio_dim=6, visual_dim=10, outputs=4, **sizes).train()
    task = Classes(["a", "b", "c", "d"])
    return RunState.fresh(model, task, TrainingConfig(**training), "split00", torch.device("cpu"))


def moved_parts(model, before):
    """The first name of every parameter and buffer that changed."""
    return {key.split(".")[0] for key, x in model.state_dict().items() if not torch.equal(x, before[key])}


def copied(model):
    return {key: x.clone() for key, x in model.state_dict().items()}


@pytest.mark.parametrize(
    ("step", "parts"), [("audio", {"audio", "shared"}), ("visual", {"visual", "shared"}), ("av", {"av"})]
)
def test_each_vavl_step_moves_its_parts_to_the_bit(step, parts, monkeypatch):
    """Buffers of batch norm included (Algorithm 1, lines 6, 10 and 15)."""
    run = started("vavl", VAVL, procedure="alternating")
    before, every_part = copied(run.model), run.model.parts()
    monkeypatch.setattr(run.model, "parts", lambda: {step: every_part[step]})
    alternating(run, random_batch(), "here")
    assert moved_parts(run.model, before) == parts


def test_a_vavl_step_moves_the_running_statistics_of_what_it_trains():
    """Guards the test above against a batch norm that never moves."""
    run = started("vavl", VAVL, procedure="alternating")
    before = copied(run.model)
    alternating(run, random_batch(), "here")
    still = [
        key for key, x in run.model.state_dict().items() if "running" in key and torch.equal(x, before[key])
    ]
    assert still == []


@pytest.mark.parametrize(("only", "absent"), [("audio", "visual"), ("visual", "audio")])
def test_vavl_trains_on_batches_of_one_modality(only, absent):
    run = started("vavl", VAVL, procedure="alternating")
    before = copied(run.model)
    terms = alternating(run, random_batch().without(absent), "here")
    assert moved_parts(run.model, before) == {only, "shared"}
    assert set(terms) == {only, f"{only}_reconstruction", "total"}


@pytest.mark.parametrize(
    ("visual_first", "head", "rows"), [(False, "audio", [1, 2, 3, 4]), (True, "visual", [0, 2, 3, 4])]
)
def test_a_vavl_step_uses_the_clips_that_have_its_modality(visual_first, head, rows):
    """The first step's terms in a batch with unpaired clips are those of the clips that it can use."""
    calm = VAVL | {"dropout": 0.0, "head_dropout": 0.0}
    mixed = lacking(random_batch(), audio=[0], visual=[1])
    kept = mixed.select(torch.tensor([row in rows for row in range(5)]))
    of_mixed, of_kept = (
        alternating(started("vavl", calm, visual_first=visual_first), batch, "here")
        for batch in (mixed, kept)
    )
    assert of_mixed[head] == of_kept[head]
    assert of_mixed[f"{head}_reconstruction"] == of_kept[f"{head}_reconstruction"]


@pytest.mark.parametrize(
    ("name", "sizes", "shares"),
    [
        ("colearning", COLEARNING, {"audio": 1 / 3, "visual": 1 / 3, "av": 1 / 3}),
        ("uavm", UAVM, {"audio": 1 / 2, "visual": 1 / 2}),
    ],
)
def test_input_types_are_drawn_alike(name, sizes, shares, monkeypatch):
    """Over 1000 mini-batches; the binomial standard deviation of a share is at most 0.016."""
    run = started(name, sizes, procedure="sampled")
    seen, weight = Counter(), next(run.model.parameters())

    def count(head, batch, generator=None):
        seen[head] += 1
        logits_BC = weight.flatten()[0] * torch.ones(len(batch), 4)
        return Outputs({head: logits_BC}, logits_BC)

    monkeypatch.setattr(run.model, "forward_only", count)
    batch = random_batch()
    for _ in range(1000):
        sampled(run, batch, "here")
    assert {head: n / 1000 for head, n in seen.items()} == pytest.approx(shares, abs=0.05)


def test_a_sampled_uavm_step_leaves_the_other_modality_alone():
    run = started("uavm", UAVM, procedure="sampled")
    touched = set()
    for _ in range(8):
        before = copied(run.model)
        (head,) = {name for name in sampled(run, random_batch(), "here") if name != "total"}
        assert moved_parts(run.model, before) == {head, "shared", "head"}
        touched.add(head)
    assert touched == {"audio", "visual"}


def test_all_input_types_in_one_step():
    """Eq. 20 of co-learning, divided by its three terms."""
    run = started("colearning", COLEARNING | {"dropout": 0.0}, procedure="sampled", sampling="all")
    batch = random_batch()
    expected = [
        torch.nn.functional.cross_entropy(
            run.model.forward_only(head, batch).prediction, batch.targets
        ).item()
        for head in ("audio", "visual", "av")
    ]
    terms = sampled(run, batch, "here")
    assert [3 * terms[head] for head in ("audio", "visual", "av")] == pytest.approx(expected, abs=1e-5)
    assert terms["total"] == pytest.approx(sum(expected) / 3, abs=1e-5)
