"""The command line: one command a rule, and some for people.

Heavy imports happen inside the commands, so that ``avemo --help`` answers at
once. Exit codes: 0 done, 1 failed, 2 wrong usage or config, 3 done with
recorded clip failures.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``avemo``: an error for people is one message, not a traceback."""
    from pipeline.cli.app import app

    try:
        app()
    except Exception as error:
        from pipeline.contracts import AvemoError

        if not isinstance(error, AvemoError):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if str(error).startswith("config:") else 1)
