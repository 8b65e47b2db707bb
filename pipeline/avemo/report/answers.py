"""A clip's truth and a system's answer in words, by kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

from avemo.dataset.tasks import Attributes, Bits, Classes, Task


@singledispatch
def told(task: Task, row: Mapping[str, Any]) -> str:
    """Truth and prediction of one row of a table of predictions; a task unknown here gives its columns."""
    return ", ".join(f"{name} {value}" for name, value in row.items() if name.startswith(("target", "pred")))


@told.register
def _classes(task: Classes, row: Mapping[str, Any]) -> str:
    true, taken = int(row["target"]), int(row["prediction"])
    sure = f"{row[f'p_{taken}']:.0%} against {row[f'p_{true}']:.0%}"
    return f"{task.names[true]} taken for {task.names[taken]} ({sure})"


@told.register
def _attributes(task: Attributes, row: Mapping[str, Any]) -> str:
    each = (f"{n} {row[f'prediction_{n}']:.2f} (true {row[f'target_{n}']:.2f})" for n in task.names)
    return ", ".join(each)


@told.register
def _bits(task: Bits, row: Mapping[str, Any]) -> str:
    true, found = (
        ", ".join(n for n in task.names if row[f"{what}_{n}"] == 1) or "none of the emotions"
        for what in ("target", "prediction")
    )
    return f"{true} taken for {found}"
