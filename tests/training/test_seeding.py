"""Random numbers: equal where they should be, unrelated elsewhere."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from avemo.training.seeding import (
    Generators,
    build_seeded,
    rng_state,
    seed_global,
    seed_of,
    set_rng_state,
)
from training_standins import TinySystem

CPU = torch.device("cpu")


@given(st.integers(0, 2**40), st.text(max_size=8))
def test_seeds_differ_between_purposes_and_fit_the_generator(seed, split):
    seeds = {seed_of(seed, split, purpose) for purpose in ("weights", "shuffle", "drop", "noise", "dropout")}
    assert len(seeds) == 5
    assert all(0 <= value < 2**63 for value in seeds)


def test_initial_weights_depend_on_seed_and_split_alone():
    def weights(seed, split):
        return build_seeded(TinySystem, seed, split).trunk[0].weight

    first = weights(0, "split00")
    torch.manual_seed(99)
    assert torch.equal(weights(0, "split00"), first)
    assert not torch.equal(weights(1, "split00"), first)
    assert not torch.equal(weights(0, "split01"), first)


def test_building_leaves_the_callers_generator_alone():
    before = torch.get_rng_state()
    build_seeded(TinySystem, 0, "split00")
    assert torch.equal(torch.get_rng_state(), before)


def test_state_put_back_repeats_every_stream():
    generators = Generators.of(0, "split00", CPU)
    seed_global(0, "split00")

    def draw():
        own = [generators.shuffle, generators.drop, generators.noise]
        return torch.stack([torch.rand(3, generator=g) for g in own] + [torch.rand(3)])

    draw()
    state = rng_state(generators, CPU)
    expected = draw()
    assert len({tuple(row.tolist()) for row in expected}) == 4
    set_rng_state(state, generators, CPU)
    assert torch.equal(draw(), expected)
