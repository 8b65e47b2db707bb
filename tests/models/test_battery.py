"""What every registered system must do, whatever it is made of."""

import pytest
import torch
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Classes
from avemo.models import MODELS
from avemo.training import STEPS
from avemo.training.recipe import TrainingConfig
from avemo.training.state import RunState
from model_batches import CLIPS, OUTPUTS, lacking, pad, random_batch, row
from parameter_counts import COUNTS, counted
from small_systems import small


def total_loss(outputs, target_B):
    supervised = [torch.nn.functional.cross_entropy(x, target_B) for x in outputs.logits.values()]
    return torch.stack(supervised).mean() + sum(outputs.losses.values())


every_system = pytest.mark.parametrize("name", sorted(MODELS))

every_mask = pytest.mark.parametrize(
    ("name", "config"),
    [
        (name, {"causal": causal} if "causal" in MODELS.load(name).Config.model_fields else {})
        for name in sorted(MODELS)
        for causal in (True, False)
        if causal is False or "causal" in MODELS.load(name).Config.model_fields
    ],
)
"""Every system; those that can have a causal mask with and without."""


@every_system
@pytest.mark.parametrize("training", [True, False])
def test_shapes_and_finite(name, training):
    outputs = small(name).train(training)(random_batch(), torch.Generator().manual_seed(1))
    assert {name.split("_")[0] for name in outputs.logits} <= {"av", "audio", "visual"}
    assert outputs.logits
    for x in (*outputs.logits.values(), outputs.prediction):
        assert x.shape == (CLIPS, OUTPUTS)
        assert torch.isfinite(x).all()
    for term in outputs.losses.values():
        assert term.shape == ()
        assert torch.isfinite(term)


@every_system
def test_every_parameter_learns(name):
    model, batch = small(name).train(), random_batch()
    total_loss(model(batch, torch.Generator().manual_seed(1)), batch.targets).backward()
    idle = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@every_mask
def test_clip_alone_equals_clip_in_batch(name, config):
    model, batch = small(name, **config).eval(), random_batch()
    together = model(batch)
    for index in range(CLIPS):
        alone = model(row(batch, index))
        for head, logits_BC in alone.logits.items():
            assert torch.allclose(logits_BC[0], together.logits[head][index], atol=1e-5, rtol=0)


@every_mask
def test_padding_changes_nothing(name, config):
    model, batch = small(name, **config).eval(), random_batch()
    short, long = model(batch), model(pad(batch, 25))
    for head, logits_BC in short.logits.items():
        assert torch.allclose(logits_BC, long.logits[head], atol=1e-5, rtol=0)


@every_system
def test_inputs_matter(name):
    """Guards the two tests above against a model that ignores its inputs."""
    model, batch = small(name).eval(), random_batch()
    whole = model(batch).prediction
    for modality in ("audio", "visual"):
        other = model(batch.without(modality)).prediction
        assert torch.isfinite(other).all()
        assert bool((whole - other).abs().max() > 1e-4) is (modality in model.modalities)


@every_system
def test_clips_that_lack_a_modality(name):
    """Beside whole clips in one batch: answered and trained on, and the whole ones answered as before."""
    model, whole = small(name).eval(), random_batch()
    mixed = lacking(whole, audio=[0], visual=[1])
    with torch.no_grad():
        answers, before = model(mixed).prediction, model(whole).prediction
    assert torch.isfinite(answers).all()
    assert torch.allclose(answers[2:], before[2:], atol=1e-5, rtol=0)
    changed = (answers[:2] - before[:2]).abs().amax(dim=1) > 1e-4
    assert changed.tolist() == [side in model.modalities for side in ("audio", "visual")]
    loss = total_loss(model.train()(mixed, torch.Generator().manual_seed(1)), mixed.targets)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@every_system
def test_deterministic(name):
    model, batch = small(name), random_batch()
    assert torch.equal(model.eval()(batch).prediction, model(batch).prediction)
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        model = small(name).train()
        losses.append(total_loss(model(batch, torch.Generator().manual_seed(1)), batch.targets))
    assert torch.equal(*losses)


@every_system
def test_weights_reload_strictly(name):
    model, copy, batch = small(name).train(), small(name), random_batch()
    for p in model.parameters():
        p.data.add_(0.01)
    model(batch, torch.Generator().manual_seed(1))
    copy.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(model.eval()(batch).prediction, copy.eval()(batch).prediction)


@every_system
def test_a_batch_of_one_trains(name):
    batch = row(random_batch(), 0)
    loss = total_loss(small(name).train()(batch, torch.Generator().manual_seed(1)), batch.targets)
    assert torch.isfinite(loss)


@every_system
def test_clip_without_frames_is_named(name):
    batch = random_batch()
    batch.visual_mask_BT[2] = False
    with pytest.raises(AvemoError, match="clip2: expected at least one real visual frame"):
        small(name)(batch, torch.Generator())


@every_system
def test_config_is_strict(name):
    model_class = MODELS.load(name)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model_class.Config(widht=8)
    if {"width", "heads"} <= model_class.Config.model_fields.keys():
        with pytest.raises(ValidationError, match="not a multiple of heads"):
            model_class.Config(width=10, heads=4)


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: f"{count.name}, {count.variant}")
def test_parameter_counts(count):
    assert counted(count) == count.expected


def test_parameter_ratios_as_printed():
    """AV-Ladder paper, section 5: 1.17, 1.24 and 3.7 times more parameters, about 8.2M."""
    counts = {count.name: count.expected for count in COUNTS if count.variant == "default"}
    ladder = counts["av_ladder"]
    assert round(ladder / 1e6, 1) == 8.2
    assert round(ladder / counts["auxformer"], 2) == 1.17
    assert round(ladder / counts["mult"], 2) == 1.24
    assert round(ladder / counts["parthasarathy"], 1) == 3.7


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "procedure"), [(n, p) for n in sorted(MODELS) for p in MODELS.load(n).procedures]
)
def test_each_procedure_a_system_claims_moves_its_weights(name, procedure, precision):
    model = small(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    config = TrainingConfig(procedure=procedure, precision=precision)
    run = RunState.fresh(model, Classes([str(i) for i in range(OUTPUTS)]), config, "s", torch.device("cpu"))
    terms = STEPS.load(procedure)(run, random_batch(), "here")
    assert torch.tensor(list(terms.values())).isfinite().all()
    after = model.state_dict()
    assert any(not torch.equal(after[key], before[key]) for key in before)
    assert all(value.isfinite().all() for value in after.values() if value.is_floating_point())
