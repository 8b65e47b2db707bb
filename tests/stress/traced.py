"""`avemo`, but each clip's id goes to the file ``$AVEMO_TRACE`` before it is computed: what was done, not claimed."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from avemo.base.contracts import Clip
from avemo.cli import main
from avemo.features import extraction

IMPORTED = (
    *("avemo.cli.app", "avemo.cache.store", "avemo.features.opensmile_lld", "pandas"),
    *("pyarrow.parquet", "avemo.training.loop", "avemo.evaluation.scoring", "avemo.models.mult"),
    # Optimisers import it.
    "torch._dynamo",
    *("avemo.report.page", "avemo.report.tables", "avemo.report.figures", "matplotlib.pyplot"),
)
"""What commands import, once and not in every child."""
DEADLY = (signal.SIGINT, signal.SIGTERM)
WORK = ("track_clip", "extract_audio", "extract_visual")


def traced(compute: Callable[..., Any]) -> Callable[..., Any]:
    """``compute`` with a line ``component clip`` in the trace first."""

    def call(component: Any, clip: Clip, *rest: Any) -> Any:
        descriptor = os.open(os.environ["AVEMO_TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{component.name} {clip.clip_id}\n".encode())
        os.close(descriptor)
        return compute(component, clip, *rest)

    return call


def run() -> None:
    """`avemo` with this process' arguments."""
    for name in WORK:
        setattr(extraction, name, traced(getattr(extraction, name)))
    main()


class Forked:
    """The command in a child process that need not import everything again: a real process, to be killed for real."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path):
        self.arguments, self.returncode = arguments, None
        for name in IMPORTED:
            importlib.import_module(name)
        sys.stdout.flush()
        # A signal between fork and the child's own handling would unwind the parent's code in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, DEADLY)
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                code = _run_child(arguments, folder, environment, printed)
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, DEADLY)

    def poll(self) -> int | None:
        """The exit code, negative if killed; None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the exit code."""
        return self._wait(0) or 0

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError` if it has ended."""
        os.kill(self.pid, number)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def _run_child(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["avemo", *arguments]
    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, DEADLY)
        run()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        code = 1
        traceback.print_exc()
    try:
        sys.stdout.flush()
    except OSError:
        code = 1
    return code


if __name__ == "__main__":
    run()
