"""Classes and emotions that no clip of a side shows: a mean over all of them counts them as 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from avemo.dataset.labels import Labels
from avemo.dataset.splits import Split
from avemo.dataset.tasks import Task


@dataclass(frozen=True)
class Absence:
    """``names`` of the task that no clip of a split's side shows."""

    split: str
    side: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.split}: no clip of {', '.join(self.names)} on {self.side}"


def absences(splits: Iterable[Split], known: Labels) -> Iterator[Absence]:
    """By split and side, what its clips do not show; nothing for attributes, which every clip has."""
    shown = known.shown
    for split in splits if known.task.kind != "attributes" else ():
        for side, clips in split.sides().items():
            found = {name for clip in clips for name in shown[clip]}
            if lacking := tuple(name for name in known.task.names if name not in found):
                yield Absence(split.name, side, lacking)


def lessened(found: Iterable[Absence], task: Task) -> dict[str, set[str]]:
    """By split whose test side lacks something: the scores in which that counts as 0."""
    return {one.split: task.lessened(one.names) for one in found if one.side == "test"}
