"""AV-Ladder: audio-visual and cross-layer ladder networks on AuxFormer's encoders.

Goncalves and Busso, "Learning cross-modal audiovisual representations with
ladder networks for emotion recognition", ICASSP 2023; equations and section
numbers are that paper's. The noise variance is that of unit-scale inputs, though the paper
scales the acoustic ones alone (`training.normalise`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.dataset.batch import Batch
from avemo.models.attention import Encoder, FusionConfig, prepare, projection
from avemo.models.base import Outputs, System
from avemo.models.ladder import (
    Encoding,
    LadderDecoder,
    LadderEncoder,
    Noise,
    add_gaussian,
    reconstruction_cost,
    standardise,
)
from avemo.models.presence import Average, mean_of

CROSS_STREAMS = ("audio_over_visual", "visual_over_audio")
"""The streams of the audio-visual ladder: X_A->V (audio queries), X_V->A (visual queries)."""


class AVLadder(System):
    """Clean and noisy passes through encoders, CNNs and ladders (Fig. 1).

    Training: ``logits`` are the noisy heads (Eq. 3 is the mean of their losses),
    ``losses["reconstruction"]`` is Eq. 4. Evaluation: clean heads and no further loss, but
    with a generator as in training.
    ``prediction`` is the mean of the clean logits in both.
    """

    version: ClassVar[int] = 2
    tiny = {**{"width": 8, "heads": 2, "layers": 2, "length": 48}, "channels": (8, 6, 4), "hidden": (12, 8)}
    work = replace(System.work, gpu_frame_kb=500)

    class Config(FusionConfig):
        """8,246,355 parameters with 130-D audio, 4096-D faces and 6 classes."""

        length: int = Field(311, ge=1)
        """N, frames of both modalities before the CNN; longer clips are cut, shorter ones zero-padded."""
        channels: tuple[int, ...] = Field((64, 32, 16), min_length=1)
        """Output channels of the CNN layers, each followed by a max-pooling of 2."""
        hidden: tuple[int, ...] = Field((256, 128), min_length=1)
        """Units of the ladder's hidden layers 1..L."""
        reconstruction_weights: tuple[float, ...] = (0.5, 0.5, 0.1)
        """lambda_0..lambda_L, one per ladder layer, input included."""
        noise_variance: float = Field(0.2, ge=0)
        """sigma^2 of the noise on inputs, backbone outputs and ladder layers."""
        ladders: Literal["all", "audiovisual", "cross_layer"] = "all"
        """Ladders to build; ``audiovisual`` is the paper's Ablation 1, ``cross_layer`` its Ablation 2."""
        cross_reconstruction: bool = True
        """Judge the reconstruction across modalities. False: it alone goes, and both modalities keep their
        encoders and supervised losses: the other reading of Ablation 1."""
        average: Average = "logits"
        """What the prediction is the mean of, over the ladders' clean answers."""
        noise_after_cnn: bool = False
        """Noise on the CNNs' sentence vectors instead of on the backbone's outputs (section 3.2 leaves it open)."""
        logits_top: bool = False
        """The ladders' top layer, z(2), is the logits; the last of ``hidden`` is then the number of classes."""
        clean_product: bool = False
        """g multiplies u with the clean target as printed in sections 3.3 and 3.4, which gives the target
        away, not with the noisy layer (Pezeshki et al. 2016)."""
        rasmus_norm: bool = False
        """Judge estimates after normalising them as the clean layer was (Rasmus et al. 2015)."""
        detach_targets: bool = False
        """No gradient from the reconstruction cost into the clean pass."""
        clean_dropout: bool = True
        """In training the clean pass has dropout as the noisy one, so that the targets of the reconstruction vary
        from pass to pass. False: dropout in the noisy pass alone."""

        @model_validator(mode="after")
        def _sizes_agree(self) -> AVLadder.Config:
            if len(self.reconstruction_weights) != len(self.hidden) + 1:
                raise ValueError(
                    f"{len(self.hidden)} hidden layers need {len(self.hidden) + 1} reconstruction_weights "
                    f"(input included), found {len(self.reconstruction_weights)}"
                )
            if self.ladders == "cross_layer" and not self.cross_reconstruction:
                raise ValueError(
                    "cross_reconstruction: expected true with ladders 'cross_layer', whose only cost it is"
                )
            if self.padded_frames is not None:
                raise ValueError(
                    "padded_frames: this system fills both modalities up to `length`; leave it out"
                )
            if self.pooled_length < 1:
                raise ValueError(
                    f"length {self.length} is pooled away by {len(self.channels)} halvings; "
                    f"raise it to at least {2 ** len(self.channels)}"
                )
            return self

        @property
        def pooled_length(self) -> int:
            """Steps that remain after the CNN's max-poolings."""
            return self.length // 2 ** len(self.channels)

    config: Config

    def __init__(self, config: Config, *, audio_dim: int, visual_dim: int, outputs: int):
        super().__init__(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=outputs)
        self.project_audio = projection(audio_dim, config.width)
        self.project_visual = projection(visual_dim, config.width)
        self.cnns = nn.ModuleDict()
        self.encoders = nn.ModuleDict()
        self.decoders = nn.ModuleDict()
        if config.ladders != "cross_layer":
            self._build_audiovisual()
        if config.ladders != "audiovisual":
            self._build_cross_layer()

    def _build_audiovisual(self) -> None:
        config = self.config
        cross_layers, self_layers = config.fusion_layers
        self.cross_audio = Encoder(config, layers=cross_layers, cross=True, positions=True)
        self.cross_visual = Encoder(config, layers=cross_layers, cross=True, positions=True)
        self.self_audio = Encoder(config, layers=self_layers)
        self.self_visual = Encoder(config, layers=self_layers)
        self.cnns.update({name: SentenceCNN(config) for name in CROSS_STREAMS})
        sizes = self._sizes(2 * config.channels[-1] * config.pooled_length)
        self.encoders["av"] = LadderEncoder(sizes, self.outputs, logits_top=config.logits_top)
        self.decoders["av"] = LadderDecoder(sizes)

    def _build_cross_layer(self) -> None:
        config = self.config
        self.unimodal_audio = Encoder(config)
        self.unimodal_visual = Encoder(config)
        sizes = self._sizes(config.channels[-1] * config.pooled_length)
        for name in ("audio", "visual"):
            self.cnns[name] = SentenceCNN(config)
            self.encoders[name] = LadderEncoder(sizes, self.outputs, logits_top=config.logits_top)
        if config.cross_reconstruction:
            self.decoders["audio_to_visual"] = LadderDecoder(sizes)
            self.decoders["visual_to_audio"] = LadderDecoder(sizes)

    def _sizes(self, inputs: int) -> tuple[int, ...]:
        """Units of a ladder's layers 0..L."""
        if self.config.logits_top:
            return (inputs, *self.config.hidden[:-1], self.outputs)
        return (inputs, *self.config.hidden)

    @property
    def pads_freely(self) -> bool:
        """Where padding is not counted as real."""
        return not self.config.as_published_padding

    @property
    def frames_seen(self) -> int:
        """Those before the CNN."""
        return self.config.length

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        """One pass; training noise from ``generator``. Raises `AvemoError` for a clip without frames."""
        length = self.config.length
        batch = prepare(cut(batch, length), self.config, (length, length))
        with nullcontext() if self.config.clean_dropout else evaluating(self.backbone):
            sentences = self.represent(batch)
        clean = self.climb(sentences)
        logits = {name: encoding.logits_BC for name, encoding in clean.items()}
        each_BHC = torch.stack([*logits.values()], dim=1)
        everyone_BH = torch.ones_like(each_BHC[:, :, 0], dtype=torch.bool)
        prediction_BC = mean_of(each_BHC, everyone_BH, self.config.average)
        if not self.training and generator is None:
            return Outputs(logits=logits, prediction=prediction_BC)
        noise = partial(add_gaussian, variance=self.config.noise_variance, generator=generator)
        noisy = self.climb(self.represent(batch, noise), noise)
        return Outputs(
            logits={name: encoding.logits_BC for name, encoding in noisy.items()},
            prediction=prediction_BC,
            losses={"reconstruction": self.reconstruction(noisy, clean)},
        )

    @property
    def backbone(self) -> list[Encoder]:
        """The transformers, in which all dropout is."""
        return [module for module in self.children() if isinstance(module, Encoder)]

    def represent(self, batch: Batch, noise: Noise | None = None) -> dict[str, Tensor]:
        """Sentence vectors X by ladder (sections 3.1, 3.2): clean, or with ``noise`` noisy.

        The encoders run at the batch's own length: frames up to N would be padding, which
        attention ignores and the CNN reads as zeros anyway.
        """
        streams = self._backbone(batch, noise)
        audio_mask, visual_mask = batch.audio_mask_BT, batch.visual_mask_BT
        masks = dict.fromkeys(("audio", "audio_over_visual"), audio_mask)
        masks |= dict.fromkeys(("visual", "visual_over_audio"), visual_mask)
        before, after = (None, noise) if self.config.noise_after_cnn else (noise, None)
        sentences = {
            name: disturb(self.cnns[name](disturb(x_BTD, before), masks[name]), after)
            for name, x_BTD in streams.items()
        }
        if "av" in self.encoders:
            sentences["av"] = torch.cat([sentences[name] for name in CROSS_STREAMS], dim=1)
        return {name: sentences[name] for name in self.encoders}

    def _backbone(self, batch: Batch, noise: Noise | None) -> dict[str, Tensor]:
        """All sequence outputs of the red box in Fig. 1; Eq. 1 with the other modality as keys."""
        audio = self.project_audio(disturb(batch.audio_BTD, noise))
        visual = self.project_visual(disturb(batch.visual_BTD, noise))
        audio_mask, visual_mask = batch.audio_mask_BT, batch.visual_mask_BT
        streams = {}
        if "av" in self.encoders:
            crossed_audio = self.cross_audio(audio, audio_mask, visual, visual_mask)
            crossed_visual = self.cross_visual(visual, visual_mask, audio, audio_mask)
            streams["audio_over_visual"] = self.self_audio(crossed_audio, audio_mask)
            streams["visual_over_audio"] = self.self_visual(crossed_visual, visual_mask)
        if "audio" in self.encoders:
            streams["audio"] = self.unimodal_audio(audio, audio_mask)
            streams["visual"] = self.unimodal_visual(visual, visual_mask)
        return streams

    def climb(self, sentences: dict[str, Tensor], noise: Noise | None = None) -> dict[str, Encoding]:
        """Each ladder's encoder on its sentence vector ``(B, D0)``."""
        return {name: encoder(sentences[name], noise) for name, encoder in self.encoders.items()}

    def reconstruction(self, noisy: dict[str, Encoding], clean: dict[str, Encoding]) -> Tensor:
        """L_uns (Eq. 4): sum over l of lambda_l [C_AV + (C_A->V + C_V->A) / 2].

        A cross-layer decoder reads the noisy pass of one modality and is judged by the
        clean layers of the other.
        """
        routes = {
            "av": ("av", "av", 1.0),
            "audio_to_visual": ("audio", "visual", 0.5),
            "visual_to_audio": ("visual", "audio", 0.5),
        }
        costs = []
        for name, decoder in self.decoders.items():
            source, target, share = routes[name]
            costs.append(share * self._cost(decoder, noisy[source], clean[target]))
        return torch.stack(costs).sum()

    def _cost(self, decoder: nn.Module, noisy: Encoding, clean: Encoding) -> Tensor:
        """sum over l of lambda_l times the reconstruction cost of one route's layer l."""
        if self.config.detach_targets:
            clean = clean.detach()
        estimates = decoder(noisy, clean if self.config.clean_product else noisy)
        if self.config.rasmus_norm:
            estimates = standardise(estimates, clean)
        return reconstruction_cost(estimates, clean.z, self.config.reconstruction_weights)


class SentenceCNN(nn.Module):
    """[Conv k=3 -> ReLU -> max-pool 2] per channel count, flattened (section 3.2)."""

    def __init__(self, config: AVLadder.Config):
        super().__init__()
        self.length = config.length
        self.convolutions = nn.ModuleList(
            nn.Conv1d(below, size, kernel_size=3, padding=1)
            for below, size in pairwise((config.width, *config.channels))
        )

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, channels * pooled length)``; padded frames are zeros up to the common length."""
        x_BTD = x_BTD * mask_BT[:, :, None]
        x_BDT = F.pad(x_BTD, (0, 0, 0, self.length - x_BTD.shape[1])).transpose(1, 2)
        for convolution in self.convolutions:
            x_BDT = F.max_pool1d(F.relu(convolution(x_BDT)), 2)
        return x_BDT.flatten(1)


@contextmanager
def evaluating(modules: Iterable[nn.Module]) -> Iterator[None]:
    """``modules`` without dropout; those that were in training mode are so again afterwards."""
    training = [module for module in modules if module.training]
    for module in training:
        module.eval()
    try:
        yield
    finally:
        for module in training:
            module.train()


def disturb(x: Tensor, noise: Noise | None) -> Tensor:
    """``x``, with ``noise`` if there is any."""
    return x if noise is None else noise(x)


def cut(batch: Batch, length: int) -> Batch:
    """``batch`` without the frames after ``length``."""
    return replace(
        batch,
        audio_BTD=batch.audio_BTD[:, :length],
        visual_BTD=batch.visual_BTD[:, :length],
        audio_mask_BT=batch.audio_mask_BT[:, :length],
        visual_mask_BT=batch.visual_mask_BT[:, :length],
    )
