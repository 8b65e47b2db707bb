"""An extractor with weights of its own that costs nothing: log-mel energies times a number in a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from avemo.base.contracts import FeatureSequence, located
from avemo.features.logmel import LogMel
from avemo.weights.find import find, load_state_dict


class WeightedLogMel(LogMel):
    """``random-seed-<n>`` multiplies by n."""

    name = "weighted"
    version = 1

    class Config(LogMel.Config):
        """One place."""

        weights: str = located()

    def __init__(self, config: Any):
        super().__init__(config)
        self._weights = find(config.weights)
        seed, path = self._weights.seed, self._weights.path
        self.factor = float(seed or 0) if path is None else float(load_state_dict(path)["factor"])

    def provenance(self) -> dict[str, Any]:
        return dict(self._weights.provenance())

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        found = super().extract(signal)
        return replace(found, x=(found.x * self.factor).astype(np.float32))
