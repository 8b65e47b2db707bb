"""The extractor contract: a pure function of decoded signal and `Config`.

An extractor never sees HDF5, files of the corpus or Snakemake. Heavy imports
happen in `__init__`, so that importing a module to read its `Config` and
`version` is cheap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from avemo.base.component import Component, Work
from avemo.base.contracts import AvemoError, ComponentConfig, FeatureSequence, digest
from avemo.faces.crop import CropPolicy


class Extractor(Component, ABC):
    """Common part."""

    name: ClassVar[str]
    """Its folders in the cache begin with it."""
    modality: ClassVar[str]
    reads: ClassVar[str]
    """``sound``, ``faces``, ``frames`` whole, or ``table``: other programs' files, by clip id."""
    dim: int
    """Features of a frame; of the class where no config changes it."""
    parts: tuple[str, ...] = ()
    """Where a frame is made of equal parts side by side, such as layers of a network: their names. Each can be
    read alone."""

    @classmethod
    def reads_of(cls, config: Any) -> str:
        """What an extractor of this ``Config`` reads, where that is a matter of it; see `reads`."""
        return cls.reads

    @classmethod
    def parts_of(cls, config: Any) -> tuple[str, ...] | None:
        """`parts` as far as a ``Config`` tells; None where only the network knows them."""
        return ()

    def provenance(self) -> dict[str, Any]:
        """What the numbers come from besides config and libraries: weight hashes.

        ``{"random_weights": True}`` marks features no trained network has made.
        """
        return {}

    @property
    def identity(self) -> str | None:
        """The hash of what its config locates: weights, or another file that makes its numbers; None if it has none."""
        return self.provenance().get("weights")

    @property
    def dtype(self) -> str:
        """Type in which the store keeps ``x``."""
        return "float32"

    def key_part(self) -> str:
        """This extractor's part of an item's key (`avemo.base.keys`)."""
        made_by = [self.provenance(), self.versions()]
        return digest([self.name, self.release(), self.config.numbers(), *made_by])

    def __init__(self, config: ComponentConfig):
        self.config = config

    def share(self) -> None:
        """Called once before several threads extract at a time, each a clip of its own."""


class AudioExtractor(Extractor):
    """Reads mono sound at ``rate_hz``."""

    modality, reads = "audio", "sound"
    libraries: ClassVar[tuple[str, ...]] = ("av",)
    rate_hz: ClassVar[int] = 16_000

    def check(self, signal: np.ndarray, samples: int) -> None:
        """Raise `AvemoError` unless ``signal`` is one channel of at least ``samples``."""
        if signal.ndim != 1 or len(signal) < samples:
            raise AvemoError(
                f"signal too short for {self.name}: expected one channel of at least {samples} samples "
                f"({samples / self.rate_hz:g} s), found shape {signal.shape}; give a longer clip or leave it out"
            )

    @abstractmethod
    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` float32 in [-1, 1] at ``rate_hz`` to features; times are frame centres in seconds."""


class VisualExtractor(Extractor):
    """Reads face crops, made as its ``crop`` policy asks."""

    modality, reads = "visual", "faces"
    libraries: ClassVar[tuple[str, ...]] = ("av", "opencv-python-headless")
    work = Work(seconds=4.0, memory_mb=4000, frames_hz=30)

    def __init__(self, config: ComponentConfig):
        super().__init__(config)
        self.crop = self.crop_policy(config)

    @classmethod
    @abstractmethod
    def crop_policy(cls, config: Any) -> CropPolicy:
        """How crops are cut for an extractor of this ``Config``; cheap, as the workflow asks for it too."""

    @abstractmethod
    def extract(self, crops: Iterable[tuple[float, np.ndarray]]) -> FeatureSequence:
        """``(time_s, crop (height, width, 3) uint8 RGB)`` in order of time to features, streaming in batches."""


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Consecutive lists of ``size`` items, the last possibly shorter."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
