"""`avemo corpus check`: in one screen, whether a corpus' folder is right and what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avemo.cli.options import DEFAULT_CONFIG, ConfigFile, Counter, Run, as_mapping

if TYPE_CHECKING:
    from avemo.dataset.splits import SplitConfig

SHOWN = 12
"""Problems printed; --json has them all."""
HEAD_BYTES = 2**16
COUNTS_SHOWN = 30


def check(
    name: Annotated[str, typer.Argument(help="A corpus; without it, the one of --config.")] = "",
    root: Annotated[Path | None, typer.Option(help="Its folder (of `table`: the CSV file).")] = None,
    labels: Annotated[str, typer.Option(help="JSON of the label rule.")] = "{}",
    config: ConfigFile = DEFAULT_CONFIG,
    run: Run = "",
    decode: Annotated[
        float, typer.Option(min=0, help="Seconds of media that are decoded too, which finds damage.")
    ] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in one screen whether a corpus' folder is right, and what is wrong with it.

    Nothing is written. All files are looked through, their first ``--decode`` seconds decoded. Exit code 3: some clips cannot be read.

    Example: avemo corpus check msp_improv --root data/MSP-IMPROV --labels '{"read_speech": true}'
    """
    from avemo.corpora import CORPORA, EXAMPLES

    if name in EXAMPLES and name not in CORPORA:
        summary = _survey_examples(name, root)
    else:
        summary = _survey(_corpus(name, root, labels), decode) if name else _survey_run(config, run, decode)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        _print(summary)
    raise typer.Exit(3 if summary["problems"] else 0)


def _survey_run(config: Path, run: str, decode_s: float) -> dict[str, Any]:
    """A run's corpus, and whether its splits have every class on every side."""
    from avemo.study.kept import read_study
    from avemo.study.resolve import corpus_of

    wanted = read_study(config).run(run)
    return _survey(corpus_of(wanted.corpus), decode_s, wanted.splits)


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


def _survey(corpus: Any, decode_s: float, splits: SplitConfig | None = None) -> dict[str, Any]:
    """What there is, and what is wrong with it, as far as tables, packets and ``decode_s`` seconds of media tell."""
    from avemo.index.clip_table import index_clips
    from avemo.index.same_media import joined_groups, same_media, told

    rows = index_clips(corpus.clips(), _NoHashes(), Counter("checked clips"))
    decoded = _decode(rows, decode_s)
    clips = [row.clip for row in rows]
    given = corpus.labels(clips)
    sets = same_media(_with_like_hashes(rows))
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
        "decoded": f"{len(decoded)} clips",
        "task": corpus.task,
        "labels": label_counts(given, corpus.classes),
        "unlabelled": dict(Tally(_kind(one.reason) for one in given if one.label is None).most_common()),
        "notes": [
            *corpus.notes(),
            *clip_notes(rows, decoded),
            *_name_notes(rows, given),
            *_shortened(told(sets), "sets of clips of the same media"),
            *(_absences(corpus, clips, given, splits, joined_groups(rows, sets)) if splits else ()),
        ],
        "problems": [
            *(str(row.problem) for row in rows if row.problem),
            *(str(failure) for _, failures in decoded.values() for failure in failures),
        ],
    }


Decoded = tuple[list[str], list[Any]]
"""What decoding a clip notes, and its failures."""


def _decode(rows: Sequence[Any], seconds: float) -> dict[str, Decoded]:
    """Clips that are good so far, decoded until ``seconds`` of media are spent; by id."""
    from avemo.index.clip_table import UNKNOWN_S

    found: dict[str, Decoded] = {}
    counter = Counter("decoded clips")
    for number, row in enumerate(rows, start=1):
        length_s = UNKNOWN_S if row.duration_s is None else row.duration_s
        if not row.problem and length_s <= seconds:
            seconds -= length_s
            found[row.clip_id] = _decode_one(row)
            counter(number, len(rows))
    return found


def _decode_one(row: Any) -> Decoded:
    from avemo.base.contracts import ClipFailure
    from avemo.media.pictures import count_frames
    from avemo.media.sound import read_sound

    notes: list[str] = []
    failures: list[Any] = []
    try:
        if row.audio_rate_hz:
            notes += read_sound(row.clip, row.audio_rate_hz).notes
    except ClipFailure as failure:
        failures.append(failure)
    try:
        if row.video_path and (tally := count_frames(row.clip)).share:
            notes.append(str(tally))
    except ClipFailure as failure:
        failures.append(failure)
    return notes, failures


def clip_notes(rows: Sequence[Any], decoded: Mapping[str, Decoded] | None = None) -> list[str]:
    """What is odd about clips that can be read: each kind once, with how many clips and the first of them."""
    clips: dict[str, list[str]] = {}
    said: dict[str, str] = {}
    for row in rows:
        found = [] if row.problem else row.detail.split("; ")
        for note in filter(None, [*found, *(decoded or {}).get(row.clip_id, ([], []))[0]]):
            clips.setdefault(_kind(note), []).append(row.clip_id)
            said.setdefault(_kind(note), note)
    return [
        f"{len(ids)} clip{'s' * (len(ids) > 1)}: {said[kind]} ({', '.join(ids[:3])}{', …' * (len(ids) > 3)})"
        for kind, ids in clips.items()
    ]


def _name_notes(rows: Sequence[Any], given: Sequence[Any]) -> list[str]:
    """Speakers, groups and classes that may be meant to be one, or to be none."""
    from avemo.corpora.near_names import is_missing, near_names

    speakers, groups = Tally(row.speaker for row in rows), Tally(row.group for row in rows)
    named = {"speaker": speakers, "group": groups if groups != speakers else Tally[str]()}
    named["class"] = Tally(one.label for one in given if isinstance(one.label, str))
    near = [f"{what}: {said}" for what, clips in named.items() for said in near_names(clips)]
    empty = [
        f"{what}: {name!r} ({count}) reads like an empty cell"
        for what, clips in named.items()
        for name, count in clips.items()
        if is_missing(name)
    ]
    return _shortened(near, "pairs of near-equal names") + empty


def _shortened(said: Iterable[str], what: str) -> list[str]:
    """The first `SHOWN` sentences, and how many more there are."""
    found = list(said)
    return found[:SHOWN] + ([f"… and {len(found) - SHOWN} more {what}"] if len(found) > SHOWN else [])


def _with_like_hashes(rows: Sequence[Any]) -> list[Any]:
    """Rows with what tells their files apart in place of hashes; only files of one size that begin alike are read whole."""
    from avemo.base.file_hashes import sha256_of

    def head(path: str) -> str:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()

    alike = {path for row in rows if not row.problem for path in (row.audio_path, row.video_path) if path}
    found = dict.fromkeys(alike, "")
    questions: tuple[Callable[[str], Any], ...] = (os.path.getsize, head, sha256_of)
    for ask in questions:
        found |= {path: f"{found[path]} {ask(path)}" for path in alike}
        uses = Tally(found[path] for path in alike)
        alike = {path for path in alike if uses[found[path]] > 1}
    return [
        replace(row, audio_sha256=found.get(row.audio_path), video_sha256=found.get(row.video_path))
        for row in rows
    ]


def _absences(
    corpus: Any, clips: Sequence[Any], given: Sequence[Any], splits: SplitConfig, kept_with: Mapping[str, str]
) -> list[str]:
    """Classes that sides of a run's splits would lack; one sentence where it could not be split."""
    from avemo.base.contracts import AvemoError
    from avemo.dataset.absences import absences
    from avemo.dataset.labels import make_labels
    from avemo.dataset.protocol import splits_of

    known = make_labels(clips, given, corpus.task, corpus.classes, kept_with)
    try:
        return [str(absence) for absence in absences(splits_of(known, splits), known)]
    except AvemoError as error:
        return [str(error)]


def _kind(reason: str) -> str:
    """A reason without its numbers, so that equal ones add up."""
    return re.sub(r"[-\d.]*\d", "n", reason)


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
    """``a 3, b 1``, or ``none``; so many that a screen can show."""
    shown = [f"{name} {count}" for name, count in counts.items()]
    more = [f"and {len(shown) - COUNTS_SHOWN} more"] if len(shown) > COUNTS_SHOWN else []
    return ", ".join(shown[:COUNTS_SHOWN] + more) or "none"


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
