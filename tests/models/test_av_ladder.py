from functools import partial

import pytest
import torch
from pydantic import ValidationError

from avemo.dataset.batch import Batch
from avemo.models import build_model
from avemo.models.av_ladder import AVLadder, cut
from avemo.models.ladder import add_gaussian

NO_DROPOUT = {
    f"{place}_dropout": 0.0
    for place in ("embedding", "attention", "cross_attention", "relu", "residual", "head")
}
HEADS = ["av", "audio", "visual"]


def small(**config):
    torch.manual_seed(0)
    sizes = {"width": 8, "heads": 2, "layers": 1, "length": 16, "channels": (6, 4), "hidden": (7, 5)}
    return build_model("av_ladder", audio_dim=8, visual_dim=10, outputs=4, **(sizes | config)).train()


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    return Batch(
        torch.randn(6, 14, 8, generator=draw),
        torch.randn(6, 9, 10, generator=draw),
        torch.arange(14) < torch.randint(8, 15, (6, 1), generator=draw),
        torch.arange(9) < torch.randint(4, 10, (6, 1), generator=draw),
        torch.randint(0, 4, (6,), generator=draw),
        list("abcdef"),
    )


def generator():
    return torch.Generator().manual_seed(7)


def noise(variance):
    return partial(add_gaussian, variance=variance, generator=generator())


def total_loss(outputs, target_B):
    supervised = [torch.nn.functional.cross_entropy(x, target_B) for x in outputs.logits.values()]
    return torch.stack(supervised).mean(), sum(outputs.losses.values())


def select_noisy(decoder):
    for g in decoder.combinators:
        for p in g.parameters():
            p.data.zero_()
        g.hidden.weight.data[0, 1], g.hidden.weight.data[1, 1] = 1.0, -1.0
        g.out.weight.data[0, :2] = torch.tensor([1.0, -1.0]) / 1.01


def test_noise_free_path_is_the_clean_path(batch):
    """In evaluation, bit for bit; with noise it is not."""
    model = small()
    model(batch, generator())
    model.eval()
    clean = model.climb(model.represent(batch))
    for variance in (0.0, 0.2):
        noisy = model.climb(model.represent(batch, noise(variance)), noise(variance))
        for name in HEADS:
            same = torch.equal(clean[name].logits_BC, noisy[name].logits_BC)
            assert same == (variance == 0)


def test_noise_enters_at_inputs_backbone_outputs_and_ladder_layers(batch):
    seen = []

    def record(x):
        seen.append(tuple(x.shape[1:]))
        return x + 1

    model = small().eval()
    clean, noisy = model.represent(batch), model.represent(batch, record)
    inputs, backbone = [(14, 8), (9, 10)], 2 * [(14, 8), (9, 8)]
    assert sorted(seen) == sorted(inputs + backbone)
    assert all(not torch.allclose(clean[name], noisy[name], atol=1e-3) for name in HEADS)
    seen.clear()
    model.climb(noisy, record)
    assert seen == 3 * [(7,), (5,)]


def test_noise_repeats_with_the_generator(batch):
    model = small(**NO_DROPOUT)
    first, second = model(batch, generator()), model(batch, generator())
    assert torch.equal(first.logits["av"], second.logits["av"])
    other = model(batch, torch.Generator().manual_seed(8))
    assert not torch.equal(first.logits["av"], other.logits["av"])
    assert torch.equal(first.prediction, other.prediction)


@pytest.mark.parametrize("dropout", [True, False])
def test_the_clean_pass_of_training_can_do_without_dropout(batch, dropout):
    """With it, two clean passes over one batch differ; the noisy pass has it in any case."""
    model = small(clean_dropout=dropout, noise_variance=0.0)
    first, second = model(batch, generator()), model(batch, generator())
    assert torch.equal(first.prediction, second.prediction) != dropout
    assert not torch.equal(first.logits["av"], second.logits["av"])
    assert all(module.training for module in model.modules())
    # Statistics of the batch all the same, and into the running ones.
    assert model.encoders["av"].norms[0].mean.abs().max() > 0
    total_loss(first, batch.targets)[1].backward()
    assert model.cross_audio.blocks[0].attention.project_in.weight.grad.abs().max() > 0


def test_the_other_reading_of_ablation_1_keeps_both_modalities_supervised(batch):
    """Only the cost across modalities goes; its decoders with it, and no more."""
    whole, model = small(), small(cross_reconstruction=False)
    outputs = model(batch, generator())
    assert list(outputs.logits) == HEADS
    assert list(model.decoders) == ["av"]
    (outputs.losses["reconstruction"] + sum(x.sum() for x in outputs.logits.values())).backward()
    assert model.unimodal_audio.blocks[0].attention.project_in.weight.grad.abs().max() > 0
    missing = {name.split(".")[1] for name in whole.state_dict().keys() - model.state_dict().keys()}
    assert missing == {"audio_to_visual", "visual_to_audio"}
    with pytest.raises(ValidationError, match="expected true with ladders 'cross_layer'"):
        AVLadder.Config(ladders="cross_layer", cross_reconstruction=False)


def test_evaluation_is_clean(batch):
    model = small()
    model(batch, generator())
    outputs = model.eval()(batch)
    assert outputs.losses == {}
    assert list(outputs.logits) == HEADS
    mean = sum(outputs.logits[name] for name in HEADS) / 3
    assert torch.allclose(outputs.prediction, mean, atol=1e-6)


def test_evaluation_with_noise_has_the_training_loss(batch):
    """For selecting epochs by it: as in training, but with running statistics and without dropout."""
    model = small(**NO_DROPOUT)
    model(batch, generator())
    outputs = model.eval()(batch, generator())
    draw = generator()
    disturb = partial(add_gaussian, variance=0.2, generator=draw)
    noisy = model.climb(model.represent(batch, disturb), disturb)
    expected = model.reconstruction(noisy, model.climb(model.represent(batch)))
    assert torch.allclose(outputs.losses["reconstruction"], expected)
    assert torch.equal(outputs.prediction, model(batch).prediction)


def test_zero_weights_leave_the_supervised_loss(batch):
    model = small(reconstruction_weights=(0.0, 0.0, 0.0))
    supervised, unsupervised = total_loss(model(batch, generator()), batch.targets)
    total = supervised + unsupervised
    assert torch.equal(total, supervised)
    total.backward()
    assert all(not p.grad.any() for p in model.decoders.parameters())


def test_loss_is_linear_in_its_weights_and_halves_cross_terms(batch):
    """Eq. 4 put together from costs measured one layer and one route at a time."""
    weights = (0.3, 0.7, 0.2)

    def cost(*layers):
        model = small(**NO_DROPOUT, reconstruction_weights=layers)
        return model(batch, generator()).losses["reconstruction"]

    parts = [cost(*(float(layer == one) for layer in range(3))) for one in range(3)]
    whole = cost(*weights)
    assert torch.allclose(whole, sum(w * p for w, p in zip(weights, parts, strict=True)), rtol=1e-5)

    model = small(**NO_DROPOUT, reconstruction_weights=weights)
    noisy = model.climb(model.represent(batch, noise(0.2)), noise(0.2))
    clean = model.climb(model.represent(batch))

    def mse(route, source, target):
        layers = zip(
            weights, model.decoders[route](noisy[source], noisy[source]), clean[target].z, strict=True
        )
        return sum(w * ((a - b) ** 2).mean() for w, a, b in layers)

    expected = mse("av", "av", "av")
    expected += 0.5 * (mse("audio_to_visual", "audio", "visual") + mse("visual_to_audio", "visual", "audio"))
    assert torch.allclose(model.reconstruction(noisy, clean), expected, rtol=1e-5)


def test_perfect_lateral_connection(batch):
    """g selecting its lateral input, no noise: AV costs 0, cross ladders cost MSE(z_A, z_V)."""
    model = small(**NO_DROPOUT)
    for decoder in model.decoders.values():
        select_noisy(decoder)
    noisy = model.climb(model.represent(batch, noise(0.0)), noise(0.0))
    clean = model.climb(model.represent(batch))
    weights = model.config.reconstruction_weights
    layers = zip(weights, clean["audio"].z, clean["visual"].z, strict=True)
    gap = sum(w * ((a - v) ** 2).mean() for w, a, v in layers)
    assert torch.allclose(model.reconstruction(noisy, clean), gap, rtol=1e-4)


def test_swapping_the_modalities_changes_no_loss(batch):
    """After the CNNs: sentence vectors swapped together with their ladders."""
    model = small(**NO_DROPOUT)
    noisy_x, clean_x = model.represent(batch, noise(0.2)), model.represent(batch)

    def losses():
        noisy = model.climb(noisy_x, lambda z: z)
        logits = {name: encoding.logits_BC for name, encoding in noisy.items()}
        supervised = sum(torch.nn.functional.cross_entropy(x, batch.targets) for x in logits.values()) / 3
        return supervised + model.reconstruction(noisy, model.climb(clean_x))

    before = losses()
    for pair in (noisy_x, clean_x, model.encoders):
        pair["audio"], pair["visual"] = pair["visual"], pair["audio"]
    assert not torch.allclose(before, losses(), rtol=1e-4)
    decoders = model.decoders
    decoders["audio_to_visual"], decoders["visual_to_audio"] = (
        decoders["visual_to_audio"],
        decoders["audio_to_visual"],
    )
    assert torch.allclose(before, losses(), rtol=1e-5)


@pytest.mark.parametrize(
    ("ladders", "heads"), [("audiovisual", ["av"]), ("cross_layer", ["audio", "visual"])]
)
def test_ablations_train(batch, ladders, heads):
    model = small(ladders=ladders)
    outputs = model(batch, generator())
    assert list(outputs.logits) == heads
    sum(total_loss(outputs, batch.targets)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_frames_after_the_common_length_are_cut(batch):
    model = small(length=8)
    model(batch, generator())
    model.eval()
    assert torch.equal(model(batch).prediction, model(cut(batch, 8)).prediction)
    assert not torch.allclose(model(batch).prediction, model(cut(batch, 7)).prediction)


def test_sizes_must_agree():
    with pytest.raises(ValidationError, match=r"need 3 reconstruction_weights .* found 2"):
        AVLadder.Config(reconstruction_weights=(0.5, 0.5))
    with pytest.raises(ValidationError, match="raise it to at least 8"):
        AVLadder.Config(length=7)


def test_noise_after_the_cnns(batch):
    """Inputs and sentence vectors are disturbed, the backbone's outputs are not."""
    seen = []

    def record(x):
        seen.append(tuple(x.shape[1:]))
        return x

    small(noise_after_cnn=True).eval().represent(batch, record)
    assert seen == [(14, 8), (9, 10), *4 * [(16,)]]


def climbed(model, batch):
    noisy = model.climb(model.represent(batch, noise(0.2)), noise(0.2))
    return noisy, model.climb(model.represent(batch))


def test_clean_product(batch):
    """g is given the clean target: of the own ladder, of the other modality in a cross ladder."""
    model = small(**NO_DROPOUT, clean_product=True)
    noisy, clean = climbed(model, batch)

    def cost(route, source, target):
        estimates = model.decoders[route](noisy[source], clean[target])
        layers = zip((0.5, 0.5, 0.1), estimates, clean[target].z, strict=True)
        return sum(w * ((a - b) ** 2).mean() for w, a, b in layers)

    expected = cost("av", "av", "av")
    expected += 0.5 * (
        cost("audio_to_visual", "audio", "visual") + cost("visual_to_audio", "visual", "audio")
    )
    assert torch.allclose(model.reconstruction(noisy, clean), expected, rtol=1e-5)
    plain = small(**NO_DROPOUT)
    assert not torch.allclose(plain.reconstruction(noisy, clean), expected, rtol=1e-2)


def test_rasmus_normalisation_raises_the_initial_cost(batch):
    """Much, as the clean layers' spread is small at first (hence not the default)."""
    costs = []
    for switch in (False, True):
        model = small(**NO_DROPOUT, rasmus_norm=switch)
        costs.append(float(model.reconstruction(*climbed(model, batch)).detach()))
    assert costs[1] > 5 * costs[0]


@pytest.mark.parametrize("detach", [False, True])
def test_gradient_into_the_targets(batch, detach):
    model = small(**NO_DROPOUT, detach_targets=detach)
    noisy, clean = climbed(model, batch)
    for encoding in clean.values():
        for z in encoding.z:
            z.retain_grad()
    model.reconstruction(noisy, clean).backward()
    reached = [z.grad is not None and bool(z.grad.any()) for e in clean.values() for z in e.z]
    assert all(reached) is not detach
    assert any(reached) is not detach


def test_logits_on_top(batch):
    model = small(logits_top=True)
    noisy = model.climb(model.represent(batch), lambda z: z)
    assert {tuple(z.shape[1] for z in e.z[1:]) for e in noisy.values()} == {(7, 4)}
    assert not any("classifier" in name for name, _ in model.named_parameters())
    sum(total_loss(model(batch, generator()), batch.targets)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_published_padding_reaches_the_common_length(batch):
    """Encoders run over all N frames of both modalities: padding beyond the batch already counts."""
    open_ended, masked = small(as_published_padding=True), small()
    lengths = []
    open_ended.unimodal_visual.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    model_logits = open_ended.eval()(batch).prediction
    assert lengths == [16]
    assert not torch.allclose(model_logits, masked.eval()(batch).prediction, atol=1e-3)
    with pytest.raises(ValidationError, match="leave it out"):
        AVLadder.Config(padded_frames=(5, 5))


def test_depth_of_a_branch():
    def depths(**config):
        model = small(layers=5, **config)
        return [len(x.blocks) for x in (model.cross_visual, model.self_visual, model.unimodal_visual)]

    assert depths() == [5, 5, 5]
    assert depths(fusion_depth="together") == [3, 2, 5]
