"""AuxFormer's Audio Only and Video Only models: one modality, same depth.

Goncalves and Busso, ICASSP 2022, section 5.3. A plain self encoder, with
positions, stands where AuxFormer attends across; the rest is the branch and the
auxiliary network of that modality.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch

from avemo.dataset.batch import Batch
from avemo.models.attention import Encoder, prepare, projection
from avemo.models.auxformer import AuxFormerConfig, AuxiliaryHead, MainHead, SequenceNetwork
from avemo.models.base import Outputs, System
from avemo.models.presence import Average, mean_of


class UnimodalAuxFormer(System):
    """Logits ``audio`` and ``audio_auxiliary`` (or ``visual`` and ...); their mean is the prediction."""

    version: ClassVar[int] = 1
    tiny = {"width": 8, "heads": 2, "layers": 2}
    work = replace(System.work, gpu_frame_kb=200)

    class Config(AuxFormerConfig):
        """3,335,582 parameters with 130-D audio, 3,868,062 with 4096-D faces (6 classes)."""

        modality: Literal["audio", "visual"] = "audio"
        """What the system looks at."""
        average: Average = "logits"
        """What the prediction is the mean of, over both heads."""

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        first, second = config.fusion_layers
        self.project = projection(audio_dim if config.modality == "audio" else visual_dim, config.width)
        self.plain = Encoder(config, layers=first, positions=True)
        self.scaled = SequenceNetwork(config, layers=second, residual=config.scales)
        self.head = MainHead(config, config.width, outputs)
        self.auxiliary = SequenceNetwork(config, repeats=config.aux_repeats)
        self.auxiliary_head = AuxiliaryHead(config, outputs)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The one it looks at."""
        return (self.config.modality,)

    @property
    def pads_freely(self) -> bool:
        """Where padding is not counted as real."""
        return not self.config.as_published_padding

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; draws nothing from ``generator``. Raises `AvemoError` for a clip without frames."""
        name = self.config.modality
        x_BTF, mask_BT = prepare(batch, self.config).frames(name)
        x_BTD = self.project(x_BTF)
        main_BC = self.head(self.scaled(self.plain(x_BTD, mask_BT), mask_BT))
        auxiliary_BC = self.auxiliary_head(self.auxiliary(x_BTD, mask_BT))
        logits = {name: main_BC, f"{name}_auxiliary": auxiliary_BC}
        both_BHC = torch.stack([main_BC, auxiliary_BC], dim=1)
        everyone_BH = torch.ones_like(both_BHC[:, :, 0], dtype=torch.bool)
        return Outputs(logits=logits, prediction=mean_of(both_BHC, everyone_BH, self.config.average))
