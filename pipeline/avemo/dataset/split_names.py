"""What splits are called, in their files and in the paths of what is trained on them."""

from __future__ import annotations


def split_name(number: int) -> str:
    """
    >>> split_name(3)
    'split03'
    """
    return f"split{number:02d}"


def split_names(count: int) -> list[str]:
    """Those of a run with ``count`` splits, in order."""
    return [split_name(number) for number in range(count)]
