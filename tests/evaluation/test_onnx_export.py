"""Graphs answer as torch does, or are refused. Where the optional libraries are not installed, that is said."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avemo.base.contracts import AvemoError, ComponentConfig, MachineError
from avemo.dataset.batch import Batch
from avemo.dataset.normalise import ClipNormaliser
from avemo.dataset.tasks import Bits, Classes
from avemo.evaluation import onnx_export
from avemo.evaluation.bundle import MANIFEST
from avemo.evaluation.bundle_writing import write_bundle
from avemo.evaluation.predictor import Loaded, open_predictor
from avemo.models import MODELS, build_model
from avemo.models.base import Outputs, System
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
@pytest.mark.slow
def test_faces_go_through_the_cnn_of_co_learning_in_a_graph_too(tmp_path):
    import onnxruntime

    dims = {"audio_dim": 6, "visual_dim": 3 * 32 * 32, "outputs": 3}
    torch.manual_seed(0)
    config = MODELS.load("colearning").tiny | {"cnn": "mobilenet_v3_small"}
    model = scattered(Loaded(build_model("colearning", **dims, **config).eval(), {})).model
    normalisers = {one: {"mean": [0.0] * n, "std": [1.0] * n} for one, n in (("audio", 6), ("visual", 3072))}
    found = Loaded(model, {"model": "colearning", "dims": dims, "normalisers": normalisers})
    predictor, given, path = predictor_of(found), ("audio", "visual"), tmp_path / "a.onnx"
    graph = onnx_export.Graph(found, predictor.task, given, 2.5).eval()
    onnx_export._export(graph, path, predictor.task, "co-learning")
    assert onnx_export.compare(onnxruntime, path, predictor, "split00", given, "co-learning") <= 1e-4


def scattered(found: Loaded) -> Loaded:
    """The same with all weights and running statistics away from where they begin, so that each decides something."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for one in found.model.parameters():
            one += 0.2 * torch.randn(one.shape, generator=generator)
        for name, one in found.model.named_buffers():
            if one.is_floating_point():
                one += torch.rand(one.shape, generator=generator) * (0.2 if "mean" in name else 1)
    return found


@installed
@pytest.mark.slow
@pytest.mark.parametrize(("name", "by_clip"), [*((name, "") for name in MODELS), ("uavm", "audio")])
def test_every_system_answers_as_torch_does(tmp_path, name, by_clip):
    """With both modalities and with each alone, for clips of other lengths than the one that is traced."""
    import onnxruntime

    found = scattered(loaded(name, by_clip))
    predictor = predictor_of(found)
    paths = onnx_export.export(predictor, tmp_path)
    assert [path.stem for path in paths] == ["-".join(given) for given in onnx_export.sets_of(found)]
    for path in paths:
        given, told = path.stem.split("-"), []
        session = onnxruntime.InferenceSession(str(path))
        for frames in (1, 17, 120):
            rng = np.random.default_rng(frames)
            x = {one: rng.normal(1, 2, (frames, DIMS[one])).astype(np.float32) for one in given}
            told.append(session.run(None, {one: value[None] for one, value in x.items()})[0])
            expected = found.readout(onnx_export._seen(x, DIMS), predictor.task)
            expected = onnx_export.scaled(predictor.task, expected, 2.5)
            np.testing.assert_allclose(told[-1], expected, atol=1e-4, err_msg=f"{path.stem}, {frames}")
        # A graph that looked at nothing would agree with a system that looked at nothing.
        assert np.ptp(np.vstack(told), axis=0).max() > 1e-3


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


class Deciding(System):
    """A system whose way through it hangs on a value, which no graph can."""

    version = 1
    Config = ComponentConfig

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Outputs:
        total = batch.audio_BTD.sum()
        logits_BC = batch.audio_BTD.mean(1)[:, : self.outputs] * (2 if float(total) > 0 else 3)
        return Outputs({"av": logits_BC}, logits_BC)


@installed
def test_a_system_that_no_graph_can_be_is_one_message(tmp_path, capfd):
    found = loaded("uavm")
    model = Deciding(ComponentConfig(), audio_dim=6, visual_dim=7, outputs=3).eval()
    predictor = predictor_of(Loaded(model, {**found.meta, "model": "deciding"}))
    with pytest.raises(AvemoError) as caught:
        onnx_export.export(predictor, tmp_path)
    said = str(caught.value)
    assert said.startswith(
        "deciding, split00, audio and visual: expected a system that exports to ONNX, found "
    )
    assert "data-dependent" in said
    assert said.endswith("; leave out --onnx")
    assert said.isprintable()
    assert capfd.readouterr() == ("", "")


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
