"""The command line: one command a rule, and some for people.

Heavy imports happen inside the commands, so that ``avemo --help`` answers at
once. Exit codes: 0 done, 1 failed, 2 wrong usage or config, 3 done with
recorded clip failures.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

REMEDY = "see to its permissions, its storage or its room, then run again"


UNFIT = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
"""Names that no file or folder can have, or that are the other's."""


def main() -> None:
    """Entry point of ``avemo``: an error for people is one message, not a traceback."""
    keep_caches_here()
    from avemo.base.contracts import AvemoError
    from avemo.base.passing import CLOSED, FULL, PASSING
    from avemo.cli.app import app

    try:
        app()
    except AvemoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in PASSING | CLOSED | FULL | UNFIT:
            raise
        place, remedy = error.filename or "a file", "correct the path" if error.errno in UNFIT else REMEDY
        print(
            f"error: {str(place)[:300]}: expected to read and write it, found: {error.strerror}; {remedy}",
            file=sys.stderr,
        )
        sys.exit(1)


def keep_caches_here() -> None:
    """Let Snakemake and matplotlib keep their caches in ``.avemo`` where the home takes no files."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    there = next(folder for folder in (caches, *caches.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        here = Path(".avemo", "home").absolute()
        os.environ.update(XDG_CACHE_HOME=str(here), MPLCONFIGDIR=str(here / "matplotlib"))
