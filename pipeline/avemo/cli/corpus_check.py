"""`avemo corpus check`: in one screen, whether a corpus' folder is right and what is wrong with it."""

from __future__ import annotations

import json
import re
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avemo.cli.options import DEFAULT_CONFIG, ConfigFile, Counter, Run, as_mapping

if TYPE_CHECKING:
    from avemo.dataset.splits import SplitConfig

SHOWN = 12
"""Problems printed; --json has them all."""


def check(
    name: Annotated[str, typer.Argument(help="A corpus; without it, the one of --config.")] = "",
    root: Annotated[Path | None, typer.Option(help="Its folder (of `table`: the CSV file).")] = None,
    labels: Annotated[str, typer.Option(help="JSON of the label rule.")] = "{}",
    config: ConfigFile = DEFAULT_CONFIG,
    run: Run = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in one screen whether a corpus' folder is right, and what is wrong with it.

    Nothing is written. Exit code 3: some clips cannot be read.

    Example: avemo corpus check msp_improv --root data/MSP-IMPROV --labels '{"read_speech": true}'
    """
    from avemo.corpora import EXAMPLES

    if name in EXAMPLES:
        summary = _survey_examples(name, root)
    else:
        summary = _survey(_corpus(name, root, labels)) if name else _survey_run(config, run)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        _print(summary)
    raise typer.Exit(3 if summary["problems"] else 0)


def _survey_run(config: Path, run: str) -> dict[str, Any]:
    """A run's corpus, and whether its splits have every class on every side."""
    from avemo.study.config import corpus_of
    from avemo.study.study import read_study

    wanted = read_study(config).run(run)
    return _survey(corpus_of(wanted.corpus), wanted.splits)


def _corpus(name: str, root: Path | None, labels: str) -> Any:
    from avemo.corpora import CORPORA
    from avemo.study.config import parse

    found = CORPORA.load(name)
    given = {} if root is None else {found.place: root}
    return found(
        parse(found.Config, given, "corpus.config"), parse(found.Labels, as_mapping(labels), "corpus.labels")
    )


class _NoHashes:
    """A check need not read every byte."""

    def sha256(self, path: Path) -> str:
        return ""

    def fact(self, key: str, find: Callable[[], Any]) -> Any:
        return find()


def _survey(corpus: Any, splits: SplitConfig | None = None) -> dict[str, Any]:
    """What there is, and what is wrong with it, as far as headers and tables tell."""
    from avemo.index.clip_table import index_clips

    rows = index_clips(corpus.clips(), _NoHashes(), Counter("checked clips"))
    clips = [row.clip for row in rows]
    given = corpus.labels(clips)
    formats = Tally(f"{row.fps or 0:.4g} fps, {row.audio_rate_hz or 0} Hz" for row in rows if not row.problem)
    return {
        "corpus": corpus.name,
        "folder": str(corpus.root),
        "synthetic": corpus.synthetic,
        "clips": len(rows),
        "speakers": len({row.speaker for row in rows}),
        "groups": len({row.group for row in rows}),
        "hours": round(sum(row.duration_s or 0 for row in rows) / 3600, 2),
        "media": dict(Tally(row.status for row in rows).most_common()),
        "formats": dict(formats.most_common()),
        "task": corpus.task,
        "labels": label_counts(given, corpus.classes),
        "unlabelled": dict(Tally(_kind(one.reason) for one in given if one.label is None).most_common()),
        "notes": [*corpus.notes(), *(_absences(corpus, clips, given, splits) if splits else ())],
        "problems": [str(row.problem) for row in rows if row.problem],
    }


def _absences(corpus: Any, clips: Sequence[Any], given: Sequence[Any], splits: SplitConfig) -> list[str]:
    """Classes that sides of a run's splits would lack; one sentence where it could not be split."""
    from avemo.base.contracts import AvemoError
    from avemo.dataset.absences import absences
    from avemo.dataset.labels import make_labels
    from avemo.dataset.protocol import splits_of

    known = make_labels(clips, given, corpus.task, corpus.classes)
    try:
        return [str(absence) for absence in absences(splits_of(known, splits), known)]
    except AvemoError as error:
        return [str(error)]


def _kind(reason: str) -> str:
    """A reason without its numbers, so that equal ones add up."""
    return re.sub(r"\d+", "n", reason)


def label_counts(given: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """Clips of each class; of labels that are numbers, each one's mean."""
    if any(isinstance(one.label, str) for one in given):
        found = Tally(one.label for one in given if one.label is not None)
        return {name: found[name] for name in names}
    numbers = [one.label for one in given if isinstance(one.label, Mapping)]
    if not numbers:
        return {}
    return {f"mean {name}": round(sum(label[name] for label in numbers) / len(numbers), 4) for name in names}


def _survey_examples(name: str, root: Path | None) -> dict[str, Any]:
    from avemo.base.contracts import ConfigError
    from avemo.corpora import EXAMPLES
    from avemo.corpora.base import MARKER

    if root is None:
        raise ConfigError(f"config: --root: expected the folder of {name}, found none; give it")
    found = EXAMPLES.load(name)(root)
    return {
        "corpus": name,
        "folder": str(root),
        "synthetic": (root / MARKER).is_file(),
        "rows": len(found.rows),
        "splits": found.splits,
        "left out": found.left_out,
        "problems": [f"{path}: expected a file, found none" for path in found.missing],
    }


def shown_counts(counts: Mapping[str, Any]) -> str:
    """``a 3, b 1``, or ``none``."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _print(summary: Mapping[str, Any]) -> None:
    for name, value in summary.items():
        if name not in ("notes", "problems"):
            typer.echo(f"{name:10} {shown_counts(value) if isinstance(value, dict) else value}")
    for note in summary.get("notes", ()):
        typer.echo(f"{'note':10} {note}")
    problems = summary["problems"]
    for problem in problems[:SHOWN]:
        typer.echo(f"{'problem':10} {problem}")
    if len(problems) > SHOWN:
        typer.echo(f"... and {len(problems) - SHOWN} more; --json lists all")
    if problems:
        typer.echo(f"{len(problems)} clips or files cannot be read")
    else:
        typer.echo(
            "right: all that is listed can be read" + ("; see the notes" if summary.get("notes") else "")
        )
