"""In what order clips form batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def batch_order(
    lengths: Sequence[int], batch_size: int, generator: torch.Generator | None = None, bucketing: int = 1
) -> list[list[int]]:
    """Positions of the clips of each batch, the last batch possibly smaller.

    Without ``generator`` in the order given. With it shuffled; the clips of each ``bucketing``
    consecutive batches are then sorted by length (frames) before they are cut into batches, and the
    batches shuffled, so that less is padded. ``bucketing`` 1 leaves the shuffled order as it is, 0 the given one.

    >>> batch_order([9, 1, 8, 2], 3)
    [[0, 1, 2], [3]]
    """
    if generator is None or not bucketing:
        return _cut(list(range(len(lengths))), batch_size)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    if bucketing == 1:
        return _cut(order, batch_size)
    pools = [sorted(pool, key=lengths.__getitem__) for pool in _cut(order, bucketing * batch_size)]
    batches = [batch for pool in pools for batch in _cut(pool, batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def _cut(order: list[int], size: int) -> list[list[int]]:
    return [order[i : i + size] for i in range(0, len(order), size)]
