"""Features of a corpus kept on a GPU: batches are gathered there, for all splits that a job trains.

Letters as in `avemo.dataset.loading`; N counts the frames of all clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avemo.base.component import RESIDENT_MB
from avemo.base.devices import sent
from avemo.dataset.loading import ClipData, FeatureSource
from avemo.dataset.normalise import ClipNormaliser, Normaliser

KEPT_AS = {"uint8": torch.uint8, "float16": torch.float16}
"""Types of stored values that are kept as they are; all others become float32, as in batches."""


def near(data: ClipData, device: torch.device) -> ClipData:
    """``data`` with its features on ``device``, where that is a GPU and they fit into `RESIDENT_MB`; else as it is."""
    if device.type == "cpu":
        return data
    needed_mb = sum(_bytes(data, modality) for modality in data.sources) / 1e6
    if needed_mb > RESIDENT_MB:
        print(
            f"features of {needed_mb:.0f} MB are read for each batch: at most {RESIDENT_MB} MB stay on a GPU"
        )
        return data
    return ResidentData(data, device)


def _clips(data: ClipData, modality: str) -> list[str]:
    """Those with a target that have the modality."""
    return [clip_id for clip_id in data.targets if data.present(modality, clip_id)]


def _bytes(data: ClipData, modality: str) -> int:
    source = data.sources[modality]
    frames = sum(source.length(clip_id) for clip_id in _clips(data, modality))
    return frames * source.dim * KEPT_AS.get(source.dtype, torch.float32).itemsize


@dataclass(frozen=True)
class Frames:
    """A modality's frames on a device, clip after clip, and where each clip's begin."""

    x_ND: Tensor
    first: dict[str, int]
    number: dict[str, int]
    """Of each clip among those that have the modality."""

    @classmethod
    def of(cls, source: FeatureSource, clip_ids: Sequence[str], device: torch.device) -> Frames:
        """All frames of these clips, read once."""
        lengths = [source.length(clip_id) for clip_id in clip_ids]
        begins = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).tolist()
        kind = KEPT_AS.get(source.dtype, torch.float32)
        x_ND = torch.empty(begins[-1], source.dim, dtype=kind, device=device)
        for clip_id, begin, length in zip(clip_ids, begins, lengths, strict=False):
            x_ND[begin : begin + length] = torch.from_numpy(_read(source, clip_id)).to(kind)
        return cls(x_ND, dict(zip(clip_ids, begins, strict=False)), {c: n for n, c in enumerate(clip_ids)})


def _read(source: FeatureSource, clip_id: str) -> np.ndarray:
    x_TD = np.empty((source.length(clip_id), source.dim), np.float32)
    source.read_into(clip_id, x_TD)
    return x_TD


class ResidentData(ClipData):
    """As the `ClipData` that it is made of, but for where its frames lie.

    Frames of a batch are on ``device``, its masks and targets on the CPU, as they are drawn and checked there;
    `Batch.to` moves them. The arithmetic is `ClipData`'s.
    """

    def __init__(self, data: ClipData, device: torch.device):
        super().__init__(data.sources.get("audio"), data.sources.get("visual"), data.targets, memory_bytes=0)
        self.device = device
        self._frames_of = {m: Frames.of(self.sources[m], _clips(self, m), device) for m in self.sources}
        self._scales: dict[str, tuple[Tensor, Tensor]] = {}
        self._scales_by_clip: dict[str, tuple[Tensor, Tensor]] = {}
        if data.normalisers:
            self.use(data.normalisers)

    def use(self, normalisers: Mapping[str, Normaliser | ClipNormaliser]) -> None:
        """Take statistics made earlier; see `ClipData.use`."""
        super().use(normalisers)
        self._scales = {modality: self._scale(modality) for modality in self.sources}

    def _scale(self, modality: str) -> tuple[Tensor, Tensor]:
        """Mean and deviation on the device: ``(1, D)``, or ``(clips, D)`` where each clip has its own."""
        normaliser = self.normalisers[modality]
        if isinstance(normaliser, Normaliser):
            return self._stacked([normaliser])
        if modality not in self._scales_by_clip:
            # No split changes what a clip is normalised by: clips are read for it once.
            source = self.sources[modality]
            each = (normaliser.of(_read(source, clip_id)) for clip_id in self._frames_of[modality].first)
            self._scales_by_clip[modality] = self._stacked(each)
        return self._scales_by_clip[modality]

    def _stacked(self, each: Iterable[Normaliser]) -> tuple[Tensor, Tensor]:
        parts = [(one.mean, one.std) for one in each]
        mean, std = (torch.from_numpy(np.stack(part)).to(self.device) for part in zip(*parts, strict=True))
        return mean, std

    def _padded(self, modality: str, clip_ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `ClipData`; ``(B, T, D)`` on the device, its mask on the CPU."""
        lengths_B = torch.tensor([self.frames(modality, clip_id) for clip_id in clip_ids])
        mask_BT = torch.arange(max(1, int(lengths_B.max()))) < lengths_B.clamp(min=1)[:, None]
        kept = self._frames_of.get(modality)
        if kept is None or not len(kept.x_ND):
            return torch.zeros(*mask_BT.shape, self._dim(modality), device=self.device), mask_BT
        # Of each clip three numbers travel, not one of each frame.
        places = [(kept.first.get(clip_id, 0), kept.number.get(clip_id, 0)) for clip_id in clip_ids]
        found = torch.cat([torch.tensor(places).T, lengths_B[None]])
        first_B, number_B, lengths_B = sent(found, self.device)
        step_T = torch.arange(mask_BT.shape[1], device=self.device)
        # What is padded reads some frame and is zeroed after.
        within_BT = torch.minimum(step_T, (lengths_B - 1).clamp(min=0)[:, None])
        rows = (first_B[:, None] + within_BT).flatten()
        x_BTD = kept.x_ND.index_select(0, rows).float().unflatten(0, mask_BT.shape)
        mean, std = self._scales[modality]
        if isinstance(self.normalisers[modality], ClipNormaliser):
            mean, std = mean[number_B][:, None], std[number_B][:, None]
        unreal_BT = step_T >= lengths_B[:, None]
        return x_BTD.sub_(mean).div_(std).masked_fill_(unreal_BT[..., None], 0), mask_BT
