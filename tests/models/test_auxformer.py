import pytest
import torch

from pipeline.dataset.batch import Batch
from pipeline.models import build_model


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
    encoders = {name: part.positions for name, part in small().named_children() if hasattr(part, "positions")}
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
    again = once.aux_audio(once.aux_audio(batch.audio_BTD, mask), mask)
    token = again[torch.arange(3), mask.sum(1) - 1]
    assert torch.allclose(twice(batch).logits["audio"], once.aux_head_audio(token), atol=1e-6)
