"""Hidden states of transformers' speech encoders: which network, and which of its layers, the config says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from avemo.base.arithmetic import Precision, arithmetic, dtype_of
from avemo.base.component import Work
from avemo.base.contracts import AvemoError, ComponentConfig, ConfigError, FeatureSequence, located, speed
from avemo.base.devices import choose_device
from avemo.base.frames import let_go, zeros
from avemo.features.base import AudioExtractor
from avemo.features.speech_network import SpeechNetwork, speech_network
from avemo.features.wav2vec2_encoder import FINAL, Keep
from avemo.weights.find import Weights, find

Layer = Annotated[int, Field(ge=0)]


class HFAudio(AudioExtractor):
    """Frames of one layer, or of several side by side, all from one pass.

    Layer ``k`` is what leaves the network's ``k``-th transformer layer, before any norm that follows; 0 is what
    enters the first. ``last`` is what leaves the network: its ``last_hidden_state``. Times are the middles of
    what frames see, by the network's own strides. Of several layers each is a part of a frame
    (`Extractor.parts`), which readers can ask for alone.

    Sound longer than ``window_s`` goes through in windows that overlap. Of each, the ``context_s`` at both
    ends only serve as context and are dropped. By default windows are as long as memory allows: 720 s where
    attention takes memory with the length of sound, 60 s where with its square (WavLM, wav2vec2-BERT), and
    Whisper's own 30 s. A network that scales its convolutions by all of the sound (the group norm of
    wav2vec2-base and its kin) is given no windows: longer clips fail and say so.
    """

    name = "hf_audio"
    version = 1
    libraries = ("torch", "transformers")
    tiny = {
        "weights": "random-seed-0",
        "architecture": "wavlm",
        "device": "cpu",
        "layers": "all",
        "shape": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "conv_dim": (24,) * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 4,
        },
    }
    work = Work(seconds=2.0, memory_mb=8000, gpu_mb=8000, frames_hz=50)

    class Config(ComponentConfig):
        """Weights have no default: random ones are used only when asked for by name."""

        weights: str = located()
        """``hub:owner/name@revision``, a folder in transformers' format (config.json, preprocessor_config.json,
        safetensors), or ``random-seed-<n>`` with ``architecture``."""
        architecture: str | None = None
        """Of random weights alone: transformers' name of the kind of network, such as ``wavlm``."""
        shape: dict[str, Any] = {}
        """Of random weights alone: fields of the network's configuration that differ from transformers' defaults."""
        keep: int | None = Field(None, ge=1)
        """The first so many transformer layers; the norm at the network's end follows them. None: all."""
        layers: Literal["last", "all"] | Layer | Annotated[tuple[Layer, ...], Field(min_length=1)] = "last"
        """``last``, a number, several numbers, or ``all``: from 0 to the last."""
        normalise: Literal["own", "utterance", "none"] = "own"
        """``own``: as the network's preprocessor_config.json says. ``utterance`` (zero mean, unit variance) and
        ``none`` say it for networks of raw samples that come without one."""
        longest_s: float | None = Field(None, gt=0)
        """Sound after this is left out."""
        window_s: float | None = Field(None, gt=1)
        """Longest window; memory is that of one. None: by the network."""
        context_s: float | None = Field(None, ge=0)
        """Dropped from each window's ends, but for the file's own. None: by the network."""
        precision: Precision = "float32"
        """Arithmetic of the network. bfloat16 is faster where the processor has it. ``tf32``: float32 whose factors a
        GPU rounds to 10 bits; on a CPU it is float32."""
        dtype: Literal["float32", "float16"] = "float32"
        """Type of the stored features."""
        device: str = speed("auto")
        """``auto`` is the GPU if there is one; else any torch device."""

        @model_validator(mode="after")
        def _consistent(self) -> HFAudio.Config:
            if None not in (self.window_s, self.context_s) and 2 * self.context_s >= self.window_s:  # type: ignore
                raise ValueError("context_s: expected less than half of window_s")
            if isinstance(self.layers, tuple) and len(set(self.layers)) < len(self.layers):
                raise ValueError(f"layers: expected each number once, found {self.layers}")
            return self

    config: Any

    @property
    def dtype(self) -> str:
        """The configured one."""
        return self.config.dtype

    def __init__(self, config: Any):
        super().__init__(config)
        self._weights, self._network, self._layers = self._opened()
        self.dim = len(self._layers) * self._network.dim
        self.parts = tuple(map(str, self._layers)) if len(self._layers) > 1 else ()
        usual_s, usual_context_s = self._network.usual_s
        self._window_s = usual_s if config.window_s is None else config.window_s
        self._context_s = (
            min(usual_context_s, self._window_s / 6) if config.context_s is None else config.context_s
        )
        longest_s = self._network.longest_s
        if longest_s is not None and self._window_s > longest_s:
            raise ConfigError(
                f"config: window_s: expected at most the {longest_s:g} s that this network takes, found "
                f"{self._window_s:g}"
            )

    @classmethod
    def parts_of(cls, config: Any) -> tuple[str, ...] | None:
        """See `Extractor`."""
        if config.layers == "all":
            return None
        return (
            tuple(map(str, config.layers)) if isinstance(config.layers, tuple) and config.layers[1:] else ()
        )

    def _opened(self) -> tuple[Weights, SpeechNetwork, tuple[int, ...]]:
        """The weights, the network and the layers that the config asks for."""
        config, weights = self.config, find(self.config.weights)
        asked = config.layers
        numbers = (asked,) if isinstance(asked, int) else asked if isinstance(asked, tuple) else ()
        network = speech_network(
            *(weights, choose_device(config.device), dtype_of(config.precision)),
            architecture=config.architecture,
            shape=config.shape,
            keep=max(numbers) if numbers and config.keep is None else config.keep,
            normalise=config.normalise,
        )
        if numbers and max(numbers) > network.depth:
            raise ConfigError(
                f"config: layers: expected at most {network.depth} (keep), found {max(numbers)}"
            )
        chosen = {"last": (FINAL,), "all": tuple(range(network.depth + 1))}
        return weights, network, numbers or chosen[str(asked)]

    def provenance(self) -> dict[str, Any]:
        """Sha-256 of the network's files, or the name of random ones."""
        return dict(self._weights.provenance())

    def extract(self, signal: np.ndarray) -> FeatureSequence:
        """``signal (samples,)`` at 16 kHz to ``x (frames, dim)``; memory holds one window.

        No batch holds frames of two clips: a clip's numbers would then depend, in
        the last digit, on which others were computed with it.
        Raises `AvemoError` for a signal shorter than one frame, and for one longer than
        a window where the network must see all of it.
        """
        network = self._network
        self.check(signal, network.window)
        if self.config.longest_s is not None:
            signal = signal[: max(network.window, round(self.config.longest_s * self.rate_hz))]
        count = network.frames(len(signal))
        windows = list(self._windows(count))
        if len(windows) > 1 and network.whole:
            raise AvemoError(
                f"{self.name}: expected at most {self._window_s:g} s of sound, found {len(signal) / self.rate_hz:.1f}: "
                f"{network.whole}; raise window_s, cut the clip, or take a network with layer norm"
            )
        prepared, x = network.prepared(signal), zeros((count, self.dim), self.config.dtype)
        with arithmetic(self.config.precision):
            for window in windows:
                network.run(prepared, window.begin, window.end, self._keeper(x, window))
        return FeatureSequence(x, network.times_s(count))

    def _keeper(self, x: np.ndarray, window: Window) -> Keep:
        """Puts the kept frames of each layer that was asked for to their place in ``x``."""
        width = self._network.dim
        columns = {layer: slice(n * width, (n + 1) * width) for n, layer in enumerate(self._layers)}

        def keep(layer: int, frames_TD: Any) -> None:
            if layer in columns:
                kept = frames_TD[window.first - window.begin : window.last - window.begin]
                x[window.first : window.last, columns[layer]] = kept.float().cpu().numpy()
                let_go(x)

        return keep

    def _windows(self, frames: int) -> Iterator[Window]:
        """The windows of one signal, all of one length: their kept parts follow each other without gap or overlap."""
        rate_hz = self.rate_hz / self._network.step
        context = round(self._context_s * rate_hz)
        longest = min(frames, round(self._window_s * rate_hz))
        kept = frames if longest == frames else longest - 2 * context
        for first in range(0, frames, kept):
            begin = min(max(0, first - context), frames - longest)
            yield Window(begin, first, min(first + kept, frames), begin + longest)


@dataclass(frozen=True)
class Window:
    """Frames ``begin`` to ``end`` of a signal, of which ``first`` to ``last`` are kept."""

    begin: int
    first: int
    last: int
    end: int
