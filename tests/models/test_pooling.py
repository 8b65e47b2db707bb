import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn.functional import max_pool1d

from avemo.models.pooling import halved, last_valid, masked_mean


@st.composite
def padded(draw):
    x = draw(arrays.arrays(np.float64, (3, 6, 2), elements=st.floats(-9, 9)))
    return torch.from_numpy(x), draw(st.lists(st.integers(1, 6), min_size=3, max_size=3))


@given(padded())
def test_pooling_reads_real_frames_only(case):
    x, frames = case
    mask = torch.arange(6) < torch.tensor(frames)[:, None]
    last, mean = last_valid(x, mask), masked_mean(x, mask)
    for row, n in enumerate(frames):
        assert torch.equal(last[row], x[row, n - 1])
        np.testing.assert_allclose(mean[row], x[row, :n].numpy().mean(axis=0), atol=1e-12)


def test_frames_are_halved_as_pytorch_pools_sequences():
    for frames in (1, 2, 7, 8):
        x = torch.randint(3, (2, 3, frames)).float().requires_grad_()
        found, expected = halved(x), max_pool1d(x, 2, ceil_mode=True)
        assert torch.equal(found, expected)
        weight = torch.randn(found.shape)
        gradients = [torch.autograd.grad((weight * one).sum(), x)[0] for one in (found, expected)]
        assert torch.equal(*gradients)
