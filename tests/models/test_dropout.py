import pytest
import torch
from scipy import stats

from avemo.models.dropout import Dropout, keep, toss


def test_coins_are_uniform_and_independent():
    """Chi-squared over 256 bins, and no correlation between the four coins of one draw."""
    torch.manual_seed(0)
    coins = toss((400_001,))
    counts = torch.histc(coins.float(), bins=256, min=-(2**15), max=2**15 - 1)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    four = coins[:400_000].view(-1, 4).float()
    assert torch.corrcoef(four.T).fill_diagonal_(0).abs().max() < 0.01


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5])
def test_frequency_and_scale(probability):
    torch.manual_seed(0)
    x = torch.full((1000, 1000), 3.0)
    y = Dropout(probability).train()(x)
    lost = (y == 0).float().mean().item()
    assert lost == pytest.approx(probability, abs=0.002)
    assert y[y > 0].unique().tolist() == pytest.approx([3 / (1 - probability)], rel=1e-4)
    assert y.mean().item() == pytest.approx(3, abs=0.01)


def test_scale_is_exact_for_the_rounded_probability():
    """All 65536 coins once: the mean of the mask is 1."""
    coins = torch.arange(-(2**15), 2**15).to(torch.int16)
    mask = keep(coins, 0.1)
    assert (mask == 0).sum() == round(0.1 * 2**16)
    assert mask.double().mean().item() == pytest.approx(1, abs=1e-6)


def test_gradient_follows_the_same_coins():
    x = torch.ones(5, 7, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_evaluation_and_zero_change_nothing():
    x = torch.randn(5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_the_global_seed_decides():
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(toss((3, 5)))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
