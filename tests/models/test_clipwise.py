import pytest
import torch
from torch.nn import functional as F

from avemo.models import clipwise
from avemo.models.clipwise import ClipwiseAttention
from avemo.models.dropout import keep, toss

CLIPS, HEADS, STEPS, KEYS, WIDTH = 3, 2, 7, 5, 4


@pytest.fixture(params=[1, 2, 3], autouse=True)
def clips_at_a_time(request, monkeypatch):
    """Portions of one clip, of two and the one left over, and of all."""
    monkeypatch.setattr(clipwise, "CACHED", request.param * HEADS * STEPS * KEYS)


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    shapes = (STEPS, KEYS, KEYS)
    return [
        torch.randn(CLIPS, length, HEADS, WIDTH, dtype=torch.float32).transpose(1, 2).requires_grad_()
        for length in shapes
    ]


def masks():
    real = torch.arange(KEYS) < torch.tensor([[5], [3], [1]])
    later = torch.rand(CLIPS, 1, STEPS, KEYS) < 0.6
    later[..., 0] = True
    return {"open": real[:, None, None] | True, "padding": real[:, None, None], "each query": later}


@pytest.mark.parametrize("name", masks())
def test_equals_pytorch(tensors, name):
    """Outputs and all gradients, without dropout."""
    allowed, weight = masks()[name], torch.randn(CLIPS, HEADS, STEPS, WIDTH)
    ours = ClipwiseAttention.apply(*tensors, allowed, 0.0)
    theirs = F.scaled_dot_product_attention(*tensors, attn_mask=allowed)
    assert torch.allclose(ours, theirs, atol=1e-6)
    gradients = [torch.autograd.grad((y * weight).sum(), tensors) for y in (ours, theirs)]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, atol=1e-6)


def test_dropped_weights_by_definition(tensors):
    """(mask * softmax(QK^T / sqrt(K))) V with the same coins, differentiated by autograd."""
    allowed, weight = masks()["padding"], torch.randn(CLIPS, HEADS, STEPS, WIDTH)
    query, key, value = tensors
    torch.manual_seed(3)
    ours = ClipwiseAttention.apply(query, key, value, allowed, 0.3)
    torch.manual_seed(3)
    mask = keep(toss((CLIPS, HEADS, STEPS, KEYS)), 0.3)
    scores = (query @ key.transpose(2, 3) / WIDTH**0.5).masked_fill(~allowed, -torch.inf)
    theirs = (mask * scores.softmax(-1)) @ value
    assert 0 < (mask == 0).sum() < mask.numel()
    assert torch.allclose(ours, theirs, atol=1e-6)
    gradients = [torch.autograd.grad((y * weight).sum(), tensors) for y in (ours, theirs)]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, atol=1e-6)
