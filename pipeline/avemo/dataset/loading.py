"""Clips of one corpus as padded, normalised batches.

Dimension letters: B batch, T time, D feature dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from avemo.base.contracts import AvemoError
from avemo.dataset.batch import Batch
from avemo.dataset.joined import JoinedFeatures
from avemo.dataset.normalise import BY_TRAIN, ClipNormaliser, Normalise, Normaliser
from avemo.dataset.ordering import batch_order
from avemo.dataset.source import FeatureSource

MODALITIES = ("audio", "visual")

MEMORY_BYTES = 512 * 2**20
"""Of clips as stored, kept in memory; changes speed only."""


class ClipData:
    """Batches of clips that may lack a modality.

    ``targets`` maps clip ids to class numbers, or to numbers in the outputs' order. Clips stay in
    memory up to ``memory_bytes``, for every split that is fitted; the others are read each time.
    """

    def __init__(
        self,
        audio: FeatureSource | None,
        visual: FeatureSource | None,
        targets: Mapping[str, int | tuple[float, ...]],
        memory_bytes: int = MEMORY_BYTES,
    ):
        given = {"audio": audio, "visual": visual}
        self.sources = {name: source for name, source in given.items() if source is not None}
        self.targets = targets
        self.normalisers: dict[str, Normaliser | ClipNormaliser] = {}
        self._memory = _Memory(memory_bytes)

    @property
    def audio_dim(self) -> int:
        """Width of audio batches; 1, all zeros, without an audio source."""
        return self._dim("audio")

    @property
    def visual_dim(self) -> int:
        """Width of visual batches; 1, all zeros, without a visual source."""
        return self._dim("visual")

    def usable(self, clip_ids: Iterable[str]) -> tuple[list[str], dict[str, str]]:
        """The clips with a target and a modality, in order, and why each of the others has to stay out."""
        kept, left_out = [], {}
        for clip_id in clip_ids:
            if clip_id not in self.targets:
                left_out[clip_id] = "no target"
            elif not any(self.present(modality, clip_id) for modality in self.sources):
                left_out[clip_id] = f"no features of {' or '.join(self._lacking(clip_id)) or 'any source'}"
            else:
                kept.append(clip_id)
        return kept, left_out

    def fit(
        self, train_ids: Sequence[str], normalise: Normalise = BY_TRAIN
    ) -> dict[str, Normaliser | ClipNormaliser]:
        """What normalises frames, kept for `batches` and returned by modality; see `Normalise`.

        Pixels stay as they are, 0 to 255: the network that looks at them has its own scale.
        Raises `AvemoError` if no train clip has a modality that has a source.
        """
        normalisers: dict[str, Normaliser | ClipNormaliser] = {}
        for modality, source in self.sources.items():
            found = [clip_id for clip_id in train_ids if self.present(modality, clip_id)]
            if not found:
                each = {name: sum(map(one.has, train_ids)) for name, one in features_in(modality, source)}
                told = (
                    f" ({', '.join(f'{n} of {name}' for name, n in each.items())})" if len(each) > 1 else ""
                )
                raise AvemoError(
                    f"{modality}: expected features of train clips, found none of {len(train_ids)}{told}; "
                    f"extract them, or leave {modality} out of the experiment"
                )
            way = getattr(normalise, modality)
            if way == "clip":
                _require_frames(modality, source, found)
            if source.dtype == "uint8" or way == "none":
                normalisers[modality] = Normaliser.unchanged(source.dim)
            elif way == "clip":
                normalisers[modality] = ClipNormaliser(source.dim)
            else:
                moments = source.moments(found)
                normalisers[modality] = Normaliser.from_moments(moments.count, moments.sum, moments.squares)
        self.use(normalisers)
        return normalisers

    def use(self, normalisers: Mapping[str, Normaliser | ClipNormaliser]) -> None:
        """Take statistics made earlier, e.g. a checkpoint's. Raises `AvemoError` if they do not fit."""
        for modality, source in self.sources.items():
            found = normalisers[modality].dim if modality in normalisers else None
            if found != source.dim:
                raise AvemoError(
                    f"{modality}: expected statistics of {source.dim} dimensions, found {found}; "
                    "use those of the same extractor, or call fit"
                )
        self.normalisers = dict(normalisers)

    def batches(
        self,
        clip_ids: Sequence[str],
        batch_size: int,
        generator: torch.Generator | None = None,
        bucketing: int = 1,
    ) -> Iterator[Batch]:
        """Batches of ``batch_size`` clips, the last possibly smaller; shuffled if a generator is given.

        The order is drawn at the call; ``bucketing``: see `batch_order`. Sequences are normalised, then padded
        right with zeros to the longest of the batch. Raises `AvemoError` for a
        clip without target, or before `fit` or `use`.
        """
        if batch_size < 1:
            raise AvemoError(f"batch_size: expected 1 or more, found {batch_size}; correct the config")
        if not set(self.sources) <= set(self.normalisers):
            raise AvemoError(
                "normalisation: expected train statistics, found none; call fit(train_ids) first"
            )
        _, left_out = self.usable(clip_ids)
        if left_out:
            clip_id, reason = next(iter(left_out.items()))
            raise AvemoError(
                f"{clip_id}: {reason} (and {len(left_out) - 1} more such clips); keep to those of usable()"
            )
        lengths = [max(self.frames(modality, c) for modality in MODALITIES) for c in clip_ids]
        order = batch_order(lengths, batch_size, generator, bucketing)
        return (self.collate([clip_ids[i] for i in positions]) for positions in order)

    def collate(self, clip_ids: Sequence[str]) -> Batch:
        """The batch of exactly these clips, in this order."""
        audio, audio_mask = self._padded("audio", clip_ids)
        visual, visual_mask = self._padded("visual", clip_ids)
        target = torch.tensor([self.targets[c] for c in clip_ids])
        has = {name: torch.tensor([self.present(name, c) for c in clip_ids]) for name in MODALITIES}
        return Batch(
            *(audio, visual, audio_mask, visual_mask, target, list(clip_ids)),
            has_audio_B=has["audio"],
            has_visual_B=has["visual"],
            whole=True,
        )

    def _lacking(self, clip_id: str) -> Iterator[str]:
        """What a clip lacks that has no modality: of joined features those that are missing."""
        for modality, source in self.sources.items():
            missing = [name for name, one in features_in(modality, source) if not one.has(clip_id)]
            yield " and ".join(missing) or modality

    def _dim(self, modality: str) -> int:
        return self.sources[modality].dim if modality in self.sources else 1

    def present(self, modality: str, clip_id: str) -> bool:
        """Whether a clip has frames of a modality."""
        source = self.sources.get(modality)
        return source is not None and source.has(clip_id) and source.length(clip_id) > 0

    def frames(self, modality: str, clip_id: str) -> int:
        """How many frames of a clip a batch shows; 0 if it lacks the modality."""
        if not self.present(modality, clip_id):
            return 0
        return self.sources[modality].length(clip_id)

    def _padded(self, modality: str, clip_ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Normalised ``(B, T, D)`` with zeros at the right, and its mask ``(B, T)``, True = real.

        An absent modality is one zero frame that counts as real.
        """
        lengths = [self.frames(modality, clip_id) for clip_id in clip_ids]
        longest = max([1, *lengths])
        # Frames go from the store to their place in the batch, without a copy between.
        x_BTD = torch.empty(len(clip_ids), longest, self._dim(modality))
        for row, (clip_id, length) in enumerate(zip(clip_ids, lengths, strict=True)):
            x_BTD[row, length:] = 0
            if length:
                self._write(modality, clip_id, x_BTD[row, :length].numpy())
        real = torch.tensor(lengths).clamp(min=1)
        return x_BTD, torch.arange(longest) < real[:, None]

    def _write(self, modality: str, clip_id: str, out: np.ndarray) -> None:
        """A clip's normalised frames to ``out (T, D)``."""
        stored = self._memory.get((modality, clip_id))
        if stored is None:
            self.sources[modality].read_into(clip_id, out)
            self._memory.keep((modality, clip_id), out)
        self.normalisers[modality].apply(out if stored is None else stored, out=out)


def features_in(modality: str, source: FeatureSource) -> Iterable[tuple[str, FeatureSource]]:
    """The features that a modality's frames are joined of, by name; the one that it has."""
    return source.sources.items() if isinstance(source, JoinedFeatures) else [(modality, source)]


def _require_frames(modality: str, source: FeatureSource, clip_ids: Sequence[str]) -> None:
    """Raise `AvemoError` where the clips' own statistics would make zeros of all that they have."""
    for name, one in features_in(modality, source):
        if max(map(one.length, clip_ids)) == 1:
            raise AvemoError(
                f"{name}: expected several frames a clip, to be normalised by the clip's own, found a row a clip; "
                f"set training.normalise.{modality} to train or none"
            )


class _Memory:
    """Copies of arrays by key, those that come first, up to ``budget`` bytes.

    Every epoch reads every clip once, so keeping the latest would find nothing again.
    """

    def __init__(self, budget: int):
        self.budget, self.used = budget, 0
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    def get(self, key: tuple[str, str]) -> np.ndarray | None:
        """The array of this key, not to be changed, if it was kept."""
        return self._kept.get(key)

    def keep(self, key: tuple[str, str], value: np.ndarray) -> None:
        if self.used + value.nbytes <= self.budget:
            self._kept[key] = value.copy()
            self.used += value.nbytes
