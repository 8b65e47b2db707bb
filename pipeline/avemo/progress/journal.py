"""What Snakemake tells of its jobs while it runs: a file of JSON lines for each time it is started.

It is written in Snakemake's own process, whoever started that, from the events
that Snakemake gives to logger plugins (`snakemake_interface_logger_plugins`)::

    {"event": "started", "at_s": 1764.2, "job": 3, "rule": "train", "wildcards": {...}, "output": [...], "log": [...],
     "reason": "..."}
    {"event": "finished", "at_s": 1765.0, "job": 3}         or "failed"
    {"event": "ended", "at_s": 1766.1}                      the last line, unless Snakemake was killed

While Snakemake runs, it touches the file every few seconds.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from snakemake_interface_logger_plugins.common import LogEvent

from avemo.base.atomic import append_line
from avemo.cache.lock import BEAT_S, STALE_S

FOLDER = Path(".avemo/events")
EVENTS: dict[Any, str] = {
    LogEvent.JOB_INFO: "started",
    LogEvent.JOB_FINISHED: "finished",
    LogEvent.JOB_ERROR: "failed",
}
MOST_FILES = 20
"""Of older times Snakemake was started."""
CLOCK_S = 2.0
"""What a file server's clock may be behind, and what its times are rounded by."""
WATCHED: list[Any] = []
"""The workflows (Snakemake's) of this process."""


@dataclass(frozen=True)
class Job:
    """A job as the journal has it last: ``failed``, or else under way. ``at_s`` is when it was started or failed."""

    output: tuple[str, ...]
    log: tuple[str, ...]
    at_s: float
    failed: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it works; a job that waits in a cluster's queue has not begun its log."""
        return not self.failed and any(_mtime(log) >= self.at_s - CLOCK_S for log in self.log)


def unfinished_jobs(folder: Path = FOLDER) -> dict[str, Job]:
    """Jobs that run or have failed, by each of their outputs.

    They run while their Snakemake does; what failed counts until Snakemake is started again.
    """
    found: dict[str, Job] = {}
    files = sorted(folder.glob("*.jsonl"))
    for path in files:
        jobs, over = _read(path)
        if path == files[-1] or not over:
            left = [job for job in jobs if job.failed or not over]
            found |= {output: job for job in left for output in job.output}
    return found


def _read(path: Path) -> tuple[list[Job], bool]:
    """Jobs that have not finished, and whether their Snakemake has ended."""
    jobs: dict[int, Job] = {}
    over = time.time() - _mtime(path) >= STALE_S
    for line in _lines(path):
        if line["event"] == "started":
            jobs[line["job"]] = Job(tuple(line["output"]), tuple(line["log"]), line["at_s"])
        elif line["event"] == "ended":
            over = True
        elif (job := jobs.pop(line["job"], None)) and line["event"] == "failed":
            jobs[line["job"]] = Job(job.output, job.log, line["at_s"], failed=True)
    return list(jobs.values()), over


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            # The end of a file that is being written, or whose writer was killed.
            continue


def watch(workflow: Any) -> Journal | None:
    """Keep a journal of what this Snakemake does; called by the Snakefile with its ``workflow``.

    Processes that run one job for another keep none, nor do dry runs.
    """
    if not workflow.is_main_process:
        return None
    WATCHED.append(workflow)
    journal = Journal(workflow)
    logging.getLogger("snakemake").addHandler(journal)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, journal.interrupt)
    return journal


class Journal(logging.Handler):
    """Writes the journal; the file appears with the first job."""

    def __init__(self, workflow: Any, folder: Path = FOLDER):
        super().__init__()
        self.workflow, self.folder = workflow, folder
        self.path: Path | None = None
        self._interrupted = False
        self._ended = threading.Event()

    def emit(self, record: Any) -> None:
        """Write a line for each of Snakemake's events that `EVENTS` names; a dry run leaves none."""
        name = EVENTS.get(getattr(record, "event", None))
        # Once Snakemake is interrupted, its jobs end because they were told to.
        if name is None or self.workflow.dryrun or (self._interrupted and name == "failed"):
            return
        line = {"event": name, "at_s": record.created}
        line["job"] = record.job_id if name == "finished" else record.jobid
        if name == "started":
            line |= {"rule": record.rule_name, "wildcards": dict(record.wildcards or {})}
            line |= {key: list(map(str, getattr(record, key) or [])) for key in ("output", "log")}
            line["reason"] = record.reason
        try:
            self._write(line)
        except OSError:
            self.handleError(record)

    @property
    def forgotten(self) -> list[Job]:
        """Jobs that failed and have not been tried again, asked once Snakemake takes all for done.

        With ``retries`` and ``keep-going`` it (9.27) forgets the jobs that wait for their next try, and all that rests
        on them, when a checkpoint ends.
        """
        return [job for job in _read(self.path)[0] if job.failed] if self.path else []

    def require_none_forgotten(self) -> None:
        """Raise Snakemake's error, by which it exits with 1, where it has forgotten jobs."""
        from snakemake.exceptions import WorkflowError

        if forgotten := self.forgotten:
            names = ", ".join(job.output[0] for job in forgotten)
            raise WorkflowError(
                f"expected {names}, found a failed try that Snakemake has not made again, nor what rests on it; run the "
                "same command again, which goes on from there"
            )

    def interrupt(self, *_: object) -> NoReturn:
        """Ctrl-C."""
        self._interrupted = True
        raise KeyboardInterrupt

    def close(self) -> None:
        if self.path and not self._ended.is_set():
            self._write({"event": "ended", "at_s": time.time()})
            self._ended.set()
        super().close()

    def _write(self, line: dict[str, Any]) -> None:
        if self.path is None:
            self.path = self._begin()
        append_line(self.path, json.dumps(line))

    def _begin(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(self.folder.glob("*.jsonl"))[:-MOST_FILES]:
            old.unlink(missing_ok=True)
        path = self.folder.absolute() / f"{datetime.now():%Y-%m-%dT%H%M%S.%f}-{os.getpid()}.jsonl"
        threading.Thread(target=self._beat, args=(path,), daemon=True).start()
        return path

    def _beat(self, path: Path) -> None:
        while not self._ended.wait(BEAT_S):
            if path.exists():
                os.utime(path)


def _mtime(path: str | Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
