"""A run's progress for people: one table of a bounded number of rows, and plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from avemo.progress.status import Progress

BAR_WIDTH = 14
MOST_FAILURES = 3
"""Logs whose ends are shown; the others are counted."""


def table(title: str, rows: Sequence[Progress]) -> RenderableType:
    """Per stage: jobs done, running, failed, clips, pace, time left, cost; below it the ends of failed logs."""
    shown = Table(title=title, title_justify="left", box=None, header_style="dim", pad_edge=False)
    shown.add_column("stage")
    shown.add_column("")
    for name in ("jobs", "running", "failed", "clips", "clips/s", "left", "CPU time"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        bar = ProgressBar(total=max(row.total, 1), completed=row.done, width=BAR_WIDTH)
        failed: RenderableType = Text(str(row.failed or ""), style="red")
        clips = "" if row.clips is None else f"{row.clips_done}/{row.clips}"
        pace = "" if row.clips_a_s is None else f"{row.clips_a_s * max(row.running, 1):.1f}"
        cells: list[RenderableType] = [f"{row.done}/{row.total}", str(row.running or ""), failed, clips, pace]
        shown.add_row(_name(row), bar, *cells, span(eta_s(row)), span(row.cpu_s))
    ends = Text("\n".join(failures(rows)))
    return Group(shown, *([ends] if ends else []))


def lines(rows: Sequence[Progress]) -> Iterator[str]:
    """One line a stage, then the ends of failed logs."""
    for row in rows:
        yield f"  {line(row)}"
    yield from failures(rows)


def line(row: Progress) -> str:
    """A stage in words."""
    parts = [f"{row.done} of {row.total} done"]
    parts += [f"{n} {what}" for what, n in (("running", row.running), ("failed", row.failed)) if n]
    if row.clips is not None:
        parts.append(f"{row.clips_done} of {row.clips} clips")
    if row.clips_a_s is not None:
        parts.append(f"{row.clips_a_s:.2f} clips/s a job")
    if eta_s(row):
        parts.append(f"{span(eta_s(row))} left with {max(row.running, 1)} at once")
    if row.cpu_s is not None:
        parts.append(f"cost {span(row.cpu_s)} of CPU")
    return f"{_name(row)}: {', '.join(parts)}"


def failures(rows: Sequence[Progress]) -> Iterator[str]:
    """The last lines of failed jobs' logs, of `MOST_FAILURES` jobs at most."""
    found = [(log, ends) for row in rows for log, ends in row.failures.items()]
    for log, ends in found[:MOST_FAILURES]:
        yield f"failed: {log}"
        yield from (f"  {end}" for end in ends)
    if len(found) > MOST_FAILURES:
        yield f"and {len(found) - MOST_FAILURES} more failed jobs; `avemo status --json` lists them"


def changed(rows: Sequence[Progress], before: Sequence[Progress]) -> list[Progress]:
    """Rows whose jobs are not as they were."""
    known = {(row.stage, row.of): _counts(row) for row in before}
    return [row for row in rows if known.get((row.stage, row.of), (0, 0, 0)) != _counts(row)]


def doing(rows: Sequence[Progress]) -> str:
    """What is under way, how long that will take, and how many stages are still to come.

    >>> doing([Progress("faces", "mtcnn", 2, 1, 1, 0, {}, left_s=40.0), Progress("report", "", 1, 0, 0, 0, {})])
    'faces mtcnn 1 of 2, about 40 s left; then 1 stage'
    """
    parts = []
    for row in rows:
        if row.running:
            clips = "" if row.clips is None else f", {row.clips_done} of {row.clips} clips"
            left = f", about {span(eta_s(row))} left" if eta_s(row) else ""
            parts.append(f"{_name(row)} {row.done} of {row.total}{clips}{left}")
    later = sum(row.done < row.total and not row.running for row in rows)
    then = f"; then {later} {'stage' if later == 1 else 'stages'}" if later else ""
    return ("; ".join(parts) or "between two jobs") + then


def eta_s(row: Progress) -> float | None:
    """Seconds left with as many jobs at once as run now, at least one; None without a record or at the end."""
    return row.left_s / max(row.running, 1) if row.left_s and row.done < row.total else None


def span(seconds: float | None) -> str:
    """A duration for people.

    >>> span(5), span(250), span(7300), span(200_000), span(None)
    ('5 s', '4 min', '2.0 h', '2.3 d', '')
    """
    if seconds is None:
        return ""
    for unit, size, digits in (("d", 86_400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 2 * size or (unit != "min" and seconds >= size):
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def _counts(row: Progress) -> tuple[int, int, int]:
    return row.done, row.running, row.failed


def _name(row: Progress) -> str:
    return f"{row.stage} {row.of}".rstrip()
