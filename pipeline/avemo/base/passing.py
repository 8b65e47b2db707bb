"""Errors that say nothing of a file: its storage was away for a moment, or the machine ran out of something."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

AWAY = {
    *(errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.ESTALE, errno.ENODEV, errno.EHOSTDOWN),
    *(errno.EACCES, errno.EPERM),
}
EXHAUSTED = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
"""Errors of writing where one may only read."""
FULL = {errno.ENOSPC, errno.EDQUOT}
PASSING = AWAY | EXHAUSTED
PAUSES_S = (0.2, 1.0)
"""Before each further try."""

Answer = TypeVar("Answer")


def is_passing(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is one of storage or machine."""
    while error is not None:
        if isinstance(error, MemoryError) or number_of(error) in PASSING:
            return True
        error = error.__cause__
    return False


def number_of(error: BaseException) -> int | None:
    """The system's number of an error; HDF5 has it in its text alone."""
    number = getattr(error, "errno", None)
    told = re.search(r"errno = (\d+)", str(error)) if number is None else None
    return int(told[1]) if told else number


@contextmanager
def where_open() -> Iterator[None]:
    """Let the block write what only spares work; where one may only read, it is left out."""
    try:
        yield
    except OSError as error:
        if error.errno not in CLOSED:
            raise


def patiently(ask: Callable[[], Answer], passes: Callable[[BaseException], bool] = is_passing) -> Answer:
    """What ``ask`` gives, asked again after `PAUSES_S` while it raises what ``passes``."""
    for pause_s in PAUSES_S:
        try:
            return ask()
        except Exception as error:
            if not passes(error):
                raise
        time.sleep(pause_s)
    return ask()
