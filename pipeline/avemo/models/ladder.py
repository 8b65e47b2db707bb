"""Ladder network pieces: noise, batch-norm encoder, combinator decoder.

Rasmus et al. 2015 as reduced by Pezeshki et al. 2016, with the notation of
section 3.3 of Goncalves and Busso, "Learning cross-modal audiovisual
representations with ladder networks for emotion recognition", ICASSP 2023.
A tilde in the paper is ``noisy`` here, a hat ``estimate``; layer 0 is the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Noise = Callable[[Tensor], Tensor]

EPSILON = 1e-5
"""Added to variances, as PyTorch's batch normalisation does."""


def add_gaussian(x: Tensor, *, variance: float, generator: torch.Generator | None) -> Tensor:
    """x + N(0, variance), drawn on the generator's own device (without one: torch's global state)."""
    device = x.device if generator is None else generator.device
    noise = torch.randn(x.shape, dtype=x.dtype, device=device, generator=generator)
    return x + variance**0.5 * noise.to(x.device)


class LadderBatchNorm(nn.Module):
    """Batch normalisation without scale or shift, over clips ``(B, D)``.

    Training: each pass has its own batch statistics, and only ``clean`` ones enter the
    running averages. Evaluation: running averages for every pass. One clip alone has no
    batch statistics, so a training batch of one is normalised by the running averages.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))

    def forward(self, x_BD: Tensor, *, clean: bool = True) -> Tensor:
        own_statistics = self.training and len(x_BD) > 1
        if own_statistics and not clean:
            return F.batch_norm(x_BD, None, None, training=True)
        return F.batch_norm(x_BD, self.mean, self.variance, training=own_statistics)

    def statistics(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation ``(D,)`` that `forward` normalises ``x_BD`` with."""
        own_statistics = self.training and len(x_BD) > 1
        mean = x_BD.mean(dim=0) if own_statistics else self.mean
        variance = x_BD.var(dim=0, correction=0) if own_statistics else self.variance
        return mean, (variance + EPSILON).sqrt()


@dataclass
class Encoding:
    """One pass up a ladder: ``z`` of layers 0..L, top ``h_BD`` and ``logits_BC``.

    ``statistics``: mean and standard deviation of W_l h(l-1), l = 1..L, over the batch.
    """

    z: list[Tensor]
    h_BD: Tensor
    logits_BC: Tensor
    statistics: list[tuple[Tensor, Tensor]]

    def detach(self) -> Encoding:
        """The same numbers without their history."""
        return Encoding(
            [z_BD.detach() for z_BD in self.z],
            self.h_BD.detach(),
            self.logits_BC.detach(),
            [(mean.detach(), std.detach()) for mean, std in self.statistics],
        )


class LadderEncoder(nn.Module):
    """z(l) = BN(W_l h(l-1)) [+ noise], h(l) = ReLU(gamma_l z(l) + beta_l), logits from h(L).

    With ``logits_top`` the top layer is the classifier, as in Rasmus et al., Algorithm 1: as many
    units as classes, logits gamma_L z(L) + beta_L, and h(L) their softmax.
    """

    def __init__(self, sizes: Sequence[int], outputs: int, *, logits_top: bool = False):
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(below, size, bias=False) for below, size in pairwise(sizes))
        self.norms = nn.ModuleList(LadderBatchNorm(size) for size in sizes[1:])
        self.gammas = nn.ParameterList(torch.ones(size) for size in sizes[1:])
        self.betas = nn.ParameterList(torch.zeros(size) for size in sizes[1:])
        self.classifier = None if logits_top else nn.Linear(sizes[-1], outputs)

    def forward(self, x_BD: Tensor, noise: Noise | None = None) -> Encoding:
        """The clean pass, or with ``noise`` the noisy one."""
        z, statistics, h_BD, affine_BD = [x_BD], [], x_BD, x_BD
        norms = cast("Iterable[LadderBatchNorm]", self.norms)
        for weight, norm, gamma, beta in zip(self.weights, norms, self.gammas, self.betas, strict=True):
            projected_BD = weight(h_BD)
            statistics.append(norm.statistics(projected_BD))
            z_BD = norm(projected_BD, clean=noise is None)
            if noise is not None:
                z_BD = noise(z_BD)
            affine_BD = gamma * z_BD + beta
            h_BD = F.relu(affine_BD)
            z.append(z_BD)
        if self.classifier is None:
            return Encoding(z, affine_BD.softmax(dim=1), affine_BD, statistics)
        return Encoding(z, h_BD, self.classifier(h_BD), statistics)


class Combinator(nn.Module):
    """g([u, z, u * factor]): a 3 -> 4 -> 1 perceptron applied to every unit of a layer alike."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 4)
        self.out = nn.Linear(4, 1)

    def forward(self, u_BD: Tensor, noisy_BD: Tensor, factor_BD: Tensor) -> Tensor:
        inputs_BD3 = torch.stack([u_BD, noisy_BD, u_BD * factor_BD], dim=-1)
        return self.out(F.leaky_relu(self.hidden(inputs_BD3))).squeeze(-1)


class LadderDecoder(nn.Module):
    """u(L) = BN(h(L)), u(l) = BN(V_l estimate(l+1)), estimate(l) = g(u(l), noisy z(l))."""

    def __init__(self, sizes: Sequence[int]):
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(above, size, bias=False) for size, above in pairwise(sizes))
        self.norms = nn.ModuleList(LadderBatchNorm(size) for size in sizes)
        self.combinators = nn.ModuleList(Combinator() for _ in sizes)

    def forward(self, noisy: Encoding, factor: Encoding) -> list[Tensor]:
        """Estimates of the clean ``z``, layers 0..L; u is multiplied with ``factor``'s, usually ``noisy``'s."""
        projected_BD, estimates = noisy.h_BD, []
        for layer in reversed(range(len(noisy.z))):
            u_BD = self.norms[layer](projected_BD)
            estimates.append(self.combinators[layer](u_BD, noisy.z[layer], factor.z[layer]))
            if layer:
                projected_BD = self.weights[layer - 1](estimates[-1])
        return estimates[::-1]


def standardise(estimates: list[Tensor], clean: Encoding) -> list[Tensor]:
    """Estimates over what normalised the clean layers: (estimate - mean) / std, layer 0 as it is.

    Rasmus et al. 2015, Algorithm 1.
    """
    layers = zip(estimates[1:], clean.statistics, strict=True)
    return [estimates[0], *((estimate - mean) / std for estimate, (mean, std) in layers)]


def reconstruction_cost(estimates: list[Tensor], clean: list[Tensor], weights: Sequence[float]) -> Tensor:
    """sum over l of lambda_l times the mean squared error of layer l, over units and clips."""
    terms = [
        weight * F.mse_loss(estimate, target)
        for weight, estimate, target in zip(weights, estimates, clean, strict=True)
    ]
    return torch.stack(terms).sum()
