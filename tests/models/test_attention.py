import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from avemo.base.contracts import AvemoError
from avemo.dataset.batch import Batch
from avemo.models import MODELS, build_model
from avemo.models.attention import (
    Attention,
    Block,
    Encoder,
    TransformerConfig,
    attend,
    attention_mask,
    lengths,
    projection,
    require_frames,
    sinusoid,
)
from avemo.models.conformer import RelativeAttention
from model_batches import AUDIO_DIM, OUTPUTS, VISUAL_DIM
from model_batches import random_batch as model_batch
from small_systems import small

CONFIG = TransformerConfig(width=12, heads=3, layers=2)
MASK = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


def torch_block(block):
    """PyTorch's own pre-norm layer with the weights of ``block``."""
    layer = torch.nn.TransformerEncoderLayer(12, 3, 48, batch_first=True, norm_first=True).eval()
    pairs = {
        "self_attn.in_proj_weight": block.attention.project_in.weight,
        "self_attn.in_proj_bias": block.attention.project_in.bias,
        "self_attn.out_proj.weight": block.attention.project_out.weight,
        "self_attn.out_proj.bias": block.attention.project_out.bias,
        "linear1.weight": block.ffn[0].weight,
        "linear1.bias": block.ffn[0].bias,
        "linear2.weight": block.ffn[3].weight,
        "linear2.bias": block.ffn[3].bias,
        "norm1.weight": block.norm_attention.weight,
        "norm1.bias": block.norm_attention.bias,
        "norm2.weight": block.norm_ffn.weight,
        "norm2.bias": block.norm_ffn.bias,
    }
    layer.load_state_dict({key: value.detach() for key, value in pairs.items()})
    return layer


def randomise(module):
    for p in module.parameters():
        p.data = torch.randn_like(p) / 3
    return module.eval()


def test_block_equals_pytorch():
    torch.manual_seed(0)
    block, x = randomise(Block(CONFIG, 0.0, "plain")), torch.randn(2, 7, 12)
    ours = block(x, None, attention_mask(MASK, MASK, causal=False))
    theirs = torch_block(block)(x, src_key_padding_mask=~MASK)
    assert torch.allclose(ours[MASK], theirs[MASK], atol=1e-5)


def test_cross_attention_equals_pytorch():
    torch.manual_seed(0)
    ours = randomise(Attention(12, 3, 0.0))
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True).eval()
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.project_in.weight,
            "in_proj_bias": ours.project_in.bias,
            "out_proj.weight": ours.project_out.weight,
            "out_proj.bias": ours.project_out.bias,
        }
    )
    query, key = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    expected, _ = theirs(query, key, key, key_padding_mask=~MASK)
    assert torch.allclose(ours(query, key, MASK[:, None, None]), expected, atol=1e-5)


def test_cross_block_by_hand():
    """Query and memory share the first layer norm."""
    torch.manual_seed(0)
    block, x, memory = randomise(Block(CONFIG, 0.0, "plain")), torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    allowed = MASK[:, None, None]
    y = x + block.attention(block.norm_attention(x), block.norm_attention(memory), allowed)
    assert torch.allclose(block(x, memory, allowed), y + block.ffn(block.norm_ffn(y)), atol=1e-6)


def test_inputs_are_scaled_by_the_root_of_the_width():
    embedded = Encoder(CONFIG).eval()._embed(torch.ones(2, 7, 12), MASK)
    assert torch.allclose(embedded, torch.full((2, 7, 12), 12**0.5))


@pytest.mark.parametrize("residual", ["tied", "independent"])
def test_scaled_residuals(residual):
    """alpha x + beta f(x) in both sublayers, by hand from the block's own pieces."""
    torch.manual_seed(0)
    block, x = randomise(Block(CONFIG, 0.0, residual)), torch.randn(2, 7, 12)
    alpha = block.alpha
    beta = block.beta if residual == "independent" else 1 - alpha
    allowed = attention_mask(MASK, MASK, causal=False)
    normed = block.norm_attention(x)
    y = alpha * x + beta * block.attention(normed, normed, allowed)
    expected = alpha * y + beta * block.ffn(block.norm_ffn(y))
    assert torch.allclose(block(x, None, allowed), expected, atol=1e-6)


def test_scales_start_in_the_unit_interval():
    blocks = [Block(CONFIG, 0.0, "independent") for _ in range(50)]
    for block in blocks:
        assert 0 <= block.alpha < 1
        assert (block.alpha + block.beta).item() == pytest.approx(1)
    assert len({block.alpha.item() for block in blocks}) == 50


@pytest.mark.parametrize("width", [8, 13, 130, 155])
def test_sinusoid_equals_numpy(width):
    half = width // 2
    angle = np.outer(np.arange(1, 51), 10000.0 ** (-np.arange(half) / (half - 1)))
    expected = np.concatenate([np.sin(angle), np.cos(angle), np.zeros((50, width % 2))], axis=1)
    np.testing.assert_allclose(sinusoid(50, width).numpy(), expected, atol=1e-5)


def test_output_is_as_long_as_the_query():
    encoder = Encoder(CONFIG, cross=True, positions=True).eval()
    memory_mask = torch.ones(2, 11, dtype=torch.bool)
    assert encoder(torch.randn(2, 7, 12), MASK, torch.randn(2, 11, 12), memory_mask).shape == (2, 7, 12)


def test_padding_gets_no_position_and_zero_frames_do():
    """A zero in channel 0 does not make a real frame padding."""
    encoder = Encoder(CONFIG, positions=True).eval()
    embedded = encoder._embed(torch.zeros(2, 7, 12), MASK)
    assert torch.equal(embedded[1, 4:], torch.zeros(3, 12))
    assert torch.allclose(embedded[0], sinusoid(7, 12))


def test_causal_self_attention_ignores_the_future():
    torch.manual_seed(0)
    causal = TransformerConfig(width=12, heads=3, layers=2, causal=True)
    encoder, x = Encoder(causal, positions=True).eval(), torch.randn(1, 7, 12)
    changed = x.clone()
    changed[0, 5:] = torch.randn(2, 12)
    mask = MASK[:1]
    assert torch.allclose(encoder(x, mask)[0, :5], encoder(changed, mask)[0, :5], atol=1e-6)
    assert not torch.allclose(encoder(x, mask)[0, 5:], encoder(changed, mask)[0, 5:], atol=1e-2)


@settings(max_examples=60)
@given(
    st.lists(st.booleans(), min_size=1, max_size=9).filter(any),
    st.lists(st.booleans(), min_size=1, max_size=9).filter(any),
)
def test_causal_mask_by_definition(query, key):
    """Key s is open to query t iff real and s <= max(t + |S - T|, first real key); no row is empty."""
    mask = attention_mask(torch.tensor([query]), torch.tensor([key]), causal=True)[0, 0]
    n_query = max(t for t, real in enumerate(query) if real) + 1
    n_key = max(s for s, real in enumerate(key) if real) + 1
    for t in range(len(query)):
        horizon = max(t + abs(n_key - n_query), key.index(True))
        assert mask[t].tolist() == [real and s <= horizon for s, real in enumerate(key)]
        assert mask[t].any()


@given(st.lists(st.booleans(), min_size=1, max_size=9).filter(any))
def test_lengths_reach_the_last_real_frame(mask):
    assert lengths(torch.tensor([mask])).item() == len(mask) - mask[::-1].index(True)


def test_projection_only_where_widths_differ():
    assert isinstance(projection(12, 12), torch.nn.Identity)
    layer, x = projection(5, 12), torch.randn(2, 7, 5)
    assert sum(p.numel() for p in layer.parameters()) == 60
    expected = torch.nn.functional.conv1d(x.transpose(1, 2), layer.weight[:, :, None]).transpose(1, 2)
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_require_frames_names_modality_and_clips():
    batch = Batch(torch.zeros(2, 7, 3), torch.zeros(2, 7, 3), MASK, MASK & False, torch.zeros(2), ["a", "b"])
    with pytest.raises(AvemoError, match="a, b: expected at least one real visual frame"):
        require_frames(batch)


ODD = {
    "auxformer": {"layers": 1},
    "mult": {"layers": 1},
    "av_ladder": {"layers": 1},
    "parthasarathy": {"layers": 1},
}
"""Systems whose heads are of 13 or 31 numbers by default."""


@pytest.mark.parametrize("name", ODD)
def test_heads_filled_up_for_fused_kernels_change_no_logit(monkeypatch, name):
    torch.manual_seed(0)
    model = build_model(name, audio_dim=AUDIO_DIM, visual_dim=VISUAL_DIM, outputs=OUTPUTS, **ODD[name]).eval()
    batch = model_batch()
    with torch.no_grad():
        before, seen = model(batch).prediction, []
        watch_heads(monkeypatch, seen)
        after = model(batch).prediction
    assert seen
    assert all(width % 8 == 0 for width in seen)
    assert float((before - after).abs().max()) <= 3e-7


@pytest.mark.parametrize("name", MODELS)
def test_on_a_gpu_no_system_attends_with_heads_that_fused_kernels_refuse(monkeypatch, name):
    model = small(name)
    seen: list[int] = []
    watch_heads(monkeypatch, seen)
    for head in model.parts() or [None]:
        batch = model_batch()
        outputs = model.train()(batch) if head is None else model.train().forward_only(head, batch)
        outputs.prediction.sum().backward()
    ours = [module for module in model.modules() if isinstance(module, Attention | RelativeAttention)]
    assert bool(seen) >= bool(ours)
    if ours:
        assert all(width % 8 == 0 for width in seen)


def watch_heads(monkeypatch, seen: list[int]) -> None:
    """Note the width of heads at each call, on a CPU that is treated as a GPU."""
    whole = F.scaled_dot_product_attention

    def attend(query, *others, **named):
        seen.append(query.shape[-1])
        return whole(query, *others, **named)

    monkeypatch.setattr("avemo.models.attention.FILLED_ON", ("cpu",))
    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)


def test_a_cpu_gets_heads_as_they_are(monkeypatch):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 7, 13)
    expected = F.scaled_dot_product_attention(q, k, v)
    assert torch.equal(attend(q, k, v, None, dropout=0.0), expected)
    monkeypatch.setattr("avemo.models.attention.FILLED_ON", ("cpu",))
    assert torch.allclose(attend(q, k, v, None, dropout=0.0), expected, atol=3e-7)
    scaled = F.scaled_dot_product_attention(q, k, v, scale=0.1)
    assert torch.allclose(attend(q, k, v, None, dropout=0.0, scale=0.1), scaled, atol=3e-7)
