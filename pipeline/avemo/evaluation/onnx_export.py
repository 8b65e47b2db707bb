"""A trained model as ONNX: normalisation, system, temperature and readout in one graph, checked against torch.

Letters: T frames, D features, C outputs.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avemo.base.arithmetic import arithmetic
from avemo.base.contracts import AvemoError, FeatureSequence, MachineError
from avemo.dataset.batch import Batch
from avemo.dataset.normalise import EPSILON, ClipNormaliser, Normaliser, read_normaliser
from avemo.dataset.source import TimedSource
from avemo.dataset.tasks import Task
from avemo.evaluation.calibration import scaled
from avemo.evaluation.prediction import OneClip, Seen
from avemo.evaluation.predictor import Loaded, Predictor

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Of a probability; of an attribute's value, on top, the same share of it."""
LENGTHS = ((40, 31), (9, 57), (73, 8), (2, 2), (1, 1))
"""Frames of sound and of faces that are compared; a graph is made with the first."""


class Graph(nn.Module):
    """One clip's features as they are extracted, ``(1, T, D)`` of each of ``given``, to what people read, ``(1, C)``."""

    def __init__(self, loaded: Loaded, task: Task, given: Sequence[str], temperature: float = 1.0):
        super().__init__()
        self.system, self.given, self.temperature = loaded.model, tuple(given), temperature
        self.kind = task.kind
        self.dims = {name: int(loaded.meta["dims"][f"{name}_dim"]) for name in ("audio", "visual")}
        self.by_clip = []
        for name in given:
            found = read_normaliser(loaded.meta["normalisers"][name])
            if isinstance(found, Normaliser):
                self.register_buffer(f"{name}_mean", torch.from_numpy(found.mean))
                self.register_buffer(f"{name}_std", torch.from_numpy(found.std))
            else:
                self.by_clip.append(name)

    def forward(self, *features_1TD: Tensor) -> Tensor:
        """Features in the order of ``given``."""
        x = {name: torch.zeros(1, 1, dim) for name, dim in self.dims.items()}
        x |= {name: self._normal(name, one) for name, one in zip(self.given, features_1TD, strict=True)}
        masks = {name: torch.ones(one.shape[:2], dtype=torch.bool) for name, one in x.items()}
        if self.system.frames_seen is not None:
            fitted = {name: _fitted(one, self.system.frames_seen) for name, one in x.items()}
            x, masks = ({name: one[part] for name, one in fitted.items()} for part in (0, 1))
        has = {name: torch.tensor([name in self.given]) for name in x}
        batch = Batch(
            *(x["audio"], x["visual"], masks["audio"], masks["visual"]),
            targets=torch.zeros(1, dtype=torch.long),
            clip_ids=["clip"],
            has_audio_B=has["audio"],
            has_visual_B=has["visual"],
            whole=True,
        )
        logits_1C = self.system(batch).prediction
        if self.kind == "classes":
            return (logits_1C / self.temperature).softmax(-1)
        return (logits_1C / self.temperature).sigmoid() if self.kind == "bits" else logits_1C

    def _normal(self, name: str, x_1TD: Tensor) -> Tensor:
        if name not in self.by_clip:
            return (x_1TD - getattr(self, f"{name}_mean")) / getattr(self, f"{name}_std")
        wide = x_1TD.double()
        mean = wide.mean(dim=1, keepdim=True)
        std = ((wide**2).mean(dim=1, keepdim=True) - mean**2).clamp(min=0).sqrt() + EPSILON
        return (x_1TD - mean.float()) / std.float()


def _fitted(x_1TD: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """``(1, frames, D)``, cut or filled up with zeros, and the mask of what is real: a graph has no sizes that depend on data."""
    frames_T = x_1TD.shape[1]
    filled = torch.cat([x_1TD, x_1TD.new_zeros(1, frames, x_1TD.shape[2])], dim=1)
    return filled[:, :frames], (torch.arange(frames) < frames_T)[None]


def require_onnx() -> dict[str, Any]:
    """The optional libraries by name; raises `MachineError` for one that is not installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = import_module(name)
        except ImportError as error:
            raise MachineError(f"{name}: expected for --onnx, found none; install avemo[onnx]") from error
    return found


def export(predictor: Predictor, folder: Path) -> list[Path]:
    """A file for each split and each set of modalities, ``folder/<split>/<modalities>.onnx``.

    Raises `AvemoError` for a system that does not export, or whose graph answers otherwise than torch.
    """
    libraries = require_onnx()
    written = []
    for split, loaded in predictor.loaded.items():
        temperature = predictor.temperatures.get(split, 1.0)
        for given in sets_of(loaded):
            path = folder / split / f"{'-'.join(given)}.onnx"
            path.parent.mkdir(parents=True, exist_ok=True)
            graph = Graph(loaded, predictor.task, given, temperature).eval()
            what = f"{loaded.meta['model']}, {split}, {' and '.join(given)}"
            _export(graph, path, predictor.task, what)
            _mark(libraries["onnx"], path, predictor)
            compare(libraries["onnxruntime"], path, predictor, split, given, what)
            written.append(path)
    return written


def sets_of(loaded: Loaded) -> list[tuple[str, ...]]:
    """The modalities that a model looks at, together and each alone."""
    seen = tuple(name for name in loaded.meta["normalisers"] if name in loaded.model.modalities)
    return [seen, *((name,) for name in seen)] if len(seen) > 1 else [seen]


def _export(graph: Graph, path: Path, task: Task, what: str) -> None:
    example = tuple(one for _, one in _examples(graph.given, graph.dims, {}, LENGTHS[0]))
    try:
        with torch.no_grad(), arithmetic("float32"), _quiet():
            torch.onnx.export(
                graph,
                tuple(torch.from_numpy(one)[None] for one in example),
                str(path),
                input_names=list(graph.given),
                output_names=[task.readout_name],
                dynamic_shapes={"features_1TD": tuple({1: torch.export.Dim.DYNAMIC} for _ in graph.given)},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises what any of its passes does
        raise AvemoError(
            f"{what}: expected a system that exports to ONNX, found {_first_cause(error)}; leave out --onnx"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter prints of its work: of a graph that it cannot make, all of the graph."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
        warnings.simplefilter("ignore")
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield


def _first_cause(error: BaseException) -> str:
    """The first of the errors that led to one another, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = " ".join(str(error).split())
    return f"{type(error).__name__}: {told[:300]}"


def _mark(onnx: Any, path: Path, predictor: Predictor) -> None:
    """Say in the file what its outputs are, and what makes them less than real."""
    model = onnx.load(str(path))
    told = {"outputs": ", ".join(predictor.task.names), "caution": "; ".join(predictor.cautions)}
    onnx.helper.set_model_props(model, told)
    onnx.save(model, str(path))


def compare(
    onnxruntime: Any, path: Path, predictor: Predictor, split: str, given: Sequence[str], what: str
) -> float:
    """The largest difference to what torch says of made-up features of several lengths; raises `AvemoError` where it is more
    than `TOLERANCE`."""
    loaded, worst = predictor.loaded[split], 0.0
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dims = {name: loaded.meta["dims"][f"{name}_dim"] for name in loaded.meta["normalisers"]}
    for lengths in LENGTHS:
        features = dict(_examples(given, dims, loaded.meta["normalisers"], lengths))
        (found,) = session.run(None, {name: x[None] for name, x in features.items()})
        expected = loaded.readout(_seen(features, dims), predictor.task)
        if split in predictor.temperatures:
            expected = scaled(predictor.task, expected, predictor.temperatures[split])
        apart = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        worst = max(worst, float(apart.max()))
        if not worst <= TOLERANCE:
            raise AvemoError(
                f"{what}: expected ONNX to answer as torch does within {TOLERANCE:g}, found {worst:.2g} apart "
                f"with {' and '.join(map(str, lengths))} frames; leave out --onnx"
            )
    return worst


def _seen(features: Mapping[str, np.ndarray], dims: Mapping[str, int]) -> Seen:
    sources: dict[str, TimedSource] = {}
    for name, dim in dims.items():
        x = features.get(name)
        one = None if x is None else FeatureSequence(x, np.arange(len(x), dtype=float))
        sources[name] = OneClip("clip", one, dim)
    return Seen("clip", sources, [], [])


def _examples(
    given: Sequence[str],
    dims: Mapping[str, int],
    normalisers: Mapping[str, Any],
    lengths: tuple[int, int],
) -> Iterator[tuple[str, np.ndarray]]:
    """Frames ``(T, D)`` float32 by modality, on the scale of the train side where it is known."""
    rng = np.random.default_rng(0)
    for name in given:
        frames = lengths[("audio", "visual").index(name)]
        x = rng.standard_normal((frames, dims[name])).astype(np.float32)
        found = read_normaliser(normalisers[name]) if name in normalisers else ClipNormaliser(dims[name])
        yield name, x * found.std + found.mean if isinstance(found, Normaliser) else x
