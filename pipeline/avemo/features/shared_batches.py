"""Pictures of several clips in batches of one size, through one network.

A row's bits depend on how many pictures a network is given at once, and may depend on the place among them; what lies
in the other places never changed them. With one size for all, and places that make no difference (`places_alike`), clips
may share batches, and a clip's numbers are the same whoever its neighbours are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]
"""Pictures ``(n, height, width, 3)`` uint8 to rows ``(n, dim)``."""


def filled(images: np.ndarray, size: int) -> np.ndarray:
    """``images (n, ...)`` with black ones behind them, ``(size, ...)``."""
    return np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])


def places_alike(forward: Forward, size: int, side_px: int) -> bool:
    """Whether a picture's row has the same bits at each place among ``size``, whatever lies in the others."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (size, side_px, side_px, 3), np.uint8)
    rows, number = forward(images), np.arange(size)
    orders = [number[::-1], np.roll(number, 1), np.roll(number, size // 2), rng.permutation(size)]
    alike = all(np.array_equal(forward(images[order]), rows[order]) for order in orders)
    some = max(1, size // 3)
    return alike and np.array_equal(forward(filled(images[:some], size))[:some], rows[:some])


@dataclass(eq=False)
class _Asked:
    """A thread's pictures: how many are under way, and what came of those before."""

    images: np.ndarray
    taken: int = 0
    rows: list[np.ndarray] = field(default_factory=list)
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or sum(map(len, self.rows)) == len(self.images)


class SharedBatches:
    """``forward`` for several threads: a batch runs when ``size`` pictures wait, or when every thread in a clip does.

    It holds what its threads have asked for, and nothing beside. Where a batch fails, each clip's pictures are tried
    alone, so that the failure is that of the clip whose pictures they are.
    """

    def __init__(self, forward: Forward, size: int):
        self.size, self._forward = size, forward
        self._turn = threading.Condition()
        self._asked: list[_Asked] = []
        self._in_clips, self._is_busy = 0, False

    @contextmanager
    def clip(self) -> Iterator[None]:
        """A thread at work on a clip, for whose pictures others may have to wait."""
        with self._turn:
            self._in_clips += 1
        try:
            yield
        finally:
            with self._turn:
                self._in_clips -= 1
                self._turn.notify_all()

    def rows(self, images: np.ndarray) -> np.ndarray:
        """What ``forward`` makes of ``images``; any thread may be the one that runs a batch. Raises what it raises."""
        asked = _Asked(images)
        with self._turn:
            self._asked.append(asked)
            self._turn.notify_all()
            while not asked.is_done:
                if self._is_busy or not (batch := self._next()):
                    self._turn.wait()
                else:
                    self._run(batch)
        if asked.error is not None:
            raise asked.error
        return np.concatenate(asked.rows)

    def _next(self) -> list[tuple[_Asked, np.ndarray]]:
        """Whose pictures, and which, make up the next batch; nothing while more are to come."""
        waiting = sum(len(asked.images) - asked.taken for asked in self._asked)
        if waiting < self.size and len(self._asked) < self._in_clips:
            return []
        batch, room = [], self.size
        while room and self._asked:
            asked = self._asked[0]
            part = asked.images[asked.taken : asked.taken + room]
            asked.taken += len(part)
            room -= len(part)
            batch.append((asked, part))
            if asked.taken == len(asked.images):
                del self._asked[0]
        return batch

    def _run(self, batch: list[tuple[_Asked, np.ndarray]]) -> None:
        """Compute a batch while others may ask, and hand out its rows."""
        self._is_busy = True
        self._turn.release()
        try:
            found = self._computed([part for _, part in batch])
        finally:
            self._turn.acquire()
            self._is_busy = False
            self._turn.notify_all()
        for (asked, _), rows in zip(batch, found, strict=True):
            if isinstance(rows, Exception):
                asked.error = rows
                self._asked = [other for other in self._asked if other is not asked]
            else:
                asked.rows.append(rows)

    def _computed(self, parts: list[np.ndarray]) -> list[np.ndarray | Exception]:
        try:
            rows = self._forward(filled(np.concatenate(parts), self.size))
        except Exception as error:
            return [error] if len(parts) == 1 else [self._computed([part])[0] for part in parts]
        return list(np.split(rows[: sum(map(len, parts))], np.cumsum([len(part) for part in parts])[:-1]))
