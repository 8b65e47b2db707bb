"""The conformer block: positions, padding, statistics, and VAVL's two attention switches."""

import pytest
import torch
from pydantic import ValidationError

from avemo.models.conformer import (
    Conformer,
    ConformerBlock,
    ConformerConfig,
    FrameBatchNorm,
    FrameEncoder,
    interleaved_sinusoid,
    positions,
    shift,
)
from seeded_weights import seed_weights, seeded_input

SMALL = {"width": 16, "heads": 4, "depthwise_kernel": 5}


def conformer(**config):
    return seed_weights(Conformer(ConformerConfig(**SMALL | config), 6, 2)).eval()


def real(*lengths, frames):
    return torch.arange(frames) < torch.tensor(lengths)[:, None]


def test_block_has_the_published_count():
    """Width 512, feed-forward 2048, 8 heads, kernel 31."""
    with torch.device("meta"):
        block = ConformerBlock(ConformerConfig())
    assert sum(p.numel() for p in block.parameters()) == 6_323_200


def test_positions_by_hand():
    """Width 4: frequencies 1 and 1/100."""
    expected = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.841471, 0.540302, 0.0099998, 0.99995]])
    assert torch.allclose(interleaved_sinusoid(torch.tensor([0, 1]), 4), expected, atol=1e-6)


def test_shift_gives_each_pair_its_offset():
    """Scores that are the offset itself, T-1 .. -(T-1), must become t - s."""
    offsets = torch.arange(6, -7, -1.0).expand(2, 3, 7, 13)
    step = torch.arange(7.0)
    assert torch.equal(shift(offsets), (step[:, None] - step).expand(2, 3, 7, 7))


def test_attention_knows_relative_time_alone():
    """A block without positions' edge effects: shifting a clip inside silence shifts its output."""
    block = conformer().blocks[0]
    x = seeded_input(1, 30, 16, seed=3)
    outputs = []
    for begin in (4, 9):
        mask = torch.zeros(1, 40, dtype=torch.bool)
        mask[:, begin : begin + 30] = True
        frames = torch.zeros(1, 40, 16)
        frames[:, begin : begin + 30] = x
        offsets = positions(40, 16, False, x.device)
        outputs.append(block(frames, offsets, mask)[:, begin : begin + 30])
    assert torch.allclose(*outputs, atol=1e-5)


def test_order_matters():
    model, x = conformer(), seeded_input(1, 9, 6, seed=1)
    mask = torch.ones(1, 9, dtype=torch.bool)
    y = model(x, mask)
    assert (model(x.flip(1), mask).flip(1) - y).abs().max() > 1e-2


def test_padding_reaches_no_real_frame():
    model, x = conformer(), seeded_input(2, 12, 6, seed=1)
    mask = real(12, 7, frames=12)
    alone = model(x[1:, :7], mask[1:, :7])
    assert torch.allclose(model(x, mask)[1, :7], alone[0], atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_first_convolution_sees_its_kernel_and_no_padding(kernel):
    encoder = seed_weights(FrameEncoder(ConformerConfig(**SMALL, input_kernel=kernel), 6, 1)).eval()
    encoder.conformer = torch.nn.Identity()
    encoder.conformer.forward = lambda x, mask: x
    x, mask = seeded_input(1, 8, 6, seed=1), real(5, frames=8)
    other = x.clone()
    other[:, 4:] += 1.0
    changed = (encoder(x, mask) - encoder(other, mask)).abs().sum(-1)[0] > 1e-6
    first = 4 - kernel // 2
    assert changed.tolist() == [first <= t <= 4 + kernel // 2 for t in range(8)]


def test_batch_norm_counts_real_frames_only():
    """The same statistics as `torch.nn.BatchNorm1d` of the real frames."""
    ours, reference = FrameBatchNorm(3), torch.nn.BatchNorm1d(3)
    x, mask = seeded_input(4, 6, 3, seed=5) * 3 + 1, real(6, 2, 1, 4, frames=6)
    y = ours(x, mask)
    assert torch.allclose(y[mask], reference(x[mask]), atol=1e-6)
    assert y[~mask].abs().max() == 0
    assert torch.allclose(ours.running_var, reference.running_var)
    assert torch.allclose(ours.running_mean, reference.running_mean)


def test_one_frame_alone_trains_on_running_statistics():
    norm = FrameBatchNorm(3).train()
    y = norm(torch.ones(1, 1, 3), torch.ones(1, 1, dtype=torch.bool))
    assert torch.allclose(y, torch.full((1, 1, 3), 1 / (1 + 1e-5) ** 0.5))


def test_vendored_attention_changes_scale_and_positions():
    plain, vendored = (conformer(vendored_attention=v).blocks[0].attention for v in (False, True))
    assert plain.scale == 4**-0.5
    assert vendored.scale == 16**-0.5
    assert positions(5, 16, False, torch.device("cpu")).shape == (9, 16)
    assert positions(5, 16, True, torch.device("cpu")).shape == (5, 16)


def test_batch_axis_attention_mixes_clips_and_not_time():
    """The released layout: one frame's change stays at its time and reaches the other clips."""
    model = conformer(batch_axis_attention=True)
    x, mask = seeded_input(3, 8, 6, seed=1), torch.ones(3, 8, dtype=torch.bool)
    other = x.clone()
    other[0, 5] += 1.0
    changed = (model(x, mask) - model(other, mask)).abs().amax(-1) > 1e-6
    assert changed.tolist() == [[t == 5 for t in range(8)]] * 3


def test_sizes_are_checked():
    with pytest.raises(ValidationError, match="expected an odd number"):
        ConformerConfig(depthwise_kernel=4)
    with pytest.raises(ValidationError, match="not a multiple of heads"):
        ConformerConfig(width=10, heads=4)
