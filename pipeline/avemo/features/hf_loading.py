"""Networks of transformers from a folder in its format, or random ones of an architecture asked for by name.

Code that lies beside weights is never run, and nothing is fetched or unpickled here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avemo.base.contracts import AvemoError, ConfigError
from avemo.base.registry import nearest
from avemo.weights.find import Weights

STEADY: dict[str, Any] = {
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
    "layerdrop": 0.0,
    "add_adapter": False,
}
"""Nothing is masked or dropped at random, and no layers behind the last one make fewer frames, where a
configuration has such fields."""


def network_shape(weights: Weights, architecture: str | None, shape: Mapping[str, Any]) -> Any:
    """transformers' configuration of a network: that of its folder, or ``architecture``'s with ``shape`` for random ones.

    Raises `AvemoError` for a folder without one, `ConfigError` for an architecture that transformers has not.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    if weights.path is not None:
        if architecture or shape:
            raise ConfigError(
                f"weights {weights.name}: expected no architecture or shape, which its config.json says, found "
                f"{architecture or dict(shape)}; leave them out"
            )
        try:
            config: Any = AutoConfig.from_pretrained(
                weights.path, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            raise AvemoError(
                f"weights {weights.path}: expected a folder with config.json of a network that transformers has: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
    else:
        if architecture not in CONFIG_MAPPING:
            raise ConfigError(
                f"architecture: expected one of transformers' for random weights, such as wav2vec2, wavlm or clip, "
                f"found {architecture!r}{nearest(architecture or '', CONFIG_MAPPING)}"
            )
        config = AutoConfig.for_model(str(architecture), **shape)
    for name, value in STEADY.items():
        if hasattr(config, name):
            setattr(config, name, value)
    return config


def network_of(weights: Weights, config: Any) -> Any:
    """transformers' network of this configuration, in evaluation mode on the CPU in float32.

    Tensors of a task's head are ignored. Raises `AvemoError` for damaged files, pickled ones, and where the network
    needs a tensor that they lack.
    """
    from transformers import AutoModel

    if weights.path is None:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(weights.seed or 0)
            return AutoModel.from_config(config).float().eval()
    return load_tensors(AutoModel, weights.path, config, "of a whole network")


def load_tensors(kind: Any, folder: Path, config: Any, of: str) -> Any:
    """``kind.from_pretrained`` of a folder's safetensors, every tensor accounted for; ``of``: what it should hold."""
    import torch

    if not list(folder.glob("*.safetensors")):
        raise AvemoError(
            f"weights {folder}: expected *.safetensors, found {', '.join(sorted(p.name for p in folder.iterdir()))}; "
            "convert a pytorch_model.bin, where you trust its source, with `avemo weights convert`"
        )
    name = kind.__name__ if kind.__name__ != "AutoModel" else f"{config.model_type} network"
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            model, info = kind.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:  # transformers raises five unrelated types for damaged and misshapen files
        detail = " ".join(str(error).split())[:400]
        raise AvemoError(
            f"weights {folder}: expected the tensors of a {name}, found other or damaged files "
            f"({type(error).__name__}: {detail}); download them again"
        ) from error
    if info["missing_keys"]:
        names = sorted(info["missing_keys"])
        raise AvemoError(
            f"weights {folder}: expected the tensors of a {name}, found none for {len(names)} "
            f"({', '.join(names[:3])}); give the folder {of}"
        )
    return model.float().eval()


def preprocessor(kind: Any, weights: Weights, config: Any, table: Mapping[Any, Any], **fields: Any) -> Any:
    """What makes a network's input: as its folder's preprocessor_config.json says, or ``table``'s default with
    ``fields`` for random weights.

    Raises `AvemoError` for a folder without that file: nothing else says how the network's input is scaled.
    """
    if weights.path is None:
        found = table[type(config)]
        return (found[0] if isinstance(found, tuple) else found)(**fields)
    try:
        with _quiet():
            return kind.from_pretrained(weights.path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AvemoError(
            f"weights {weights.path}: expected preprocessor_config.json, which says how this network's input is "
            f"scaled, found: {' '.join(str(error).split())[:300]}; put it there"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar, no report of transformers on tensors left out: `load_tensors` checks them itself."""
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
