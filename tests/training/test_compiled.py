"""Compiled passes: the same numbers, few shapes, and a training that goes on where compiling fails.

The compiler runs in full up to the code for a device, in whose place PyTorch's own operators are called.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from avemo.base import devices
from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Classes
from avemo.models import MODELS
from avemo.models.base import Outputs
from avemo.training import compiled
from avemo.training.compiled import length_of, padded
from avemo.training.recipe import TrainingConfig
from avemo.training.state import RunState
from avemo.training.steps import joint
from model_batches import CLIPS, OUTPUTS, random_batch
from small_systems import small

SYSTEMS = sorted(MODELS)
FREE = [name for name in SYSTEMS if small(name).pads_freely]
CPU = torch.device("cpu")


def whole(**sizes):
    return replace(random_batch(**sizes), whole=True)


@pytest.fixture
def backend(monkeypatch):
    """A CPU that is treated as a GPU; counts what is compiled."""
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(compiled, "COMPILED_ON", ("cpu",))
    monkeypatch.setattr(compiled, "BACKEND", counter)
    monkeypatch.setattr(devices, "AT_ONCE", ())
    torch._dynamo.reset()
    yield counter
    torch._dynamo.reset()


def steady(model: nn.Module) -> nn.Module:
    """``model`` without dropout."""
    for module in model.modules():
        for field in ("p", "dropout"):
            if isinstance(getattr(module, field, None), float):
                setattr(module, field, 0.0)
    return model


def as_numbers(terms: dict) -> dict[str, float]:
    return {name: float(term) for name, term in terms.items()}


def fresh(model: nn.Module, **training) -> RunState:
    config = TrainingConfig(batch_size=CLIPS, device="cpu", **training)
    task = Classes([str(number) for number in range(OUTPUTS)])
    return RunState.fresh(model.train(), task, config, "s", CPU)


def test_the_systems_of_the_ladders_table_are_compiled():
    assert {"av_ladder", "auxformer", "mult", "parthasarathy"} <= set(FREE)
    published = {"as_published_padding": True}
    assert not any(small(name, **published).pads_freely for name in ("av_ladder", "auxformer", "mult"))


def test_lengths_are_few_and_little_is_added():
    found = [length_of(frames) for frames in range(1, 2049)]
    assert found == sorted(found)
    assert all(frames <= length for frames, length in enumerate(found, start=1))
    assert all(length - frames <= length / 5 for frames, length in enumerate(found, start=1) if frames > 16)
    assert len(set(found)) == 1 + 4 * 7
    assert all(length_of(length) == length for length in found)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", FREE)
def test_padded_lengths_change_no_logit(name, training):
    model, batch = steady(small(name)).train(training), whole(audio=37, visual=18)
    longer = padded(batch)
    assert (longer.audio_BTD.shape[1], longer.visual_BTD.shape[1]) == (40, 20)
    with torch.no_grad():
        if training:
            # Of what noise is drawn depends on the shapes that it is drawn for.
            assert all(torch.isfinite(x).all() for x in model(longer).logits.values())
            model.config = model.config.model_copy(update={"noise_variance": 0.0})
        short, long = model(batch), model(longer)
    for head, logits_BC in {**short.logits, "prediction": short.prediction}.items():
        found = long.prediction if head == "prediction" else long.logits[head]
        torch.testing.assert_close(found, logits_BC, atol=3e-7, rtol=0)
    for term, value in short.losses.items():
        torch.testing.assert_close(long.losses[term], value, atol=3e-7, rtol=1e-6)


@pytest.mark.parametrize("name", FREE)
def test_compiled_steps_are_those_of_the_system(name, backend):
    batches = [padded(whole(seed=seed, audio=37, visual=18)) for seed in range(3)]
    runs = [fresh(steady(small(name)), compile=each) for each in ("off", "auto")]
    assert [run.compiled is None for run in runs] == [True, False]
    # Without a generator noise is torch's own, which both draw alike.
    runs[0].generators = replace(runs[0].generators, noise=None)
    terms = []
    for run in runs:
        torch.manual_seed(5)
        terms.append([joint(run, batch, "here") for batch in batches])
    assert runs[1].compiled is not None, "it has not fallen back"
    assert backend.frame_count == 1
    for expected, found in zip(*terms, strict=True):
        assert as_numbers(found) == pytest.approx(as_numbers(expected), rel=1e-5, abs=1e-6)
    for key, value in runs[0].model.state_dict().items():
        torch.testing.assert_close(runs[1].model.state_dict()[key], value, rtol=1e-4, atol=2e-5, msg=key)


def test_a_compilation_a_pair_of_lengths_and_none_for_what_is_left_of_an_epoch(backend):
    run = fresh(small("mult"), compile="auto")
    sizes = [(33, 9), (40, 16), (37, 12), (41, 16), (47, 3), (38, 10)]
    assert len({(length_of(audio), length_of(visual)) for audio, visual in sizes}) == 2
    for seed, (audio, visual) in enumerate(sizes):
        joint(run, whole(seed=seed, audio=audio, visual=visual), "here")
    joint(run, whole(clips=CLIPS - 1), "here")
    joint(run, replace(whole(audio=40), clip_ids=["another"] * CLIPS), "here")
    assert backend.frame_count == 2
    assert run.compiled is not None


def test_nothing_is_compiled_unless_asked_nor_on_a_cpu(monkeypatch):
    assert TrainingConfig().compile == "off"
    assert TrainingConfig(compile=False).compile == "off", "a bare off, as YAML reads it"
    assert fresh(small("mult"), compile="auto").compiled is None
    monkeypatch.setattr(compiled, "COMPILED_ON", ("cpu",))
    assert fresh(small("mult")).compiled is None
    assert fresh(small("mult", as_published_padding=True), compile="auto").compiled is None
    assert fresh(small("vavl"), compile="auto", procedure="alternating").compiled is None
    assert TrainingConfig(compile="auto").numbers() == TrainingConfig().numbers(), "no key changes"


def test_where_compiling_fails_the_pass_runs_as_it_is_and_the_log_says_so(monkeypatch, capsys):
    def broken(graph, inputs):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(compiled, "COMPILED_ON", ("cpu",))
    monkeypatch.setattr(compiled, "BACKEND", broken)
    torch._dynamo.reset()
    runs = [fresh(steady(small("mult")), compile=each) for each in ("off", "auto")]
    expected, found = ([joint(run, whole(seed=seed), "split00") for seed in range(3)] for run in runs)
    assert found == expected, "to the bit"
    told = capsys.readouterr().out
    assert told.count("passes are not compiled from here on") == 1
    assert "split00: " in told
    assert "no compiler here" in told
    assert runs[1].compiled is None


class Looking(nn.Module):
    """Asks a tensor for its value, which no compiled pass can."""

    pads_freely = True

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(6, OUTPUTS)

    def forward(self, batch, generator=None):
        mean_BD = batch.audio_BTD.mean(1) if float(batch.audio_BTD.sum()) < 1e9 else batch.audio_BTD[:, 0]
        logits = self.out(mean_BD)
        return Outputs({"audio": logits}, logits)


def test_a_system_that_looks_at_values_falls_back(backend, capsys):
    run = fresh(Looking(), compile="auto")
    joint(run, whole(), "here")
    assert run.compiled is None
    assert "passes are not compiled" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_is_no_failure_of_the_compiler(backend):
    run, batch = fresh(small("mult"), compile="auto"), whole()
    batch.audio_BTD[0, 0] = float("nan")
    joint(run, batch, "here")
    with pytest.raises(AvemoError, match="expected a finite loss, found nan"):
        run.watch.look()
    assert run.compiled is not None
