"""Which files of a study were made of something else than its config and its inputs are now.

Snakemake knows that only of what it has made itself, in this folder, since its memory was last deleted. So each rule has
the input `CHANGED`: newer than all that is there where the record of an output tells of something else, ancient where not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from avemo.base.contracts import MachineError
from avemo.base.made_of import Making, record_path
from avemo.study.makings import (
    RunMakings,
    across_making,
    index_making,
    manifest_making,
    paper_making,
    paper_record_making,
    shard_making,
)
from avemo.study.study import Study
from avemo.study.triggers import Triggers

CHANGED = Path(".avemo/changed")
"""Touched whenever a workflow is started."""
MEANWHILE = Path(".avemo/changed-meanwhile")
"""The same for who plans while another is at work."""
LOCKS = Path(".snakemake/locks")
TOLD: dict[str, list[str]] = {}
"""By output, a file or its record: in what it was made otherwise, of what this process has looked at."""


def touch() -> Path:
    """Make a file newer than all outputs: `CHANGED`, or, while a workflow is at work, whose outputs must be newer than
    that, `MEANWHILE`."""
    at_work = CHANGED.is_file() and LOCKS.is_dir() and any(LOCKS.iterdir())
    newer = MEANWHILE if at_work else CHANGED
    newer.parent.mkdir(parents=True, exist_ok=True)
    # Other bytes each time, as Snakemake takes a small file of the same bytes for unchanged.
    newer.write_text(str(time.time_ns()))
    return newer


def is_changed(*makings: Making, code: bool = False, besides: Iterable[str] = ()) -> bool:
    """Whether one of a rule's outputs was made of something else, or by other ``code``; `TOLD` then says of what.

    ``besides``: in what else it is not as it was made.
    """
    changes = [change for making in makings for change in making.changes(code=code)]
    found = list(dict.fromkeys([*changes, *besides]))
    for making in makings:
        TOLD[str(making.path)] = TOLD[str(record_path(making.path))] = found
        if found:
            _no_later(making.path)
    return bool(found)


def _no_later(path: Path) -> None:
    """Take a time in the future from an output that is to be made again, as a clock that went wrong may have left it:
    nothing would be newer."""
    now = max((one.stat().st_mtime for one in (CHANGED, MEANWHILE) if one.is_file()), default=time.time())
    for one in (path, record_path(path)):
        if one.exists() and one.stat().st_mtime > max(now, time.time()):
            try:
                os.utime(one, (now - 1, now - 1))
            except OSError as error:
                raise MachineError(
                    f"{one}: expected a file of the past, found one of the future, whose time cannot be set "
                    f"({error.strerror}); let its owner touch it, or delete it to have it made again"
                ) from error


@dataclass(frozen=True)
class Changed:
    """The questions that rules ask, each by its wildcards."""

    study: Study
    triggers: Triggers

    @cached_property
    def runs(self) -> dict[str, RunMakings]:
        """What each run's files ought to be made of."""
        return {name: RunMakings(run) for name, run in self.study.runs.items()}

    def _is_changed(self, *makings: Making, besides: Iterable[str] = ()) -> bool:
        return is_changed(*makings, code=self.study.reruns_for_code, besides=besides)

    def index(self, corpus: str) -> bool:
        run = self.study.corpora[corpus]
        digests = {} if run.corpus.parts else {"files": self.triggers.files(corpus)}
        return self._is_changed(index_making(run, **digests))

    def shard(self, corpus: str, component: str, shard: str) -> bool:
        stage, run = self.study.components[corpus, component]
        return self._is_changed(shard_making(run, stage, shard, clips=self.triggers.clips(corpus, shard)))

    def manifest(self, corpus: str, component: str) -> bool:
        return self._is_changed(manifest_making(self.study.corpora[corpus], component))

    def labels(self, run: str) -> bool:
        united = self.study.runs[run].corpus.parts
        digests = {} if united else {"label_files": self.triggers.labels(run)}
        return self._is_changed(self.runs[run].labels(**digests))

    def splits(self, run: str) -> bool:
        return self._is_changed(self.runs[run].splits(published=self.triggers.published(run)))

    def trial(self, run: str, system: str, study: str, number: str) -> bool:
        return self._is_changed(self.runs[run].trial(system, study, int(number)))

    def models(self, run: str, system: str, first: str) -> bool:
        """Those of the splits that one job trains; of all it leaves Snakemake misses the record of the ``first`` alone."""
        layout, pack = self.study.layouts[run], self.study.runs[run].pack(first)
        left = [path for split in pack for path in layout.training_files(system, split)]
        is_known = record_path(layout.model(system, first)).is_file()
        gone = [f"{path} is gone" for path in left if is_known and not path.is_file()]
        return self._is_changed(*(self.runs[run].model(system, split) for split in pack), besides=gone)

    def scores(self, run: str, system: str) -> bool:
        """Also where a model is gone, with its record too: Snakemake misses nothing whose readers are there."""
        makings, layout = self.runs[run], self.study.layouts[run]
        models = layout.models(system, self.study.runs[run].split_names)
        gone = [f"{path} is gone" for path in models if not path.is_file()]
        is_scored = layout.scores(system).is_file()
        return self._is_changed(
            makings.predictions(system), makings.scores(system), besides=gone if is_scored else ()
        )

    def baselines(self, run: str) -> bool:
        return self._is_changed(self.runs[run].baselines())

    def linear(self, run: str) -> bool:
        return self._is_changed(*self.runs[run].linear().values())

    def tests(self, run: str) -> bool:
        return self._is_changed(self.runs[run].tests())

    def quality(self, run: str) -> bool:
        return self._is_changed(self.runs[run].quality())

    def sheet(self, run: str) -> bool:
        return self._is_changed(self.runs[run].sheet())

    def config(self, run: str) -> bool:
        return self._is_changed(self.runs[run].config())

    def report(self, run: str) -> bool:
        return self._is_changed(self.runs[run].report())

    def paper_record(self) -> bool:
        return self._is_changed(paper_record_making(self.study))

    def paper(self) -> bool:
        return self._is_changed(paper_making(self.study))

    def across(self) -> bool:
        return self._is_changed(across_making(self.study))
