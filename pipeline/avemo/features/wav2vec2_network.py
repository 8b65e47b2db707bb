"""The wav2vec 2.0 network: its shape, and where its weights come from.

Network: Baevski et al., NeurIPS 2020, in the layer-norm form of ``wav2vec2-large-robust``
(Hsu et al., Interspeech 2021), by transformers' ``Wav2Vec2Model``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avemo.base.contracts import AvemoError
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
    import torch
    from transformers import Wav2Vec2Model

    config = network_config(weights, layers)
    folder = weights.path
    if folder is None:
        return random_network(config, weights.seed or 0)
    if not list(folder.glob("*.safetensors")):
        raise AvemoError(
            f"weights {folder}: expected *.safetensors, found {', '.join(sorted(p.name for p in folder.iterdir()))}; "
            "convert a pytorch_model.bin, where you trust its source, with `avemo weights convert`"
        )
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            loaded: Any = Wav2Vec2Model.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:  # transformers raises five unrelated types for damaged and misshapen files
        detail = " ".join(str(error).split())[:400]
        raise AvemoError(
            f"weights {folder}: expected the tensors of a Wav2Vec2Model, found other or damaged files "
            f"({type(error).__name__}: {detail}); download them again"
        ) from error
    model, info = loaded
    if info["missing_keys"]:
        names = sorted(info["missing_keys"])
        raise AvemoError(
            f"weights {folder}: expected the tensors of a Wav2Vec2Model, found none for {len(names)} "
            f"({', '.join(names[:3])}); give the folder of a whole wav2vec 2.0 network"
        )
    return model.float().eval()


def network_config(weights: Weights, layers: int) -> Any:
    """The network's shape, cut to its first ``layers`` layers, with nothing masked or dropped at random."""
    from transformers import Wav2Vec2Config

    steady: dict[str, Any] = {
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
        "layerdrop": 0.0,
        "add_adapter": False,
    }
    if weights.path is None:
        config = Wav2Vec2Config(**LARGE_ROBUST, **steady)
    else:
        try:
            config = Wav2Vec2Config.from_pretrained(weights.path, local_files_only=True, **steady)
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


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar, no report of transformers on tensors left out: `load_network` checks them itself."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
