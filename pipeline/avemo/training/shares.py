"""Learning curves: a system trained again on a part of each split's train clips."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from avemo.base.contracts import ConfigError, digest
from avemo.base.registry import nearest
from avemo.dataset.splits import Split


def train_share(split: Split, share: float) -> tuple[str, ...]:
    """That share of the train clips, sorted; the same for every system, and part of any larger share's.

    >>> split = Split("split00", ("a", "b", "c", "d"), (), ())
    >>> set(train_share(split, 0.25)) < set(train_share(split, 0.75)), len(train_share(split, 0.6))
    (True, 3)
    """
    drawn = sorted(split.train, key=lambda clip: digest([split.name, clip]))
    return tuple(sorted(drawn[: math.ceil(share * len(drawn))]))


def curve_systems(
    systems: Mapping[str, Mapping[str, Any]], names: Sequence[str], percent: Sequence[int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Resolved sections of the systems ``names`` (none: the first) on smaller train parts, each with a name of its own.

    ``curve`` names the system that a section repeats. Raises `ConfigError` for an unknown system.
    """
    for name in names or list(systems)[:1]:
        if name not in systems:
            raise ConfigError(
                f"config: learning_curve.systems: no system {name!r}{nearest(name, systems)}; "
                f"known: {', '.join(systems)}"
            )
        whole = systems[name]
        for part in sorted(percent):
            title = f"{whole['title']}, {part} % of train"
            training = whole["training"] | {"train_share": part / 100}
            yield f"{name}-{part}pct", dict(whole) | {"title": title, "training": training, "curve": name}
