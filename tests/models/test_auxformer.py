from dataclasses import replace

import pytest
import torch

from avemo.base.contracts import AvemoError
from avemo.dataset.batch import Batch
from avemo.models import build_model
from avemo.models.attention import Encoder
from avemo.models.auxformer import AuxFormer


def small(**config):
    torch.manual_seed(0)
    sizes = {"width": 8, "heads": 2, "layers": 2} | config
    return build_model("auxformer", audio_dim=8, visual_dim=10, outputs=4, **sizes).eval()


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    audio_mask = torch.arange(12) < torch.tensor([[12], [7], [1]])
    visual_mask = torch.arange(5) < torch.tensor([[2], [5], [4]])
    return Batch(
        torch.randn(3, 12, 8, generator=draw),
        torch.randn(3, 5, 10, generator=draw),
        audio_mask,
        visual_mask,
        torch.tensor([0, 1, 2]),
        ["a", "b", "c"],
    )


@pytest.mark.parametrize(("absent", "present"), [("audio", "visual"), ("visual", "audio")])
def test_auxiliary_heads_hear_one_modality(batch, absent, present):
    """A zeroed input leaves its own head constant over clips and the other's head unchanged."""
    model = small()
    whole, half = model(batch).logits, model(batch.without(absent)).logits
    assert torch.allclose(half[absent], half[absent][:1].expand(3, -1), atol=1e-6)
    assert not torch.allclose(whole[absent], whole[absent][:1].expand(3, -1), atol=1e-2)
    assert torch.equal(half[present], whole[present])


def test_prediction_is_the_mean_of_three_logit_vectors(batch):
    outputs = small()(batch)
    assert list(outputs.logits) == ["av", "audio", "visual"]
    expected = (outputs.logits["av"] + outputs.logits["audio"] + outputs.logits["visual"]) / 3
    assert torch.allclose(outputs.prediction, expected, atol=1e-6)


def test_positions_enter_the_cross_encoders_only():
    encoders = {name: part.positions for name, part in small().named_modules() if isinstance(part, Encoder)}
    assert len(encoders) == 6
    assert {name for name, positions in encoders.items() if positions} == {"cross_audio", "cross_visual"}


def test_fusion_head_by_hand():
    """z = ReLU(W2 ReLU(W1 t + b1) + b2) + t, then logits (section 4.2)."""
    torch.manual_seed(0)
    head, t = small().head, torch.randn(3, 16)
    w1, b1, w2, b2, w3, b3 = (p.detach() for p in head.parameters())
    z = ((t @ w1.T + b1).clamp(min=0) @ w2.T + b2).clamp(min=0) + t
    assert torch.allclose(head(t), z @ w3.T + b3, atol=1e-6)


def test_baseline_1_has_the_main_network_only(batch):
    outputs = small(auxiliary=False)(batch)
    assert list(outputs.logits) == ["av"]
    assert torch.equal(outputs.prediction, outputs.logits["av"])


def test_auxiliary_head_is_shared_by_default():
    shared = small()
    assert shared.aux_head_audio is shared.aux_head_visual
    separate = small(separate_aux_heads=True)
    assert separate.aux_head_audio is not separate.aux_head_visual


def test_repeats_apply_the_auxiliary_encoder_again(batch):
    once, twice = small(), small(aux_repeats=2)
    twice.load_state_dict(once.state_dict())
    mask = batch.audio_mask_BT
    encoder = once.aux_audio.encoder
    again = encoder(encoder(batch.audio_BTD, mask), mask)
    token = again[torch.arange(3), mask.sum(1) - 1]
    assert torch.allclose(twice(batch).logits["audio"], once.aux_head_audio(token), atol=1e-6)


def test_the_released_head_is_linear_in_its_second_layer():
    head, t = small(published_mlp=True).head, torch.randn(3, 16)
    w1, b1, w2, b2, w3, b3 = (p.detach() for p in head.parameters())
    z = (t @ w1.T + b1).clamp(min=0) @ w2.T + b2 + t
    assert torch.allclose(head(t), z @ w3.T + b3, atol=1e-6)
    assert not torch.allclose(head(t), small().head(t), atol=1e-2)


def test_depth_of_a_branch():
    def depths(**config):
        model = small(layers=5, **config)
        return [len(x.blocks) for x in (model.cross_audio, model.self_audio.encoder, model.aux_audio.encoder)]

    assert depths() == [5, 5, 5]
    assert depths(fusion_depth="together") == [3, 2, 5]


@pytest.mark.parametrize("causal", [True, False])
def test_a_learned_frame_sees_every_real_frame(batch, causal):
    """Zeroing any frame of clip b moves its audio logits, and no other clip's; padding moves none."""
    model = small(token="cls", causal=causal)
    before = model(batch).logits["audio"]
    for step in range(12):
        changed = replace(batch, audio_BTD=batch.audio_BTD.clone())
        changed.audio_BTD[1, step] = 0
        moved = (model(changed).logits["audio"] - before).abs().amax(dim=1) > 1e-6
        assert moved.tolist() == [False, step < 7, False]


def test_the_mean_as_token(batch):
    model = small(token="mean")
    y = model.aux_audio.encoder(batch.audio_BTD, batch.audio_mask_BT)
    means = torch.stack([y[row, :n].mean(0) for row, n in enumerate((12, 7, 1))])
    assert torch.allclose(model(batch).logits["audio"], model.aux_head_audio(means), atol=1e-6)


def test_dropout_of_attention_outputs():
    """The probability moves from the embeddings to what the attention layers put out."""
    x, mask = torch.rand(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    for moved in (False, True):
        encoder = small(attn_out_dropout=moved).train().aux_audio.encoder
        assert bool((encoder._embed(x, mask) == 0).any()) is not moved
        assert {block.attention_out.p for block in encoder.blocks} == {0.25 if moved else 0.0}
        block = encoder.blocks[0].eval()
        block.attention_out.train()
        outputs = [block(x, None, mask[:, None, None]) for _ in range(2)]
        assert torch.equal(*outputs) is not moved


def test_published_padding_is_read_as_frames(batch):
    """Zero frames move every head, as much as in the released code (order 1 with random weights)."""
    model = small(as_published_padding=True)
    longer = replace(
        batch,
        audio_BTD=torch.nn.functional.pad(batch.audio_BTD, (0, 0, 0, 25)),
        audio_mask_BT=torch.nn.functional.pad(batch.audio_mask_BT, (0, 25)),
    )
    before, after = model(batch).logits, model(longer).logits
    assert (before["audio"] - after["audio"]).abs().max() > 0.1
    assert (before["av"] - after["av"]).abs().max() > 0.1


def test_published_padding_to_a_common_length(batch):
    """With the corpus' longest given, a clip's logits depend on no other clip again."""
    model = small(as_published_padding=True, padded_frames=(20, 9))
    alone = Batch(
        *(x[1:2, :n] for x, n in zip(tensors(batch), (7, 5, 7, 5), strict=True)), batch.targets[1:2]
    )
    for name, logits_BC in model(alone).logits.items():
        assert torch.allclose(logits_BC[0], model(batch).logits[name][1], atol=1e-5)
    with pytest.raises(AvemoError, match="expected at most 20 and 4; raise padded_frames"):
        small(as_published_padding=True, padded_frames=(20, 4))(batch)


def tensors(batch):
    return batch.audio_BTD, batch.visual_BTD, batch.audio_mask_BT, batch.visual_mask_BT


def test_one_pair_of_scales_for_all_layers_of_a_branch():
    torch.manual_seed(0)
    model = build_model(
        "auxformer", audio_dim=8, visual_dim=10, outputs=4, width=8, heads=2, common_scales=True
    )
    branches = model.self_audio.encoder.blocks, model.self_visual.encoder.blocks
    scales = [{id(block.alpha) for block in blocks} for blocks in branches]
    assert [len(found) for found in scales] == [1, 1]
    assert scales[0] != scales[1]
    assert all(block.alpha is None for block in model.aux_audio.encoder.blocks)


def test_the_bundle_sets_every_switch_of_the_released_code():
    config = AuxFormer.Config(as_published_code=True)
    switches = {"causal": True, "as_published_padding": True, "tied_alpha": True, "published_mlp": True}
    assert config.model_dump() == AuxFormer.Config(**switches, aux_repeats=3).model_dump() | {
        "as_published_code": True
    }
    assert AuxFormer.Config(as_published_code=True, aux_repeats=1).aux_repeats == 1
    assert AuxFormer.Config(**config.model_dump()) == config


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_single_modality_variant(batch, modality):
    """Two heads, their mean, and only the last encoders scaled or repeated (section 5.2)."""
    sizes = {"width": 8, "heads": 2, "layers": 2, "aux_repeats": 2, "modality": modality}
    model = build_model("auxformer_unimodal", audio_dim=8, visual_dim=10, outputs=4, **sizes).eval()
    outputs = model(batch)
    main, auxiliary = outputs.logits[modality], outputs.logits[f"{modality}_auxiliary"]
    assert torch.allclose(outputs.prediction, (main + auxiliary) / 2, atol=1e-6)
    scaled = [
        block.alpha is not None for part in (model.plain, model.scaled.encoder) for block in part.blocks
    ]
    assert scaled == [False, False, True, True]
    other = {"audio": "visual", "visual": "audio"}[modality]
    assert torch.equal(model(batch.without(other)).prediction, outputs.prediction)
    x, mask = batch.frames(modality)
    token = model.auxiliary.encoder(model.auxiliary.encoder(model.project(x), mask), mask)
    token = token[torch.arange(3), mask.sum(1) - 1]
    assert torch.allclose(auxiliary, model.auxiliary_head(token), atol=1e-6)
