"""What a corpus has lost since its clip table was made: told before a run goes on without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from avemo.base.contracts import AvemoError, Clip
from avemo.base.made_of import made_of
from avemo.index.clip_table import Row, read_table
from avemo.study.file_contents import listing
from avemo.study.layout import Layout
from avemo.study.resolve import corpus_of
from avemo.study.run import Run
from avemo.study.study import Study

SHOWN = 3


def losses_of(study: Study) -> list[str]:
    """A sentence for each loss of each corpus whose clip table is to be made again."""
    return [
        f"{name}: {loss}"
        for name, run in study.corpora.items()
        if not run.corpus.parts
        for loss in _of_corpus(run)
    ]


def _of_corpus(run: Run) -> list[str]:
    index = Layout(run).index
    made = made_of(index)
    if not made or not index.is_file() or listing(run) == made.read.get("files"):
        return []
    try:
        return losses(read_table(index), corpus_of(run.corpus).clips())
    except AvemoError:
        # Which says so itself once it is indexed.
        return []


def losses(before: Sequence[Row], clips: Iterable[Clip]) -> list[str]:
    """What a clip table had that the clips have not now: clips, and media that were there."""
    now = {clip.clip_id: clip for clip in clips}
    left = [row.clip_id for row in before if row.clip_id not in now]
    away = [
        row.clip_id for row in before if row.clip_id in now and not row.problem and _is_away(now[row.clip_id])
    ]
    told = (
        (left, "have left the table", "if this was not meant, bring the table back"),
        (away, "have lost a file", "if its storage is away, stop and mount it"),
    )
    return [
        f"{len(gone)} of {len(before)} clips {what} ({_some(gone)}); what was computed of them stays in the cache; {advice}"
        for gone, what, advice in told
        if gone
    ]


def _is_away(clip: Clip) -> bool:
    return any(path is not None and not Path(path).exists() for path in (clip.audio_path, clip.video_path))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
