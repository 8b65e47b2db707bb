"""What splits are called, in their files and in the paths of what is trained on them.

A split that is trained with several seeds has a name for each of them: ``split03``, ``split03_seed1``, …
"""

from __future__ import annotations

import re


def split_name(number: int, seed: int = 0) -> str:
    """
    >>> split_name(3), split_name(3, seed=1)
    ('split03', 'split03_seed1')
    """
    return f"split{number:02d}" + (f"_seed{seed}" if seed else "")


def split_names(count: int, seeds: int = 1) -> list[str]:
    """Those of a run with ``count`` splits, in order, the seeds of a split beside each other."""
    return [split_name(number, seed) for number in range(count) for seed in range(seeds)]


def sides_of(name: str) -> str:
    """The name under which a split's first seed goes: equal for all that have the same sides.

    >>> sides_of("split03_seed1"), sides_of("split03")
    ('split03', 'split03')
    """
    return re.sub(r"_seed\d+$", "", name)
