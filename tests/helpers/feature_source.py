"""Features in memory, as a data set reads them from the cache."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


class Source:
    """Random features in memory, counting reads."""

    dtype = "float32"

    def __init__(self, lengths: dict[str, int], dim: int, seed: int = 0):
        generator = np.random.default_rng(seed)
        self.dim, self.reads = dim, 0
        self.x = {c: generator.normal(5, 3, (n, dim)).astype(np.float32) for c, n in lengths.items()}

    def has(self, clip_id):
        return clip_id in self.x

    def length(self, clip_id):
        return len(self.x[clip_id])

    def read_into(self, clip_id, out):
        self.reads += 1
        out[...] = self.x[clip_id][: len(out)]

    def moments(self, clip_ids):
        x = np.concatenate([self.x[c] for c in clip_ids]).astype(np.float64)
        return SimpleNamespace(count=len(x), sum=x.sum(axis=0), squares=(x**2).sum(axis=0))
