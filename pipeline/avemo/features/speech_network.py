"""transformers' speech encoders behind one call: a stretch of sound in, the frames of every layer out.

Three kinds by what they read: raw samples (wav2vec 2.0, HuBERT, WavLM, data2vec-audio, UniSpeech-SAT and their kin),
Whisper's log-mel of 30 s, and wav2vec2-BERT's filter banks. What a network can do with long sound differs, and
`SpeechNetwork` says it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from avemo.base.contracts import AvemoError
from avemo.features.hf_loading import network_of, network_shape, preprocessor
from avemo.features.wav2vec2_encoder import FINAL, Convolutions, Encoder, Keep, window_and_step
from avemo.features.waves import Wave, utterance_statistics
from avemo.weights.find import Weights

RATE_HZ = 16_000
LINEAR_S, QUADRATIC_S = (720.0, 20.0), (60.0, 10.0)
"""Windows, and what is dropped at their ends, of networks whose attention takes memory with the length of sound, and
with its square."""
QUADRATIC = {"wavlm", "wav2vec2-conformer", "wav2vec2-bert"}
"""Architectures that hold a number for each pair of frames."""


class SpeechNetwork(ABC):
    """A network and how its frames lie in sound: frame ``i`` sees ``window`` samples about ``centre + i step``."""

    window: int
    """Samples that a frame sees; fewer have no frame."""
    step: int
    centre: float
    """Sample at the middle of the first frame."""
    dim: int
    depth: int
    """Transformer layers."""
    usual_s: tuple[float, float]
    """Length of windows over longer sound, and what of their ends is dropped, unless the config says otherwise."""
    longest_s: float | None = None
    """The network takes no longer windows."""
    whole: str = ""
    """Why sound must not be cut into windows; "": it may."""

    @abstractmethod
    def frames(self, samples: int) -> int:
        """Frames of so many samples."""

    @abstractmethod
    def prepared(self, signal: np.ndarray) -> Any:
        """What `run` takes, of a whole signal ``(samples,)``: all that depends on more than a window."""

    @abstractmethod
    def run(self, prepared: Any, begin: int, end: int, keep: Keep) -> None:
        """Hand frames ``begin`` to ``end`` of each layer to ``keep``."""

    def times_s(self, count: int) -> np.ndarray:
        """The middles of the first ``count`` frames."""
        return (np.arange(count) * self.step + self.centre) / RATE_HZ


class OfSamples(SpeechNetwork):
    """A network of raw samples: convolutions, then transformer layers.

    Where attention and convolutions allow it, memory stays that of few layers' frames: layer-norm networks of
    the kind of wav2vec2-large go through `Encoder`, others through transformers' own forward pass, their
    convolutions in blocks where no norm spans the whole sound.
    """

    def __init__(self, model: Any, normalise: bool | tuple[float, float], device: Any, dtype: Any):
        from torch import nn

        config = model.config
        self.window, self.step = window_and_step(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.centre, self.dim = self.window / 2, config.hidden_size
        self.depth = len(model.encoder.layers)
        self._normalise = normalise
        self._device, self._dtype = device, dtype
        layers = model.feature_extractor.conv_layers
        by_frame = all(isinstance(getattr(layer, "layer_norm", None), nn.LayerNorm) for layer in layers)
        linear = config.model_type not in QUADRATIC
        self.usual_s = LINEAR_S if linear and by_frame else QUADRATIC_S
        if not by_frame:
            self.whole = (
                f"{config.model_type} with {config.feat_extract_norm} norm scales its first convolution by all of the "
                "sound, so that frames of a window would be other frames"
            )
        self._encode = None
        if linear and by_frame and getattr(config, "do_stable_layer_norm", False):
            self._encode = Encoder(model, device, dtype)
        else:
            self._model = model.to(device, dtype)
            if by_frame:
                model.feature_extractor = _in_blocks(model.feature_extractor)

    def frames(self, samples: int) -> int:
        """⌊(n - window) / step⌋ + 1."""
        return max(0, (samples - self.window) // self.step + 1)

    def prepared(self, signal: np.ndarray) -> Wave:
        """The signal and what normalises it."""
        if isinstance(self._normalise, tuple):
            return Wave(signal, *self._normalise)
        return Wave(signal, *utterance_statistics(signal)) if self._normalise else Wave(signal)

    def run(self, prepared: Wave, begin: int, end: int, keep: Keep) -> None:
        """As declared."""
        # A norm over all of the sound counts the samples behind the last whole frame too.
        last = len(prepared.signal) if self.whole else (end - 1) * self.step + self.window
        samples = prepared.cut(begin * self.step, last)
        if self._encode is not None:
            self._encode(samples, keep)
            return
        samples = samples.to(self._device, self._dtype)
        _hooked(self._model, self._model.encoder.layers, lambda: self._model(samples[None]), keep)


class OfWhisper(SpeechNetwork):
    """Whisper's encoder: log-mel of 30 s, padded with silence, whose frames are dropped again."""

    def __init__(self, model: Any, prepare: Any, device: Any, dtype: Any):
        encoder = model.get_encoder().to(device, dtype)
        self.step = 2 * prepare.hop_length
        self.window, self.centre = 400, 0.0
        self.dim, self.depth = model.config.d_model, len(encoder.layers)
        self.longest_s = model.config.max_source_positions * self.step / RATE_HZ
        self.usual_s = (self.longest_s, self.longest_s / 6)
        self._encoder, self._prepare, self._device, self._dtype = encoder, prepare, device, dtype
        prepare.n_samples = model.config.max_source_positions * self.step

    def frames(self, samples: int) -> int:
        """One for each 20 ms that have begun."""
        return -(-samples // self.step)

    def prepared(self, signal: np.ndarray) -> np.ndarray:
        """The signal itself: the log-mel's scale is that of each window."""
        return signal

    def run(self, prepared: np.ndarray, begin: int, end: int, keep: Keep) -> None:
        """As declared."""
        part = prepared[begin * self.step : end * self.step]
        made = self._prepare(part, sampling_rate=RATE_HZ, return_tensors="pt", padding="max_length")
        mel = made.input_features.to(self._device, self._dtype)
        _hooked(
            *(self._encoder, self._encoder.layers, lambda: self._encoder(mel)),
            lambda layer, frames: keep(layer, frames[: end - begin]),
        )


class OfFilterBanks(SpeechNetwork):
    """wav2vec2-BERT: pairs of 10 ms filter-bank frames, each bank normalised over the whole sound."""

    window, step, centre = 560, 320, 280.0
    usual_s = QUADRATIC_S

    def __init__(self, model: Any, prepare: Any, device: Any, dtype: Any):
        self.dim, self.depth = model.config.hidden_size, len(model.encoder.layers)
        self._model, self._prepare = model.to(device, dtype), prepare
        self._device, self._dtype = device, dtype

    def frames(self, samples: int) -> int:
        """Whole pairs of 25 ms windows every 10 ms."""
        return max(0, (samples - 400) // 160 + 1) // 2

    def prepared(self, signal: np.ndarray) -> Any:
        """Normalised banks ``(frames, 2 x banks)``."""
        made = self._prepare(signal, sampling_rate=RATE_HZ, return_tensors="pt")
        return made.input_features[0, : self.frames(len(signal))]

    def run(self, prepared: Any, begin: int, end: int, keep: Keep) -> None:
        """As declared."""
        banks = prepared[begin:end].to(self._device, self._dtype)
        _hooked(self._model, self._model.encoder.layers, lambda: self._model(banks[None]), keep)


def speech_network(
    weights: Weights,
    device: Any,
    dtype: Any,
    *,
    architecture: str | None,
    shape: dict[str, Any],
    keep: int | None,
    normalise: str,
) -> SpeechNetwork:
    """The network of these weights with its first ``keep`` layers; ``normalise``: see `avemo.features.hf_audio`.

    Raises `AvemoError` for a network that reads no sound in one of the three ways.
    """
    from transformers import FEATURE_EXTRACTOR_MAPPING, AutoFeatureExtractor

    config = network_shape(weights, architecture, shape)
    field = "encoder_layers" if hasattr(config, "encoder_layers") else "num_hidden_layers"
    depth = getattr(config, field, 0)
    if keep is not None:
        if keep > depth:
            raise AvemoError(
                f"weights {weights.name}: expected at least {keep} transformer layers, found {depth}; "
                "ask for lower ones"
            )
        setattr(config, field, max(keep, 1))
    kind = config.model_type

    def prepare(**fields: Any) -> Any:
        return preprocessor(AutoFeatureExtractor, weights, config, FEATURE_EXTRACTOR_MAPPING, **fields)

    if kind == "whisper":
        return OfWhisper(
            *(network_of(weights, config), prepare(feature_size=config.num_mel_bins), device, dtype)
        )
    if kind == "wav2vec2-bert":
        return OfFilterBanks(network_of(weights, config), _banks(weights, prepare), device, dtype)
    if not hasattr(config, "conv_kernel") or hasattr(config, "squeeze_factor"):
        raise AvemoError(
            f"weights {weights.name}: expected a speech encoder such as wav2vec2, hubert, wavlm, data2vec-audio, "
            f"unispeech-sat, whisper or wav2vec2-bert, found {kind}; take another network, or write an extractor "
            "for this one (docs/how-to/add_an_encoder.md)"
        )
    scaled = prepare().do_normalize if normalise == "own" else normalise == "utterance"
    return OfSamples(network_of(weights, config), scaled, device, dtype)


def _banks(weights: Weights, prepare: Callable[..., Any]) -> Any:
    from transformers import SeamlessM4TFeatureExtractor

    return SeamlessM4TFeatureExtractor() if weights.path is None else prepare()


def _in_blocks(feature_extractor: Any) -> Any:
    """The convolutions as a module that runs them block by block."""
    from torch import nn

    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_layers = feature_extractor.conv_layers
            self._convolve = Convolutions(feature_extractor)

        def forward(self, samples_BS: Any) -> Any:
            """One signal ``(1, samples)`` to ``(1, channels, frames)``."""
            return self._convolve(samples_BS[0]).T[None]

    return Blocks()


def _hooked(model: Any, layers: Any, forward: Callable[[], Any], keep: Keep) -> None:
    """Run a network of one signal, and give what each of its layers takes and makes to ``keep``."""
    import torch

    with torch.inference_mode(), _hooks(layers, keep):
        keep(FINAL, forward().last_hidden_state[0])


@contextmanager
def _hooks(layers: Any, keep: Keep) -> Iterator[None]:
    def entering(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        keep(0, (given[0] if given else named["hidden_states"])[0])

    def leaving(number: int) -> Callable[..., None]:
        def take(_module: Any, _given: Any, made: Any) -> None:
            keep(number, (made[0] if isinstance(made, tuple) else made)[0])

        return take

    hooks = [layers[0].register_forward_pre_hook(entering, with_kwargs=True)]
    hooks += [layer.register_forward_hook(leaving(number)) for number, layer in enumerate(layers, start=1)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
