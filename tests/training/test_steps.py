"""One update: modality drop, clipping, and refusal of losses that are not finite."""

from __future__ import annotations

import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.training import STEPS
from avemo.training.recipe import TrainingConfig
from avemo.training.state import RunState
from avemo.training.steps import ablate_visual, alternating, drop_modality, joint, sampled, unpair
from training_standins import TASK, TinySystem, Towers, ToyData, ToySplit

IDS = list(ToySplit().train[:8])
CPU = torch.device("cpu")


def update(model, batch, config):
    return joint(RunState.fresh(model, TASK, config, "split00", CPU), batch, "run, batch 3")


def test_every_procedure_loads():
    assert all(callable(STEPS.load(name)) for name in STEPS)


def test_drop_shares_over_many_draws():
    """20 % / 20 % / 60 %, never both; binomial standard deviation of a share is 0.0028 here."""
    batch = ToyData().batch(IDS[:1])
    generator = torch.Generator().manual_seed(0)
    seen = {"audio": 0, "visual": 0, "both": 0, "none": 0}
    for _ in range(20_000):
        dropped = drop_modality(batch, 0.2, generator)
        no_audio = dropped.audio_BTD is not batch.audio_BTD
        no_visual = dropped.visual_BTD is not batch.visual_BTD
        seen[{(0, 0): "none", (1, 0): "audio", (0, 1): "visual"}.get((no_audio, no_visual), "both")] += 1
    assert seen["both"] == 0
    assert [seen[name] / 20_000 for name in ("audio", "visual", "none")] == pytest.approx(
        [0.2, 0.2, 0.6], abs=0.012
    )


@pytest.mark.parametrize(
    ("scope", "shares"), [("clip", (0.2, 0.2, 0.0)), ("independent", (0.16, 0.16, 0.04))]
)
def test_drop_by_the_clip(scope, shares):
    """Shares of clips that lost sound alone, faces alone and both; zeroed where they lost them only."""
    batch = ToyData().batch(IDS)
    generator = torch.Generator().manual_seed(0)
    counts, rounds = torch.zeros(3), 20_000 // len(batch)
    for _ in range(rounds):
        got = drop_modality(batch, 0.2, generator, scope)
        deaf, blind = ~got.has_audio_B, ~got.has_visual_B
        counts += torch.stack([(deaf & ~blind).sum(), (blind & ~deaf).sum(), (deaf & blind).sum()])
        for side, lost in (("audio", deaf), ("visual", blind)):
            before, after = (x.frames(side)[0] for x in (batch, got))
            assert torch.equal(after[~lost], before[~lost])
            assert not after[lost].any()
    assert (counts / (rounds * len(batch))).tolist() == pytest.approx(shares, abs=0.015)


def test_dropped_modality_is_zero_and_the_other_untouched():
    batch = ToyData().batch(IDS)
    generator = torch.Generator().manual_seed(0)
    dropped = [drop_modality(batch, 0.5, generator) for _ in range(20)]
    for one in dropped:
        gone, kept = (
            (one.audio_BTD, one.visual_BTD)
            if one.visual_BTD is batch.visual_BTD
            else (one.visual_BTD, one.audio_BTD)
        )
        assert gone.abs().sum() == 0
        assert kept.abs().sum() > 0
    assert {one.visual_BTD is batch.visual_BTD for one in dropped} == {True, False}


def test_gradient_norm_is_clipped():
    model = TinySystem()
    update(model, ToyData().batch(IDS), TrainingConfig(clip_norm=0.01))
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_first_adam_step_moves_each_weight_by_the_rate():
    """Adam's first step is lr·g/(|g|+eps), i.e. ±lr wherever the gradient is not tiny."""
    model = TinySystem()
    before = model.heads["av"].weight.detach().clone()
    update(model, ToyData().batch(IDS), TrainingConfig(lr=1e-3))
    moved = (model.heads["av"].weight.detach() - before).abs()
    assert moved.median().item() == pytest.approx(1e-3, rel=1e-2)


def test_returned_terms_add_up():
    terms = update(TinySystem(), ToyData().batch(IDS), TrainingConfig())
    assert terms.keys() == {"supervised", "size", "total"}
    assert terms["total"] == pytest.approx(terms["supervised"] + terms["size"], rel=1e-6)


def test_loss_that_is_not_finite_stops_before_the_update():
    model = TinySystem()
    before = [p.detach().clone() for p in model.parameters()]
    batch = ToyData(poison=IDS[2]).batch(IDS)
    with pytest.raises(
        AvemoError, match=r"run, batch 3: expected a finite loss, found nan; clips: clip0, clip1, clip2"
    ):
        update(model, batch, TrainingConfig())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_gradient_that_is_not_finite_stops_before_the_update():
    """sqrt at 0: the loss is 0 there, its slope infinite."""

    class Cliff(TinySystem):
        def forward(self, batch, generator=None):
            outputs = super().forward(batch, generator)
            outputs.losses["cliff"] = (self.heads["av"].weight * 0).sum().sqrt()
            return outputs

    model = Cliff()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(AvemoError, match="expected a finite gradient norm"):
        update(model, ToyData().batch(IDS), TrainingConfig())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def moved(model, before):
    """Names of the parameters and buffers that changed, step counters of batch norm included."""
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def names_of(model, *prefixes):
    return {name for name in model.state_dict() if name.startswith(prefixes)}


def lacking(batch, audio=(), visual=()):
    """``batch`` where the clips at these positions lack sound or faces."""
    batch.has_audio_B = torch.tensor([i not in audio for i in range(len(batch))])
    batch.has_visual_B = torch.tensor([i not in visual for i in range(len(batch))])
    return batch


EVERYONE = range(len(IDS))


@pytest.mark.parametrize(
    ("lacks", "trained"),
    [
        ({"visual": EVERYONE}, ("audio.", "shared.", "heads.audio.")),
        ({"audio": EVERYONE}, ("visual.", "shared.", "heads.visual.")),
        ({}, ("audio.", "visual.", "shared.", "heads.", "fusion.")),
    ],
)
def test_alternating_trains_the_parts_of_the_modalities_at_hand(lacks, trained):
    torch.manual_seed(0)
    model = Towers().train()
    before = copy_of(model)
    run = RunState.fresh(model, TASK, TrainingConfig(procedure="alternating"), "split00", CPU)
    terms = alternating(run, lacking(ToyData().batch(IDS), **lacks), "here")
    assert moved(model, before) == names_of(model, *trained)
    assert terms["total"] == pytest.approx(sum(v for name, v in terms.items() if name != "total"))


def test_audiovisual_step_moves_its_own_part_and_no_buffer_of_the_others(monkeypatch):
    torch.manual_seed(0)
    model = Towers().train()
    monkeypatch.setattr(model, "parts", lambda: {"av": (model.fusion,)})
    before = copy_of(model)
    run = RunState.fresh(model, TASK, TrainingConfig(procedure="alternating"), "split00", CPU)
    terms = alternating(run, ToyData().batch(IDS), "here")
    assert moved(model, before) == names_of(model, "fusion.")
    assert terms.keys() == {"av", "total"}
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())


def test_frozen_parts_are_in_evaluation_mode_and_own_ones_are_not():
    model, seen = Towers().train(), {}
    for name, module in model.named_children():
        module.register_forward_hook(
            lambda module, *_, name=name: seen.setdefault(name, []).append(module.training)
        )
    alternating(RunState.fresh(model, TASK, TrainingConfig(), "split00", CPU), ToyData().batch(IDS), "here")
    assert seen == {
        **{"audio": [True, False], "visual": [True, False], "shared": [True, True, False, False]},
        "fusion": [True],
    }


@pytest.mark.parametrize(
    ("visual_first", "expected"), [(False, ["audio", "visual", "av"]), (True, ["visual", "audio", "av"])]
)
def test_order_of_the_steps_is_a_switch(monkeypatch, visual_first, expected):
    model, order = Towers(), []
    whole = model.forward_only
    monkeypatch.setattr(model, "forward_only", lambda head, *rest: order.append(head) or whole(head, *rest))
    config = TrainingConfig(visual_first=visual_first)
    alternating(RunState.fresh(model, TASK, config, "split00", CPU), ToyData().batch(IDS), "here")
    assert order == expected


def test_unpaired_clips_train_only_what_they_show(monkeypatch):
    model, seen = Towers(), {}
    whole = model.forward_only
    monkeypatch.setattr(
        model,
        "forward_only",
        lambda head, batch, g: seen.update({head: batch.clip_ids}) or whole(head, batch, g),
    )
    batch = lacking(ToyData().batch(IDS), audio=(0, 1), visual=(2,))
    alternating(RunState.fresh(model, TASK, TrainingConfig(), "split00", CPU), batch, "here")
    assert seen == {"audio": IDS[2:], "visual": [*IDS[:2], *IDS[3:]], "av": IDS[3:]}


def test_faces_are_lost_by_the_clip_and_by_the_frame():
    """Parthasarathy and Sundaram's: 400 clips of a half, and each frame with a quarter; sound stays."""
    ids, draw = [f"clip{i}" for i in range(400)], torch.Generator().manual_seed(0)
    batch = ToyData().batch(ids)
    found = ablate_visual(batch, 0.5, 0.25, draw)
    blind_B = ~found.has_visual_B
    # The binomial standard deviation is 10 clips.
    assert 160 < blind_B.sum() < 240
    assert not found.visual_BTD[blind_B].any()
    seen = found.visual_BTD[~blind_B]
    lost_share = (seen == 0).all(-1).float().mean()
    assert lost_share == pytest.approx(0.25, abs=0.05)
    assert torch.equal(seen[seen != 0], batch.visual_BTD[~blind_B][seen != 0])
    assert torch.equal(found.visual_mask_BT, batch.visual_mask_BT)
    assert torch.equal(found.audio_BTD, batch.audio_BTD)
    mute = lacking(batch, audio=range(400))
    assert torch.equal(ablate_visual(mute, 1.0, 1.0, draw).visual_BTD, mute.visual_BTD)
    before = draw.get_state()
    assert ablate_visual(batch, 0.0, 0.0, draw) is batch
    assert torch.equal(draw.get_state(), before)


def test_half_of_the_clips_lose_one_modality_for_good():
    """For good: the same clips whatever the batch; and a clip that has one modality keeps it."""
    ids = [f"clip{i}" for i in range(400)]
    batch = ToyData().batch(ids)
    found = unpair(batch, 0.5, seed=0)
    deaf_B, blind_B = ~found.has_audio_B, ~found.has_visual_B
    assert not (deaf_B & blind_B).any()
    # 100 each; the binomial standard deviation is 9.
    assert 70 < deaf_B.sum() < 130
    assert 70 < blind_B.sum() < 130
    assert not found.audio_BTD[deaf_B].any()
    assert not found.visual_BTD[blind_B].any()
    assert torch.equal(found.audio_BTD[~deaf_B], batch.audio_BTD[~deaf_B])
    turned = unpair(ToyData().batch(ids[::-1]), 0.5, seed=0)
    assert torch.equal(turned.has_audio_B.flip(0), found.has_audio_B)
    assert not torch.equal(unpair(batch, 0.5, seed=1).has_audio_B, found.has_audio_B)
    assert unpair(batch, 0.0, seed=0) is batch
    mute = lacking(batch, audio=range(400))
    assert unpair(mute, 1.0, seed=0).has_visual_B.all()


@pytest.mark.parametrize("sampling", ["batch", "clip"])
def test_heads_are_drawn_equally_often(monkeypatch, sampling):
    """A third of 3,000 draws each; the binomial standard deviation is 26."""
    model, counts, batches = Towers(), dict.fromkeys(("audio", "visual", "av"), 0), []
    whole = model.forward_only

    def count(head, batch, generator):
        counts[head] += len(batch)
        batches.append(len(batch))
        return whole(head, batch, generator)

    monkeypatch.setattr(model, "forward_only", count)
    draws = 3000 if sampling == "batch" else 3000 // len(IDS)
    clips = 2 if sampling == "batch" else len(IDS)
    run = RunState.fresh(model.eval(), TASK, TrainingConfig(sampling=sampling), "split00", CPU)
    batch = ToyData().batch(IDS[:clips])
    for _ in range(draws):
        sampled(run, batch, "here")
    whole_batches = {"batch": clips}.get(sampling)
    assert [n / sum(counts.values()) for n in counts.values()] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert whole_batches is None or set(batches) == {whole_batches}


def test_loss_sampled_by_clip_is_the_mean_over_clips():
    """With no dropout and fixed batch norm, the mean of each clip's own loss under its own head."""
    torch.manual_seed(0)
    model = Towers().eval()
    run = RunState.fresh(model, TASK, TrainingConfig(sampling="clip", lr=1e-12), "split00", CPU)
    batch = ToyData().batch(IDS)
    drawn = torch.randint(
        3, (len(IDS),), generator=RunState.fresh(model, TASK, run.config, "split00", CPU).generators.drop
    )
    terms = sampled(run, batch, "here")
    heads = list(model.parts())
    own = [model.forward_only(heads[k], batch).logits[heads[k]][i] for i, k in enumerate(drawn)]
    expected = torch.nn.functional.cross_entropy(torch.stack(own), batch.targets)
    assert sum(terms[head] for head in heads) == pytest.approx(expected.item(), rel=1e-5)


def test_batch_without_the_drawn_modality_changes_nothing():
    model = Towers().train()
    before = copy_of(model)
    run = RunState.fresh(model, TASK, TrainingConfig(), "split00", CPU)
    batch = lacking(ToyData().batch(IDS), audio=EVERYONE)
    found = [sampled(run, batch, "here") for _ in range(12)]
    assert {frozenset(terms) for terms in found} == {
        frozenset(),
        frozenset({"visual", "visual_size", "total"}),
    }
    assert moved(model, before) == names_of(model, "visual.", "shared.", "heads.visual.")


@pytest.mark.parametrize("step", [joint, alternating, sampled])
def test_bfloat16_passes_train_float32_weights(step):
    model, seen = Towers().train(), []
    model.shared[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    before = copy_of(model)
    run = RunState.fresh(model, TASK, TrainingConfig(precision="bfloat16"), "split00", CPU)
    terms = step(run, ToyData().batch(IDS), "here")
    assert set(seen) == {torch.bfloat16}
    assert moved(model, before)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert terms["total"] == pytest.approx(sum(v for name, v in terms.items() if name != "total"), rel=1e-5)


def test_bfloat16_loss_is_that_of_float32_to_its_three_digits():
    losses = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        run = RunState.fresh(Towers().eval(), TASK, TrainingConfig(precision=precision), "split00", CPU)
        losses[precision] = joint(run, ToyData().batch(IDS), "here")["total"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=2e-2)
    assert losses["bfloat16"] != losses["float32"]
