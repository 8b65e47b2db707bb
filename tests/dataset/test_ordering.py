"""The order of clips in batches."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo.dataset.ordering import batch_order


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=50)
@given(
    lengths=st.lists(st.integers(0, 500), max_size=60),
    size=st.integers(1, 9),
    bucketing=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_clip_comes_once_and_equal_seeds_give_equal_batches(lengths, size, bucketing, seed):
    found = batch_order(lengths, size, generator(seed), bucketing)
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    assert len(found) >= -(-len(lengths) // size)
    assert all(1 <= len(batch) <= size for batch in found)
    assert found == batch_order(lengths, size, generator(seed), bucketing)


def test_without_a_generator_the_order_stands():
    assert batch_order([5, 1, 3], 2, None, bucketing=3) == [[0, 1], [2]]


def test_without_shuffling_a_generator_is_left_alone():
    draw = generator()
    before = draw.get_state()
    assert batch_order([5, 1, 3], 2, draw, bucketing=0) == [[0, 1], [2]]
    assert torch.equal(draw.get_state(), before)


def test_buckets_of_one_batch_are_the_plain_shuffle():
    order = torch.randperm(10, generator=generator()).tolist()
    assert batch_order(list(range(10)), 4, generator()) == [order[:4], order[4:8], order[8:]]


def padding(lengths: list[int], batches: list[list[int]]) -> int:
    return sum(max(lengths[i] for i in batch) - lengths[j] for batch in batches for j in batch)


def test_sorting_everything_pads_least():
    """With one bucket over all clips the padding is that of sorted clips, computed by hand."""
    lengths = torch.randint(20, 300, (64,), generator=generator(1)).tolist()
    ranked = sorted(range(64), key=lengths.__getitem__)
    least = padding(lengths, [ranked[i : i + 8] for i in range(0, 64, 8)])
    assert padding(lengths, batch_order(lengths, 8, generator(), bucketing=8)) == least
    some = padding(lengths, batch_order(lengths, 8, generator(), bucketing=3))
    assert least < some < padding(lengths, batch_order(lengths, 8, generator()))


def test_batches_do_not_come_by_length():
    batches = batch_order(list(range(64)), 8, generator(), bucketing=8)
    assert [batch[0] for batch in batches] != sorted(batch[0] for batch in batches)
