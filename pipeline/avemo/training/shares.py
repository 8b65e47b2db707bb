"""Learning curves: a system trained again on a part of each split's train clips."""

from __future__ import annotations

import math

from avemo.base.contracts import digest
from avemo.dataset.split_names import sides_of
from avemo.dataset.splits import Split


def train_share(split: Split, share: float) -> tuple[str, ...]:
    """That share of the train clips, sorted; the same for every system and seed, and part of any larger share's.

    >>> split = Split("split00", ("a", "b", "c", "d"), (), ())
    >>> set(train_share(split, 0.25)) < set(train_share(split, 0.75)), len(train_share(split, 0.6))
    (True, 3)
    """
    drawn = sorted(split.train, key=lambda clip: digest([sides_of(split.name), clip]))
    return tuple(sorted(drawn[: math.ceil(share * len(drawn))]))
