import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avemo.models.pooling import last_valid, masked_mean


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
