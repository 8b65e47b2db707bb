"""What a network multiplies with is what its config says, wherever one runs and whatever the process had set before."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch import nn
from torch.backends import cuda, cudnn
from torch.nn.modules.module import register_module_forward_pre_hook

from avemo.base.arithmetic import arithmetic, dtype_of
from avemo.evaluation.scoring import predict
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.features.crop_network import CropNetwork
from avemo.features.vgg_network import Shape
from avemo.finetuning.loop import Batch as Items
from avemo.finetuning.loop import Schedule, tune
from avemo.training.loop import assess, train
from avemo.training.recipe import TrainingConfig
from training_standins import TASK, Towers, ToyData, ToySplit, fresh

IDS = list(ToySplit.train[:8])
FORM = {"float32": "ieee", "tf32": "tf32", "bfloat16": "ieee"}


def state() -> dict[str, object]:
    """What decides how a GPU multiplies."""
    return {
        "cudnn": torch._C._get_cudnn_enabled(),
        "deterministic": torch._C._get_cudnn_deterministic(),
        "convolutions": cudnn.conv.fp32_precision,
        "recurrent": cudnn.rnn.fp32_precision,
        "products": cuda.matmul.fp32_precision,
        "cuDNN's attention": cuda.cudnn_sdp_enabled(),
    }


def stated(precision: str) -> dict[str, object]:
    form = FORM[precision]
    return {
        "cudnn": True,
        "deterministic": True,
        "convolutions": form,
        "recurrent": form,
        "products": form,
        "cuDNN's attention": False,
    }


@pytest.fixture(params=["ieee", "tf32"])
def elsewhere(request):
    """A process in which someone has set everything the other way."""
    with ExitStack() as stack:
        for place, name, value in (
            (cudnn, "enabled", False),
            (cudnn.conv, "fp32_precision", request.param),
            (cudnn.rnn, "fp32_precision", request.param),
            (cuda.matmul, "fp32_precision", request.param),
        ):
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        before = state()
        yield
        assert state() == before, "what was set before is set again"


def seen(work) -> list[dict[str, object]]:
    """The state at each layer's call while ``work`` runs."""
    found: list[dict[str, object]] = []
    handle = register_module_forward_pre_hook(lambda *_: found.append(state()))
    try:
        work()
    finally:
        handle.remove()
    assert found, "no network ran"
    return found


@pytest.mark.parametrize("precision", FORM)
def test_a_block_says_all_and_puts_back_what_was(elsewhere, precision):
    with arithmetic(precision):
        assert state() == stated(precision)
    with pytest.raises(KeyError), arithmetic(precision):
        raise KeyError


def networks() -> list[str]:
    """Extractors that have a precision to choose."""
    return [name for name in sorted(EXTRACTORS) if "precision" in EXTRACTORS.load(name).Config.model_fields]


def test_what_has_weights_has_a_precision():
    with_weights = {name for name in EXTRACTORS if "weights" in EXTRACTORS.load(name).Config.model_fields}
    assert with_weights == set(networks())


@pytest.mark.parametrize("precision", FORM)
@pytest.mark.parametrize("name", networks())
def test_each_extractor_runs_as_its_config_says(elsewhere, monkeypatch, name, precision):
    kind = EXTRACTORS.load(name)
    if name.startswith("vgg"):
        monkeypatch.setattr(kind, "shape", Shape(width=2, px=32, hidden=12))
        monkeypatch.setattr(kind, "dim", 12)
    small = {"input_px": 64} if name == "efficientnet_b2" else {}
    given = {"weights": "random-seed-0", "device": "cpu", "precision": precision}
    extractor = kind(kind.Config(**dict(kind.tiny) | small | given))
    rng = np.random.default_rng(0)
    shown = rng.standard_normal(2000).astype(np.float32)
    if issubclass(kind, CropNetwork):
        side = extractor.crop.size_px
        shown = [(0.0, rng.integers(0, 256, (side, side, 3), np.uint8))]
    assert all(each == stated(precision) for each in seen(lambda: extractor.extract(shown)))


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_the_tracker_runs_as_its_config_says(elsewhere, precision):
    tracker = FaceTracker(FaceTracker.Config(device="cpu", precision=precision))
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    assert all(each == stated(precision) for each in seen(lambda: tracker.track([(0.0, frame)])))


def test_a_trackers_key_is_as_it_was_before_it_had_a_precision():
    config = FaceTracker.Config()
    assert config.numbers().keys() == {
        "min_face",
        "thresholds",
        "factor",
        "score",
        "key_every",
        "max_gap_s",
    }
    assert FaceTracker.Config(precision="tf32").numbers()["precision"] == "tf32"
    assert Schedule(epochs=1, batch_size=1, lr=1).numbers().keys() == {"epochs", "batch_size", "lr", "seed"}


@pytest.mark.parametrize("precision", FORM)
def test_training_runs_as_its_config_says_and_dev_in_float32(elsewhere, tmp_path, precision):
    config = TrainingConfig(precision=precision, epochs=1, device="cpu")
    run = fresh(Towers(), config)
    found = seen(lambda: train(run, ToyData(), ToySplit(), run_id="r", folder=tmp_path))
    assert found[0] == stated(precision)
    assert found[-1] == stated("float32")
    assert all(each == stated("float32") for each in seen(lambda: assess(run, ToyData(), IDS, "here")))
    assert all(each == stated("float32") for each in seen(lambda: predict(Towers(), ToyData(), IDS, TASK)))


@pytest.mark.parametrize("precision", FORM)
def test_fine_tuning_runs_as_its_schedule_says_and_dev_in_float32(elsewhere, tmp_path, precision):
    class Corpus:
        n_train = 4

        def dev(self):
            yield Items((torch.randn(4, 3),), torch.tensor([0, 1, 0, 1]), ("a", "b", "c", "d"))

        def train(self, generator):
            return self.dev()

    schedule = Schedule(epochs=1, batch_size=4, lr=0.1, device="cpu", precision=precision)
    place = {"run_id": "toy", "folder": tmp_path}
    loss = nn.functional.cross_entropy
    found = seen(lambda: tune(nn.Linear(3, 2), Corpus(), schedule, loss, lambda *_: {}, **place))
    assert found == [stated(precision), stated("float32")]


def test_tf32_is_float32_on_a_cpu_and_a_key_of_its_own():
    x = torch.randn(64, 64)
    with arithmetic("tf32"):
        fast = x @ x
    assert torch.equal(fast, x @ x)
    assert (dtype_of("tf32"), dtype_of("bfloat16")) == (torch.float32, torch.bfloat16)
    for name in networks():
        kind = EXTRACTORS.load(name)
        keys = [kind.Config(**dict(kind.tiny) | {"precision": precision}).numbers() for precision in FORM]
        assert len({str(key) for key in keys}) == 3


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_older_settings_agree_so_that_a_compiler_can_ask_them(precision):
    from torch.backends import cuda, cudnn, mkldnn

    def told():
        return (
            *(cudnn.allow_tf32, cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()),
            *(
                part.fp32_precision
                for part in (cudnn.conv, cudnn.rnn, cuda.matmul, mkldnn.matmul, mkldnn.conv)
            ),
        )

    before, tf32 = told(), precision == "tf32"
    with arithmetic(precision):
        inside = told()
        with arithmetic("float32"):
            assert told()[:3] == (False, False, "highest")
        assert told() == inside
    assert inside[:3] == (tf32, tf32, "high" if tf32 else "highest")
    assert inside[-2:] == before[-2:], "a CPU multiplies as before"
    assert told()[:3] == before[:3]


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_pass_can_be_compiled_in_either(precision):
    torch._dynamo.reset()
    doubled = torch.compile(lambda x: x @ x * 2, backend="aot_eager", fullgraph=True)
    with arithmetic(precision):
        assert torch.equal(doubled(torch.eye(3)), 2 * torch.eye(3))
