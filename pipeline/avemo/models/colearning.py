"""Interactive co-learning: one cross-modal transformer for sound, faces, or both.

Takashima et al., "Interactive co-learning with cross-modal transformer for
audio-visual emotion recognition", Interspeech 2022; equation and section
numbers are that paper's. Kernel and channels of the audio convolutions, the
norms' places, the attention of the pooling and the size of MobileNet are not
stated there; the choices here agree with the published block sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.base.contracts import AvemoError, ComponentConfig, located
from avemo.base.devices import sent
from avemo.dataset.batch import Batch
from avemo.models.attention import require_frames, sinusoid
from avemo.models.base import Outputs, System, heads_divide_width
from avemo.models.face_cnn import FaceCNN
from avemo.models.pooling import AttentivePooling, halved
from avemo.models.presence import modalities_in, shown
from avemo.weights.find import load_state_dict

HEADS: tuple[str, ...] = ("audio", "visual", "av")


class CoLearning(System):
    """Audio encoder, visual encoder, cross-modal encoder, multi-label classifier (Fig. 1).

    A pass has one head, named for what it was given. Interactive co-learning is the
    procedure ``sampled``, conventional training ``joint``.
    """

    version: ClassVar[int] = 1
    procedures: ClassVar[tuple[str, ...]] = ("sampled", "joint")
    tiny = {"cnn": "none", "width": 8, "heads": 2, "ffn": 16, "audio_layers": 2}

    class Config(ComponentConfig):
        """5,254,198 parameters with 240-D audio, 128 x 128 faces and 6 emotions; with the small CNN 3,160,102."""

        modalities: Literal["both", "audio", "visual"] = "both"
        """One modality: the paper's baselines, its encoder and a classifier without cross-modal encoder."""
        cnn: Literal["mobilenet_v3_large", "mobilenet_v3_small", "none"] = "mobilenet_v3_large"
        """What turns a face frame (square RGB, rows x columns x 3, flattened) into a vector; ``none``: visual
        frames are feature vectors already."""
        width: int = Field(128, ge=2)
        """D."""
        heads: int = Field(4, ge=1)
        """Must divide ``width``."""
        ffn: int = Field(512, ge=1)
        """Units of the feed-forward hidden layers."""
        audio_layers: int = Field(6, ge=1)
        """Transformer blocks of the audio encoder."""
        visual_layers: int = Field(2, ge=1)
        """Transformer blocks of the visual encoder."""
        cross_layers: int = Field(2, ge=1)
        """Transformer blocks of the cross-modal encoder."""
        dropout: float = Field(0.1, ge=0, lt=1)
        """In the transformer blocks."""
        initial_weights: dict[Literal["audio", "cnn"], str] = located(default_factory=dict)
        """Weight files that the audio encoder and the CNN start from, names as in this model's own. (The
        paper's were trained on private speech, and on faces and expressions.)"""

        _heads = model_validator(mode="after")(heads_divide_width)

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        self.audio = AudioEncoder(config, audio_dim) if config.modalities != "visual" else None
        self.visual = VisualEncoder(config, visual_dim) if config.modalities != "audio" else None
        self.cross = Transformer(config, config.cross_layers) if config.modalities == "both" else None
        self.pool = AttentivePooling(config.width)
        self.classifier = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, outputs)
        )

    def initialise(self) -> None:
        """Load ``initial_weights``; raises `AvemoError` for a part the model lacks and for other names or shapes."""
        built = {"audio": self.audio, "cnn": self.visual.cnn if self.visual is not None else None}
        for part, path in self.config.initial_weights.items():
            load_part(built[part], part, path)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Both, or the one of a baseline."""
        return ("audio", "visual") if self.config.modalities == "both" else (self.config.modalities,)

    def parts(self) -> dict[str, Sequence[nn.Module]]:
        """The three input types of section 3.2, each of which trains the whole model."""
        heads = HEADS if self.config.modalities == "both" else (self.config.modalities,)
        return {name: [self] for name in heads}

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass on what each clip has; draws nothing from ``generator``.

        Raises `AvemoError` for a clip without frames.
        """
        require_frames(batch)
        z_BTD, mask_BT = self.represent(batch)
        logits_BC = self.classifier(self.pool(z_BTD, mask_BT))
        name = "av" if self.config.modalities == "both" else self.config.modalities
        return Outputs({name: logits_BC}, logits_BC)

    def forward_only(self, head: str, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """The pass of one input type: Eq. 17, 18 or 19."""
        absent = {"audio": "visual", "visual": "audio"}.get(head)
        outputs = self(batch.without(absent) if absent else batch, generator)
        return Outputs({head: outputs.prediction}, outputs.prediction)

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Z ``(B, T_a + T_v, D)`` and its mask (Eq. 12, 13); one modality's T if no clip has the other."""
        streams, masks = [], []
        for modality, encoder in self._encoders(batch):
            x_BTF, mask_BT = batch.frames(modality)
            x_BTD, mask_BT = encoder(x_BTF, mask_BT, shown(batch, modality), seen_frames(batch, modality))
            streams.append(x_BTD)
            masks.append(mask_BT)
        z_BTD, mask_BT = torch.cat(streams, dim=1), torch.cat(masks, dim=1)
        if self.cross is None:
            return z_BTD, mask_BT
        return self.cross(z_BTD, mask_BT), mask_BT

    def _encoders(self, batch: Batch) -> list[tuple[str, nn.Module]]:
        """The encoders to run. A baseline runs its own even when the batch lacks that modality."""
        built = {"audio": self.audio, "visual": self.visual}
        wanted = modalities_in(batch) if self.cross is not None else built
        return [(name, encoder) for name, encoder in built.items() if encoder is not None and name in wanted]


def load_part(module: nn.Module | None, part: str, path: str) -> None:
    """Load a weight file into ``module``, every name and no other."""
    if module is None:
        raise AvemoError(
            f"initial_weights.{part}: expected a model with that part, found none; remove the entry"
        )
    try:
        module.load_state_dict(load_state_dict(path), strict=True)
    except RuntimeError as error:
        raise AvemoError(f"{path}: expected the weights of the part {part!r}; {error}") from error


class AudioEncoder(nn.Module):
    """Two [Conv k=3 -> ReLU -> max-pool 2], positions, blocks, segment vector (Eq. 4-7)."""

    def __init__(self, config: CoLearning.Config, features: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(below, config.width, kernel_size=3, padding=1) for below in (features, config.width)
        )
        self.transformer = Transformer(config, config.audio_layers)
        self.segment_D = nn.Parameter(0.02 * torch.randn(config.width))

    def forward(
        self, x_BTF: Tensor, mask_BT: Tensor, shown_B: Tensor, seen_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``(B, ceil(T / 4), D)`` and its mask, False all over for clips that are not `shown`."""
        x_BFT, mask_B1T = x_BTF.transpose(1, 2), mask_BT[:, None].to(x_BTF.dtype)
        x_BFT = x_BFT * mask_B1T
        for convolution in self.convolutions:
            x_BFT = halved(F.relu(convolution(x_BFT)) * mask_B1T)
            mask_B1T = halved(mask_B1T)
        mask_BT = mask_B1T[:, 0].bool()
        x_BTD = _encode(self.transformer, x_BFT.transpose(1, 2), mask_BT, self.segment_D)
        return x_BTD, mask_BT & shown_B[:, None]


class VisualEncoder(nn.Module):
    """CNN and projection of each real frame, positions, blocks, segment vector (Eq. 8-11)."""

    def __init__(self, config: CoLearning.Config, features: int):
        super().__init__()
        self.cnn = None if config.cnn == "none" else FaceCNN(config.cnn, features)
        self.project = nn.Linear(features if self.cnn is None else self.cnn.width, config.width)
        self.transformer = Transformer(config, config.visual_layers)
        self.segment_D = nn.Parameter(0.02 * torch.randn(config.width))

    def forward(
        self, x_BTF: Tensor, mask_BT: Tensor, shown_B: Tensor, seen_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``(B, T, D)`` and its mask, False all over for clips that are not `shown`; ``seen_N``: `seen_frames`."""
        x_NF = x_BTF.flatten(0, 1).index_select(0, seen_N)
        x_ND = self.project(x_NF if self.cnn is None else self.cnn(x_NF))
        x_BTD = x_ND.new_zeros(mask_BT.numel(), x_ND.shape[-1]).index_copy(0, seen_N, x_ND)
        x_BTD = x_BTD.unflatten(0, mask_BT.shape)
        return _encode(self.transformer, x_BTD, mask_BT, self.segment_D), mask_BT & shown_B[:, None]


def seen_frames(batch: Batch, modality: str) -> Tensor:
    """Where the real frames of the clips that are `shown` lie among all of a padded batch, ``(N,)``; all frames where a system
    is exported, as a graph leaves none out by its value, and what is not real is masked afterwards in any case."""
    if torch.compiler.is_exporting():
        return torch.arange(batch.frames(modality)[1].numel())
    has = {name: batch.known(f"has_{name}_B") for name in ("audio", "visual")}
    shown_B = has[modality] | ~(has["audio"] | has["visual"])
    seen_BT = batch.known(f"{modality}_mask_BT") & shown_B[:, None]
    return sent(seen_BT.flatten().nonzero().flatten(), batch.frames(modality)[0].device)


class Transformer(nn.Module):
    """Pre-norm blocks with Swish, 198,272 parameters each at width 128, and a final layer norm."""

    def __init__(self, config: CoLearning.Config, layers: int):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                config.ffn,
                config.dropout,
                F.silu,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, T, D)``; a clip without any real frame looks at all of them, for others to ignore."""
        unseen_BT = ~mask_BT & mask_BT.any(dim=1, keepdim=True)
        for block in self.blocks:
            x_BTD = block(x_BTD, src_key_padding_mask=unseen_BT)
        return self.norm(x_BTD)


def _encode(transformer: nn.Module, x_BTD: Tensor, mask_BT: Tensor, segment_D: Tensor) -> Tensor:
    positions_TD = sinusoid(x_BTD.shape[1], x_BTD.shape[2], device=x_BTD.device)
    return transformer(x_BTD + positions_TD, mask_BT) + segment_D
