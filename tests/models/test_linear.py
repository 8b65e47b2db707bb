"""PyTorch's own linear layer is the reference; no public implementation uses another."""

import pytest
import torch
from torch import nn

from avemo.models.linear import Linear


@pytest.mark.parametrize("shape", [(5, 7, 48), (9, 48), (48,), (0, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients(shape, bias):
    torch.manual_seed(0)
    ours, theirs = Linear(48, 33, bias=bias), nn.Linear(48, 33, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x, weights = torch.randn(shape, requires_grad=True), torch.randn(*shape[:-1], 33)
    found = [
        [y := layer(x), *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])]
        for layer in (ours, theirs)
    ]
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, atol=1e-5)


def test_frames_that_lie_time_first():
    torch.manual_seed(0)
    layer, x = Linear(48, 33), torch.randn(7, 5, 48, requires_grad=True)
    (layer(x.transpose(0, 1)) ** 2).sum().backward()
    with torch.no_grad():
        y = nn.functional.linear(x, layer.weight, layer.bias)
        assert torch.allclose(layer(x.transpose(0, 1)), y.transpose(0, 1), atol=1e-5)
    assert torch.allclose(x.grad, 2 * y @ layer.weight, atol=1e-4)


def test_frozen_weights_get_no_gradient():
    layer, x = Linear(4, 3).requires_grad_(False), torch.randn(2, 4, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert torch.allclose(x.grad, layer.weight.sum(0).expand(2, 4), atol=1e-6)


def test_autocast_keeps_its_precision():
    with torch.autocast("cpu", torch.bfloat16):
        assert Linear(4, 3)(torch.randn(2, 4)).dtype == torch.bfloat16
