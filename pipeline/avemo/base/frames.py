"""Frames of one clip that come block by block: in memory while few, in a temporary file beyond that.

A two-hour clip's embeddings take a gigabyte; whoever makes or reads frames
through this module holds a few megabytes of them at a time.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

MEMORY_BYTES = 32 * 2**20
"""What a buffer holds before it turns to a temporary file (in ``TMPDIR``)."""
BLOCK_BYTES = 8 * 2**20


class FrameBuffer:
    """Rows of ``shape`` written at the end or anywhere; rows never written are zero.

    ``shape`` is that of one frame: ``(dim,)``, or ``()`` for samples of sound.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._row_bytes = int(np.prod(shape)) * self._dtype.itemsize
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 (the buffer owns it)
        self._bytes = 0

    def __len__(self) -> int:
        return self._bytes // self._row_bytes

    def append(self, rows: np.ndarray) -> None:
        """Add rows ``(n, *shape)`` at the end, cast to the buffer's dtype."""
        self.write(len(self), rows)

    def write(self, position: int, rows: np.ndarray) -> None:
        """Put rows ``(n, *shape)`` at ``position``, over what is there."""
        self._file.seek(position * self._row_bytes)
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self._bytes = max(self._bytes, self._file.tell())

    def array(self, length: int | None = None) -> np.ndarray:
        """The first ``length`` rows, or all.

        An ordinary array, or one mapped to the temporary file, which goes when the array does.
        """
        shape = (len(self) if length is None else length, *self._shape)
        self._file.truncate(shape[0] * self._row_bytes)
        if self._bytes <= MEMORY_BYTES:
            self._file.seek(0)
            return np.frombuffer(bytearray(self._file.read()), self._dtype).reshape(shape)
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r+", shape=shape)


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Rows to be written anywhere, in any order: in memory, or mapped to a temporary file that goes with them.

    Who writes many of them says `let_go` from time to time.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= MEMORY_BYTES:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)


def let_go(x: np.ndarray) -> None:
    """Free the memory of a mapped file's pages; what was written stays in the file."""
    if isinstance(x, np.memmap):
        x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def blocks(x: np.ndarray, length: int | None = None) -> Iterator[np.ndarray]:
    """``x (frames, ...)`` in consecutive parts of ``length`` frames, or of a few megabytes.

    A mapped file's pages are let go after use.
    """
    step = length or max(1, BLOCK_BYTES // max(1, x.nbytes // max(1, len(x))))
    for start in range(0, len(x), step):
        yield x[start : start + step]
        let_go(x)
