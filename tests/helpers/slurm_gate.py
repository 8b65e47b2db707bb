"""`avemo` that stops at a gate in the middle of its work, so that a failure meets each job at the same clip.

``AVEMO_GATE`` names a folder: ``trace.txt`` gets a line for each clip begun;
a process that begins as many as ``at`` says makes ``waiting`` and stays there
until ``open`` is there; ``megabytes`` says how much memory it holds meanwhile.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from avemo.cli import main
from avemo.features import extraction
from stress import traced


def gated(compute: Any, folder: Path) -> Any:
    """``compute``, traced and with the gate."""
    note, begun = traced.traced(compute), 0

    def call(*arguments: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == int((folder / "at").read_text()) and not (folder / "open").exists():
            _wait(folder)
        return note(*arguments)

    return call


def _wait(folder: Path) -> None:
    wanted = folder / "megabytes"
    (folder / "waiting").touch()
    held = os.urandom(2**20) * int(wanted.read_text()) if wanted.exists() else b""
    while not (folder / "open").exists():
        time.sleep(0.1)
    del held


if __name__ == "__main__":
    extraction.extract_audio = gated(extraction.extract_audio, Path(os.environ["AVEMO_GATE"]))
    main()
