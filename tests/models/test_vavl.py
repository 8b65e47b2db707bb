"""VAVL: parts and what each step touches, unpaired clips, ablations, switches of the released code."""

import pytest
import torch

from avemo.models import build_model
from model_batches import lacking, random_batch

SIZES = {"width": 8, "heads": 2, "layers": 2, "embedding": 5, "depthwise_kernel": 5, "hidden": (8, 6)}


def vavl(**config):
    torch.manual_seed(0)
    return build_model("vavl", audio_dim=6, visual_dim=10, outputs=4, **SIZES | config).eval()


def test_parts_cover_the_model_and_share_the_shared_layers():
    model = vavl()
    parts = {
        name: {id(p) for m in modules for p in m.parameters()} for name, modules in model.parts().items()
    }
    assert list(parts) == ["audio", "visual", "av"]
    assert parts["audio"] | parts["visual"] | parts["av"] == {id(p) for p in model.parameters()}
    assert parts["audio"] & parts["visual"] == {id(p) for p in model.shared.parameters()}
    assert not parts["av"] & (parts["audio"] | parts["visual"])


def test_a_clip_is_answered_by_the_head_of_what_it_has():
    """Algorithm 1, lines 17-22, in one batch."""
    model, batch = vavl(), lacking(random_batch(), audio=[1], visual=[2])
    outputs = model(batch)
    for row, head in enumerate(("av", "visual", "audio", "av", "av")):
        assert torch.equal(outputs.prediction[row], outputs.logits[head][row])


@pytest.mark.parametrize(("config", "rates"), [({}, [0.2, 0.2]), ({"dropout_after": "first"}, [0.2, 0.0])])
def test_dropout_follows_both_hidden_layers_of_a_head_or_the_first(config, rates):
    """Section 4.3 has it in the fully connected layers, the released code after the first."""
    model = vavl(**config)
    for head in (model.audio.head, model.visual.reconstruct, model.av):
        assert [m.p for m in head.modules() if isinstance(m, torch.nn.Dropout)] == rates
    assert vavl(as_published_code=True).config.dropout_after == "first"


@pytest.mark.parametrize("head", ["audio", "visual", "av"])
def test_one_pass_is_that_head_of_the_whole(head):
    model, batch = vavl(), random_batch()
    alone, whole = model.forward_only(head, batch), model(batch)
    assert torch.equal(alone.logits[head], whole.logits[head])
    assert list(alone.logits) == [head]
    expected = {} if head == "av" else {"reconstruction": whole.losses[f"{head}_reconstruction"]}
    assert alone.losses == expected


def test_without_a_modality_only_the_other_head_answers():
    model, batch = vavl(), random_batch()
    outputs = model(batch.without("audio"))
    assert list(outputs.logits) == ["visual"]
    assert torch.equal(outputs.prediction, model(batch).logits["visual"])


def test_reconstruction_is_alpha_times_the_error_of_the_mean_input():
    batch = random_batch()
    doubled, single = (vavl(alpha=alpha).forward_only("audio", batch) for alpha in (2.0, 1.0))
    assert torch.allclose(doubled.losses["reconstruction"], 2 * single.losses["reconstruction"])
    model = vavl(alpha=1.0)
    rebuilt = model.audio.reconstruct(model.represent("audio", batch))
    means = [x[mask].mean(0) for x, mask in zip(batch.audio_BTD, batch.audio_mask_BT, strict=True)]
    assert torch.allclose(single.losses["reconstruction"], (rebuilt - torch.stack(means)).square().mean())


def test_clips_without_a_modality_do_not_count_in_its_reconstruction():
    model, batch = vavl(), lacking(random_batch(), audio=[0, 1])
    kept = batch.select(batch.has_audio_B)
    assert torch.allclose(
        model(batch).losses["audio_reconstruction"], model(kept).losses["audio_reconstruction"]
    )


def test_x_pool_padded_divides_by_the_batch_length():
    batch = random_batch()
    rebuilt = vavl().audio.reconstruct(vavl().represent("audio", batch))
    expected = 2.0 * (rebuilt - batch.audio_BTD.mean(1)).square().mean()
    assert torch.allclose(
        vavl(x_pool="padded").forward_only("audio", batch).losses["reconstruction"], expected
    )


def test_ablation_1_leaves_out_the_residual():
    model, ablated, batch = vavl(), vavl(shared_residual=False), random_batch()
    ablated.load_state_dict(model.state_dict())
    assert (model(batch).prediction - ablated(batch).prediction).abs().max() > 1e-3


def test_ablation_2_reconstructs_nothing():
    assert vavl(reconstruction=False)(random_batch()).losses == {}


def test_ablation_3_averages_the_unimodal_outputs():
    model, batch = vavl(av_head=False), random_batch()
    outputs = model(batch)
    assert set(outputs.logits) == set(model.parts()) == {"audio", "visual"}
    assert torch.allclose(outputs.prediction, (outputs.logits["audio"] + outputs.logits["visual"]) / 2)


def test_published_mlp_has_no_second_activation():
    """Without it the second hidden layer is linear in what the first one gives."""
    plain, published = vavl(), vavl(published_mlp=True)
    hidden = torch.randn(3, 8)
    for model, linear in ((plain, False), (published, True)):
        second = model.av[3:]
        middle = second((hidden + 2 * hidden.flip(0)) / 3)
        between = (second(hidden) + 2 * second(hidden.flip(0))) / 3
        assert torch.allclose(middle, between, atol=1e-6) is linear


def test_published_padding_counts():
    batch = random_batch()
    assert (vavl()(batch).prediction - vavl(as_published_padding=True)(batch).prediction).abs().max() > 1e-3


def test_as_published_code_sets_every_switch_and_gives_way():
    config = vavl(as_published_code=True).config
    assert {name: getattr(config, name) for name in config.published} == config.published
    assert vavl(as_published_code=True, batch_axis_attention=False).config.batch_axis_attention is False
    assert vavl().config.batch_axis_attention is False


def test_published_layout_fails_batch_independence():
    """The proof that the battery's test of it can fail."""
    batch = random_batch(equal=True)
    for layout, independent in ((False, True), (True, False)):
        model = vavl(as_published_code=True, batch_axis_attention=layout)
        together = model(batch).logits["audio"]
        alone = torch.cat([model(batch.select(torch.arange(5) == row)).logits["audio"] for row in range(5)])
        assert torch.allclose(together, alone, atol=1e-5, rtol=0) is independent
