"""What data sets read features from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from avemo.base.contracts import FeatureSequence


class FeatureSource(Protocol):
    """Features of one modality by clip id, as the cache's `FeatureSet` gives them."""

    @property
    def dim(self) -> int:
        """Number of feature dimensions."""

    @property
    def dtype(self) -> str:
        """Type of the stored values; ``uint8`` means pixels."""

    def has(self, clip_id: str) -> bool:
        """Whether the clip was extracted without failure."""

    def length(self, clip_id: str) -> int:
        """The clip's number of frames."""

    def read_into(self, clip_id: str, out: np.ndarray) -> None:
        """Write the clip's first frames to ``out (frames, dim)`` float32."""

    def moments(self, clip_ids: Sequence[str]) -> Any:
        """``count`` of frames, all or per dimension, their ``sum`` and sum of ``squares (dim,)`` over the clips."""


class TimedSource(FeatureSource, Protocol):
    """One that knows when its frames are."""

    def read(self, clip_id: str) -> FeatureSequence:
        """A clip's frames and their times."""
