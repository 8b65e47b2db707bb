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
    """Grows by ``append`` of ``(n, dim)`` blocks; ``array`` is all of them, ``(frames, dim)``."""

    def __init__(self, dim: int, dtype: Any):
        self._dim, self._dtype = dim, np.dtype(dtype)
        self._blocks: list[np.ndarray] = []
        self._bytes = self._frames = 0
        self._file: Any = None

    def append(self, block: np.ndarray) -> None:
        """Add rows at the end, cast to the buffer's dtype."""
        block = np.ascontiguousarray(block, self._dtype)
        self._frames += len(block)
        self._bytes += block.nbytes
        self._blocks.append(block)
        if self._file is not None or self._bytes > MEMORY_BYTES:
            self._spill()

    def array(self) -> np.ndarray:
        """The frames: an ordinary array, or one mapped to the temporary file, which goes when the array does."""
        if self._file is None:
            return np.concatenate([np.empty((0, self._dim), self._dtype), *self._blocks])
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r", shape=(self._frames, self._dim))

    def _spill(self) -> None:
        self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 (outlives this call)
        for block in self._blocks:
            self._file.write(block.data)
        self._blocks.clear()


def blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """``x (frames, ...)`` in consecutive parts of a few megabytes; a mapped file's pages are let go after use."""
    step = max(1, BLOCK_BYTES // max(1, x.nbytes // max(1, len(x))))
    for start in range(0, len(x), step):
        yield x[start : start + step]
        if isinstance(x, np.memmap):
            x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
