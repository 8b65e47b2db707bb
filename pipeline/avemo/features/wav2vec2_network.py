"""The wav2vec 2.0 network: its shape, and where its weights come from.

Network: Baevski et al., NeurIPS 2020, in the layer-norm form of ``wav2vec2-large-robust``
(Hsu et al., Interspeech 2021), by transformers' ``Wav2Vec2Model``.
"""

from __future__ import annotations

from typing import Any

from avemo.base.contracts import AvemoError
from avemo.features.hf_loading import STEADY, load_tensors
from avemo.weights.find import Weights, find

LARGE_ROBUST: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
"""Where ``facebook/wav2vec2-large-robust`` differs from transformers' defaults."""


def find_network(weights: str, revision: str | None) -> Weights:
    """What `avemo.weights.find.find` finds; or, with a ``revision``, a model in Hugging Face's local cache.

    Nothing is ever fetched. Raises `AvemoError` if there is none.
    """
    if revision is None:
        return find(weights)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return find(snapshot_download(weights, revision=revision, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise AvemoError(
            f"weights {weights}: expected owner/name of a model whose revision {revision} lies in Hugging Face's "
            "local cache, found none; download it first, or give a folder without `revision`"
        ) from error


def load_network(weights: Weights, layers: int) -> Any:
    """transformers' ``Wav2Vec2Model`` with its first ``layers`` transformer layers, in evaluation mode on the CPU.

    ``weights`` are random, or a folder with ``config.json`` and ``*.safetensors``.
    Tensors of a task's head, and of layers left out, are ignored; a tensor
    that the network needs and the files lack is an `AvemoError`, as is a
    network whose convolutions have a group norm (``wav2vec2-base``): that
    spans the whole file, so its frames depend on the file's length.
    """
    from transformers import Wav2Vec2Model

    config = network_config(weights, layers)
    if weights.path is None:
        return random_network(config, weights.seed or 0)
    return load_tensors(Wav2Vec2Model, weights.path, config, "of a whole wav2vec 2.0 network")


def network_config(weights: Weights, layers: int) -> Any:
    """The network's shape, cut to its first ``layers`` layers, with nothing masked or dropped at random."""
    from transformers import Wav2Vec2Config

    if weights.path is None:
        config = Wav2Vec2Config(**LARGE_ROBUST, **STEADY)
    else:
        try:
            config = Wav2Vec2Config.from_pretrained(weights.path, local_files_only=True, **STEADY)
        except (OSError, ValueError) as error:
            raise AvemoError(
                f"weights {weights.path}: expected a folder with config.json of wav2vec 2.0: {error}"
            ) from error
    found = (config.model_type, config.feat_extract_norm, config.do_stable_layer_norm)
    if found != ("wav2vec2", "layer", True):
        raise AvemoError(
            f"weights {weights.name}: expected wav2vec2 with layer norm throughout (wav2vec2-large-robust and its "
            f"kind), found {found[0]} with {found[1]} norm; a group norm makes frames depend on a file's length"
        )
    if not layers <= config.num_hidden_layers:
        raise AvemoError(
            f"weights {weights.name}: expected at least {layers} transformer layers, found "
            f"{config.num_hidden_layers}; lower `layers`"
        )
    config.num_hidden_layers = layers
    return config


def random_network(config: Any, seed: int) -> Any:
    """transformers' initial weights under ``seed``; the global random generator is left as it was."""
    import torch
    from transformers import Wav2Vec2Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Wav2Vec2Model(config).eval()
