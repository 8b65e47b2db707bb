"""Hidden states of wav2vec 2.0, 1024-D at 50 frames a second.

VAVL (Goncalves et al.) reads ``wav2vec2-large-robust``, of which its released code
keeps the first 12 layers, fine-tuned on MSP-Podcast (`avemo.finetuning.speech`). Who lacks that corpus
may take ``audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`` (Wagner et
al., 2023; CC BY-NC-SA 4.0), cut to 12 layers and tuned on it in the same way.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from avemo.base.arithmetic import Precision, dtype_of
from avemo.base.contracts import ComponentConfig, located, speed
from avemo.base.devices import choose_device
from avemo.features.hf_audio import HFAudio
from avemo.features.speech_network import OfSamples, SpeechNetwork
from avemo.features.wav2vec2_encoder import FINAL
from avemo.features.wav2vec2_network import find_network, load_network
from avemo.weights.find import Weights


class Wav2Vec2(HFAudio):
    """The last kept layer's hidden state, after the network's final layer norm: `HFAudio` with the papers' fields.

    Frame ``i`` sees samples ``320 i`` to ``320 i + 400``; its time is their
    centre, ``0.020 i + 0.0125`` s. There are ``(n - 400) // 320 + 1`` frames for
    ``n`` samples.

    Every frame attends to all of the sound, which costs time with the square of
    its length; so sound longer than ``window_s`` goes through in windows that
    overlap. Of each, the ``context_s`` at both ends only serve as context and are
    dropped. The convolutions see no difference, attention does: with random
    weights windows of 180 s move values of ten minutes of speech by up to 0.035
    (docs/benchmarks.md, ``long_sound``).
    Silence becomes zeros, which the network takes as any other sound.
    """

    name = "wav2vec2"
    version = 1
    tiny = {"weights": "random-seed-0", "device": "cpu", "layers": 2}

    class Config(ComponentConfig):
        """Weights have no default: random ones are used only when asked for by name."""

        weights: str = located()
        """A registered name (``wav2vec2_large_robust``, ``wav2vec2_msp_dim``), a folder in transformers' format
        (config.json, safetensors), ``random-seed-<n>``; or ``owner/name`` with ``revision``."""
        revision: str | None = None
        """The commit at which to read ``owner/name`` from Hugging Face's local cache."""
        layers: int = Field(12, ge=1)
        """How many transformer layers are kept: 12 in VAVL's released code; 24 are all."""
        layer: int | None = Field(None, ge=0)
        """Instead of the last layer after the final norm: what leaves this layer, before any norm;
        0 is what enters the first."""
        normalise: Literal["utterance", "fixed"] = "utterance"
        """``utterance``: zero mean and unit variance, as the published models' preprocessors say.
        ``fixed``: by ``mean`` and ``std``, the scalar train statistics of VAVL's released code."""
        mean: float = 0.0
        std: float = Field(1.0, gt=0)
        longest_s: float | None = Field(None, gt=0)
        """Sound after this is left out; VAVL's released code cuts at 12 s."""
        window_s: float = Field(720.0, gt=1)
        """Memory is that of one window."""
        context_s: float = Field(20.0, ge=0)
        """Dropped from each window's ends, but for the file's own."""
        precision: Precision = "float32"
        """Arithmetic of the network. bfloat16 is faster where the processor has it. ``tf32``: float32 whose factors a
        GPU rounds to 10 bits; on a CPU it is float32."""
        dtype: Literal["float32", "float16"] = "float32"
        """Type of the stored features."""
        device: str = speed("auto")
        """``auto`` is the GPU if there is one; else any torch device."""

        @model_validator(mode="after")
        def _consistent(self) -> Wav2Vec2.Config:
            if 2 * self.context_s >= self.window_s:
                raise ValueError("context_s: expected less than half of window_s")
            if self.layer is not None and self.layer > self.layers:
                raise ValueError(f"layer: expected at most layers ({self.layers})")
            if self.normalise == "utterance" and (self.mean, self.std) != (0.0, 1.0):
                raise ValueError("mean and std: expected only with `normalise: fixed`")
            return self

    config: Config

    def _opened(self) -> tuple[Weights, SpeechNetwork, tuple[int, ...]]:
        """The published shape, or a folder's, cut to ``layers``."""
        config, weights = self.config, find_network(self.config.weights, self.config.revision)
        model = load_network(weights, config.layers)
        if config.layer is not None:
            model.encoder.layers = model.encoder.layers[: config.layer]
        by = True if config.normalise == "utterance" else (config.mean, config.std)
        network = OfSamples(model, by, choose_device(config.device), dtype_of(config.precision))
        return weights, network, (FINAL if config.layer is None else config.layer,)
