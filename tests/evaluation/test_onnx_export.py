"""Graphs answer as torch does, or are refused. Where the optional libraries are not installed, that is said."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avemo.base.contracts import AvemoError, MachineError
from avemo.dataset.normalise import ClipNormaliser
from avemo.dataset.tasks import Bits, Classes
from avemo.evaluation import onnx_export
from avemo.evaluation.bundle import MANIFEST
from avemo.evaluation.bundle_writing import write_bundle
from avemo.evaluation.predictor import Loaded, open_predictor
from avemo.models import MODELS, build_model
from avemo.study.study import read_run
from made_run import make_run

installed = pytest.mark.skipif(
    not all(map(find_spec, onnx_export.LIBRARIES)), reason="onnx, onnxscript or onnxruntime is not installed"
)
DIMS = {"audio": 6, "visual": 7}


def loaded(name: str, by_clip: str = "") -> Loaded:
    """A small system with random weights, on features of these widths."""
    torch.manual_seed(0)
    dims = {"audio_dim": 6, "visual_dim": 7, "outputs": 3}
    model = build_model(name, **dims, **MODELS.load(name).tiny).eval()
    rng = np.random.default_rng(1)
    normalisers = {
        one: ClipNormaliser(dim).to_dict()
        if one == by_clip
        else {"mean": rng.normal(size=dim).tolist(), "std": rng.uniform(1, 2, dim).tolist()}
        for one, dim in DIMS.items()
    }
    return Loaded(model, {"model": name, "dims": dims, "normalisers": normalisers})


def predictor_of(found: Loaded, task: type = Classes, temperature: float = 2.5) -> SimpleNamespace:
    """What `export` asks of a `Predictor`."""
    return SimpleNamespace(
        loaded={"split00": found},
        temperatures={"split00": temperature},
        task=task(["x", "y", "z"]),
        cautions=["random weights"],
    )


def test_without_the_libraries_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MachineError, match=r"onnx: expected for --onnx, found none; install avemo\[onnx\]"):
        onnx_export.require_onnx()


@pytest.mark.parametrize("by_clip", ["", "audio"])
@pytest.mark.parametrize("task", [Classes, Bits])
def test_a_graph_is_normalisation_system_temperature_and_readout(task, by_clip):
    """In torch: what is exported is the same computation as a prediction's."""
    found = loaded("auxformer", by_clip)
    predictor = predictor_of(found, task)
    rng = np.random.default_rng(2)
    for given in onnx_export.sets_of(found):
        x = {name: rng.normal(3, 2, (20, DIMS[name])).astype(np.float32) for name in given}
        graph = onnx_export.Graph(found, predictor.task, given, 2.5).eval()
        with torch.no_grad():
            told = graph(*(torch.from_numpy(one)[None] for one in x.values())).numpy()
        expected = found.readout(onnx_export._seen(x, DIMS), predictor.task)
        np.testing.assert_allclose(
            told, onnx_export.scaled(predictor.task, expected, 2.5), atol=1e-5, err_msg=str(given)
        )


@installed
@pytest.mark.parametrize("name", ["auxformer_unimodal", "uavm"])
def test_a_file_runs_without_torch_and_says_what_comes_out(tmp_path, name):
    import onnxruntime

    predictor = predictor_of(loaded(name))
    files = onnx_export.export(predictor, tmp_path)
    given = onnx_export.sets_of(predictor.loaded["split00"])
    assert [path.stem for path in files] == ["-".join(one) for one in given]
    session = onnxruntime.InferenceSession(str(files[0]))
    assert [one.name for one in session.get_inputs()] == list(given[0])
    assert session.get_modelmeta().custom_metadata_map == {"outputs": "x, y, z", "caution": "random weights"}


@installed
def test_a_file_of_other_numbers_is_refused(tmp_path):
    import onnxruntime

    predictor = predictor_of(loaded("auxformer_unimodal"))
    (path,) = onnx_export.export(predictor, tmp_path)
    with torch.no_grad():
        [*predictor.loaded["split00"].model.parameters()][-1][0] += 5
    with pytest.raises(AvemoError, match="expected ONNX to answer as torch does"):
        onnx_export.compare(onnxruntime, path, predictor, "split00", ("audio",), "it")


def test_a_system_that_does_not_export_leaves_no_bundle(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("data-dependent")

    run = make_run(tmp_path / "run")
    config = read_run(run)
    monkeypatch.setattr(onnx_export, "require_onnx", lambda: {})
    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(
        AvemoError, match="split00, audio: expected a system that exports to ONNX, found ValueError"
    ):
        write_bundle(run, config, "a", open_predictor(run, config, "a"), tmp_path / "b", onnx=True)
    assert not (tmp_path / "b").exists()


@installed
def test_a_bundle_lists_its_graphs(tmp_path):
    run = make_run(tmp_path / "run")
    config = read_run(run)
    predictor = open_predictor(run, config, "a", "split01")
    write_bundle(run, config, "a", predictor, tmp_path / "b", onnx=True)
    assert "onnx/split01/audio.onnx" in json.loads((tmp_path / "b" / MANIFEST).read_text())["files"]
