"""Values that must be finite, looked at without a wait for the GPU at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from avemo.base.contracts import AvemoError
from avemo.base.devices import at_once

LOOK_EVERY = 64
"""Values that are looked at together elsewhere."""


class Diverged(AvemoError):
    """A loss or weights that are no finite numbers: these settings do not train."""


def told(term: Tensor) -> float | Tensor:
    """A loss term as a number; where that would be waited for, in float64 on its device, to be read later."""
    return float(term.detach()) if at_once(term) else term.detach().double()


@dataclass
class Watch:
    """What must be finite in a training on ``items``; ``remedy`` is what errors advise.

    On a CPU a value is looked at before the weights change. On a GPU several are looked at together: weights may have
    followed a bad one by then, and the run ends before its next checkpoint.
    """

    items: str = "clips"
    remedy: str = "check these clips' features for extreme values, or lower training.lr"
    waiting: list[tuple[Tensor, str, Sequence[str], str]] = field(default_factory=list)

    def require_finite(self, value: Tensor, what: str, names: Sequence[str], place: str) -> None:
        """Raise `Diverged`, now or at a later call, if ``value`` is no finite number."""
        self.waiting.append((value.detach(), what, names, place))
        if at_once(value) or len(self.waiting) >= LOOK_EVERY:
            self.look()

    def look(self) -> None:
        """Raise `Diverged` for the first bad value of those that wait."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        values = torch.stack([value.double() for value, *_ in waiting]).tolist()
        for value, (_, what, names, place) in zip(values, waiting, strict=True):
            if not abs(value) < float("inf"):
                raise Diverged(
                    f"{place}: expected a finite {what}, found {value}; {self.items}: {', '.join(names)}; {self.remedy}"
                )
