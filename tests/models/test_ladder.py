import numpy as np
import pytest
import torch

from avemo.models.ladder import (
    Combinator,
    LadderBatchNorm,
    LadderDecoder,
    LadderEncoder,
    add_gaussian,
    reconstruction_cost,
    standardise,
)

SIZES = (9, 7, 5)


def select_noisy(combinator):
    """Weights with which g returns its lateral input: leaky(z) - leaky(-z) = 1.01 z."""
    for p in combinator.parameters():
        p.data.zero_()
    combinator.hidden.weight.data[0, 1], combinator.hidden.weight.data[1, 1] = 1.0, -1.0
    combinator.out.weight.data[0, :2] = torch.tensor([1.0, -1.0]) / 1.01
    return combinator


def test_noise_has_the_stated_variance():
    x = torch.full((400, 500), 3.0)
    noise = add_gaussian(x, variance=0.2, generator=torch.Generator().manual_seed(0)) - x
    assert float(noise.var()) == pytest.approx(0.2, abs=0.005)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.005)


def test_noise_comes_from_the_generator_alone():
    x, draw = torch.zeros(3, 4), torch.Generator()
    torch.manual_seed(1)
    first = add_gaussian(x, variance=1.0, generator=draw.manual_seed(5))
    torch.manual_seed(2)
    assert torch.equal(first, add_gaussian(x, variance=1.0, generator=draw.manual_seed(5)))
    assert torch.equal(add_gaussian(x, variance=0.0, generator=draw), x)


def test_batch_norm_keeps_clean_statistics_only():
    """Against NumPy, and PyTorch's own layer for the running averages."""
    torch.manual_seed(0)
    ours, theirs = LadderBatchNorm(4).train(), torch.nn.BatchNorm1d(4, affine=False).train()
    clean, noisy = torch.randn(30, 4) * 3 + 1, torch.randn(30, 4) - 5
    assert torch.allclose(ours(clean), theirs(clean))
    expected = (noisy.numpy() - noisy.numpy().mean(0)) / np.sqrt(noisy.numpy().var(0) + 1e-5)
    np.testing.assert_allclose(ours(noisy, clean=False), expected, atol=1e-5)
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(noisy), theirs(noisy))
    assert torch.equal(ours(noisy), ours(noisy, clean=False))


def test_one_clip_is_normalised_by_running_averages():
    norm, x = LadderBatchNorm(4).train(), torch.randn(1, 4)
    assert torch.allclose(norm(x), x, atol=1e-4)
    assert torch.equal(norm.mean, torch.zeros(4))


def test_encoder_by_hand():
    torch.manual_seed(0)
    encoder, x = LadderEncoder(SIZES, outputs=3).train(), torch.randn(20, 9)
    for p in (*encoder.gammas, *encoder.betas):
        p.data = torch.randn_like(p)
    encoding, h = encoder(x), x.numpy()
    assert torch.equal(encoding.z[0], x)
    for layer in (0, 1):
        raw = h @ encoder.weights[layer].weight.detach().numpy().T
        z = (raw - raw.mean(0)) / np.sqrt(raw.var(0) + 1e-5)
        np.testing.assert_allclose(encoding.z[layer + 1].detach(), z, atol=1e-4)
        h = np.maximum(encoder.gammas[layer].detach().numpy() * z + encoder.betas[layer].detach().numpy(), 0)
    np.testing.assert_allclose(encoding.h_BD.detach(), h, atol=1e-4)


def test_noise_enters_after_normalisation():
    torch.manual_seed(0)
    encoder, x = LadderEncoder(SIZES, 3).eval(), torch.randn(20, 9)
    clean, noisy = encoder(x), encoder(x, noise=lambda z: z + 1)
    assert torch.equal(noisy.z[0], x)
    assert torch.allclose(noisy.z[1], clean.z[1] + 1)


def test_combinator_counts_21_numbers_and_can_select_the_lateral_input():
    torch.manual_seed(0)
    combinator, z = select_noisy(Combinator()), torch.randn(20, 9)
    assert sum(p.numel() for p in combinator.parameters()) == 21
    assert torch.allclose(combinator(torch.randn(20, 9), z, z), z, atol=1e-6)


def test_combinator_treats_every_unit_alike():
    torch.manual_seed(0)
    combinator, order = Combinator(), torch.randperm(9)
    u, z = torch.randn(20, 9), torch.randn(20, 9)
    assert torch.allclose(combinator(u, z, z)[:, order], combinator(u[:, order], z[:, order], z[:, order]))


def test_perfect_decoder_costs_nothing_without_noise():
    torch.manual_seed(0)
    encoder, decoder, x = LadderEncoder(SIZES, 3).train(), LadderDecoder(SIZES).train(), torch.randn(20, 9)
    for combinator in decoder.combinators:
        select_noisy(combinator)
    noisy = encoder(x, noise=lambda z: z)
    assert [z.shape[1] for z in decoder(noisy, noisy)] == list(SIZES)
    assert reconstruction_cost(decoder(noisy, noisy), encoder(x).z, (0.5, 0.5, 0.1)).item() < 1e-10


def test_decoder_reads_from_the_top_down():
    """Changing the noisy top layer moves every estimate, the noisy input only the lowest."""
    torch.manual_seed(0)
    encoder, decoder = LadderEncoder(SIZES, 3).eval(), LadderDecoder(SIZES).eval()
    noisy = encoder(torch.randn(20, 9))
    before = decoder(noisy, noisy)
    noisy.z[0] = noisy.z[0] + 1
    lowest = [not torch.equal(a, b) for a, b in zip(before, decoder(noisy, noisy), strict=True)]
    assert lowest == [True, False, False]
    noisy.z[2] = noisy.z[2] + 1
    assert all(not torch.equal(a, b) for a, b in zip(before, decoder(noisy, noisy), strict=True))


def test_cost_by_hand():
    estimates = [torch.zeros(2, 2), torch.tensor([[1.0], [3.0]])]
    clean = [torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.zeros(2, 1)]
    assert float(reconstruction_cost(estimates, clean, (0.5, 0.1))) == pytest.approx(0.5 * 1.5 + 0.1 * 5.0)


def test_standardised_by_what_normalised_the_clean_layers():
    """(estimate - mean) / std of W h over the batch, by NumPy; layer 0 unchanged; the clean z itself comes out."""
    torch.manual_seed(0)
    encoder, x = LadderEncoder(SIZES, 3).train(), torch.randn(20, 9)
    clean, raw = encoder(x), encoder.weights[0](x).detach().numpy()
    estimates = [torch.randn(20, size) for size in SIZES]
    normal = standardise(estimates, clean)
    assert torch.equal(normal[0], estimates[0])
    expected = (estimates[1].numpy() - raw.mean(0)) / np.sqrt(raw.var(0) + 1e-5)
    np.testing.assert_allclose(normal[1].detach(), expected, rtol=1e-4, atol=1e-5)
    perfect = standardise([x, encoder.weights[0](x), estimates[2]], clean)
    assert torch.allclose(perfect[1], clean.z[1], atol=1e-4)


def test_running_statistics_in_evaluation():
    norm = LadderBatchNorm(4).train()
    norm(torch.randn(30, 4) * 3 + 1)
    mean, std = norm.eval().statistics(torch.randn(30, 4))
    assert torch.equal(mean, norm.mean)
    assert torch.allclose(std, (norm.variance + 1e-5).sqrt())


def test_logits_as_the_top_layer():
    torch.manual_seed(0)
    encoder, x = LadderEncoder((9, 7, 3), 3, logits_top=True).train(), torch.randn(20, 9)
    for p in (*encoder.gammas, *encoder.betas):
        p.data = torch.randn_like(p)
    encoding = encoder(x)
    assert encoder.classifier is None
    assert torch.allclose(encoding.logits_BC, encoder.gammas[1] * encoding.z[2] + encoder.betas[1])
    assert torch.allclose(encoding.h_BD, encoding.logits_BC.softmax(1))


def test_factor_of_the_product():
    """Only u is multiplied with it: changing the factor at the top changes what is below as well."""
    torch.manual_seed(0)
    encoder, decoder = LadderEncoder(SIZES, 3).eval(), LadderDecoder(SIZES).eval()
    noisy, other = encoder(torch.randn(20, 9)), encoder(torch.randn(20, 9))
    own, foreign = decoder(noisy, noisy), decoder(noisy, other)
    assert all(not torch.allclose(a, b, atol=1e-3) for a, b in zip(own, foreign, strict=True))
    for combinator in decoder.combinators:
        select_noisy(combinator)
    assert torch.allclose(decoder(noisy, other)[0], noisy.z[0], atol=1e-5)
