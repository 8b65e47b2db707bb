"""What a stage counts, and what it saw violated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


class Tally(Counter[str]):
    """Counts by name; `expect` counts violations instead of stopping at the first."""

    def __init__(self) -> None:
        super().__init__()
        self.violations: list[str] = []
        self.table: list[Sequence[str]] = []

    def expect(self, holds: bool, what: str) -> None:
        """Note ``what`` as violated unless it holds."""
        self["checks"] += 1
        if not holds:
            self.violations.append(what)
