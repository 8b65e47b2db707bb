"""What a training really read of a split, noted as it passes; the run record keeps it for the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from avemo.base.contracts import digest
from avemo.dataset.normalise import BY_TRAIN, Normalise

if TYPE_CHECKING:
    import torch

    from avemo.dataset.batch import Batch
    from avemo.training.inference import Data


class Witness:
    """``data``, and the clips from which statistics were made, weights trained, epochs judged."""

    def __init__(self, data: Data):
        self.data = data
        self.read: dict[str, set[str]] = {"statistics": set(), "train": set(), "dev": set()}

    def fit(self, train_ids: Sequence[str], normalise: Normalise = BY_TRAIN) -> object:
        self.read["statistics"].update(train_ids)
        return self.data.fit(train_ids, normalise)

    def batches(
        self,
        clip_ids: Sequence[str],
        batch_size: int,
        generator: torch.Generator | None = None,
        bucketing: int = 1,
    ) -> Iterator[Batch]:
        """The data's own. Training alone shuffles."""
        self.read["dev" if generator is None else "train"].update(clip_ids)
        return self.data.batches(clip_ids, batch_size, generator, bucketing)

    def account(self) -> dict[str, dict[str, Any]]:
        """JSON-able: `account_of` each kind of reading."""
        return {use: account_of(clip_ids) for use, clip_ids in self.read.items()}


def account_of(clip_ids: Iterable[str]) -> dict[str, Any]:
    """How many clips, and a digest of which.

    >>> account_of(["b", "a"]) == account_of(["a", "b"])
    True
    """
    clips = sorted(clip_ids)
    return {"clips": len(clips), "digest": digest(clips)}
