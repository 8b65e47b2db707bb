"""What a person sees of a training under way: a bar or lines, TensorBoard scalars."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avemo.dataset.tasks import Task
    from avemo.training.loop import Listener


@contextmanager
def watching(title: str, task: Task, tensorboard: Path | None = None) -> Iterator[Listener]:
    """Called after each epoch: a bar on a terminal, a line in a log; scalars to a folder on request."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(_bar(title, task)) if sys.stderr.isatty() else Lines(task)]
        if tensorboard:
            listeners.append(stack.enter_context(_scalars(tensorboard)))

        def tell(epoch: int, epochs: int, row: dict[str, Any]) -> None:
            for listener in listeners:
                listener(epoch, epochs, row)

        yield tell


class Lines:
    """One line an epoch on standard output, with the time that is left at the mean pace so far."""

    def __init__(self, task: Task):
        self.task = task
        self.seconds: list[float] = []

    def __call__(self, epoch: int, epochs: int, row: dict[str, Any]) -> None:
        self.seconds.append(row["seconds"])
        left = (epochs - epoch) * sum(self.seconds) / len(self.seconds)
        print(f"epoch {epoch} of {epochs}: {told(self.task, row)}, {left:.0f} s left", flush=True)


def told(task: Task, row: dict[str, Any]) -> str:
    """An epoch's losses, main dev score and duration."""
    main = task.headline[0]
    return (
        f"train {row['train_total']:.4f}, dev loss {row['dev_loss']:.4f}, "
        f"dev {task.metrics[main]} {row[f'dev_{main}']:.3f}, {row['seconds']:.1f} s"
    )


@contextmanager
def _bar(title: str, task: Task) -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    shown = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*shown, TextColumn("{task.fields[told]}"), console=Console(stderr=True)) as bar:
        line = bar.add_task(title, total=None, told="first epoch")

        def tell(epoch: int, epochs: int, row: dict[str, Any]) -> None:
            bar.update(line, total=epochs, completed=epoch, told=told(task, row))

        yield tell


@contextmanager
def _scalars(folder: Path) -> Iterator[Listener]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:

        def tell(epoch: int, epochs: int, row: dict[str, Any]) -> None:
            for name, value in row.items():
                if name != "epoch":
                    side, _, metric = name.partition("_")
                    writer.add_scalar(f"{side}/{metric}" if metric else name, value, epoch)

        yield tell
