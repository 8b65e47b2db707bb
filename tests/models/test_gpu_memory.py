"""What a training asks of a GPU, against the bytes that its steps hold between their passes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avemo.base.component import Work
from avemo.dataset.batch import Batch
from avemo.dataset.tasks import Classes
from avemo.models import MODELS, build_model
from avemo.models.attention import Attention
from avemo.models.conformer import RelativeAttention
from avemo.training.losses import total

CLIPS, OUTPUTS = 2, 6
FRAMES = dict.fromkeys(MODELS, (60, 18)) | {"colearning": (60, 2)}
"""Sound and faces, at the rates of the papers' extractors."""
DIMS = dict.fromkeys(("vavl", "uavm", "conformer"), (1024, 1408)) | {"colearning": (240, 128 * 128 * 3)}
"""Of the papers' features; AuxFormer's and AV-Ladder's are the default."""


def held_bytes(name: str) -> tuple[int, int]:
    """Bytes that autograd keeps of a default system's pass, as a GPU's fused attention has it, and its parameters."""
    dims = DIMS.get(name, (130, 4096))
    torch.manual_seed(0)
    model = build_model(name, audio_dim=dims[0], visual_dim=dims[1], outputs=OUTPUTS).train()
    for module in model.modules():
        # With dropout a CPU holds the weights of attention whole, which a fused kernel never does.
        if isinstance(module, Attention | nn.MultiheadAttention):
            module.dropout = 0.0
        elif isinstance(module, RelativeAttention):
            module.weight_dropout = 0.0
    masks = [torch.ones(CLIPS, frames, dtype=torch.bool) for frames in FRAMES[name]]
    x = [torch.randn(CLIPS, frames, dim) for frames, dim in zip(FRAMES[name], dims, strict=True)]
    batch = Batch(*x, *masks, torch.randint(OUTPUTS, (CLIPS,)))
    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    held: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = total(model(batch, torch.Generator()), batch, Classes(list("abcdef")))["total"]
    assert torch.isfinite(loss)
    return sum(storage.nbytes() for storage in held.values()), sum(w.numel() for w in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_a_training_asks_for_what_its_step_holds_and_not_for_many_times_that(monkeypatch, name):
    monkeypatch.setattr("avemo.models.attention.FILLED_ON", ("cpu",))
    monkeypatch.setattr("avemo.base.devices.AT_ONCE", ())
    held, parameters = held_bytes(name)
    work = MODELS.load(name).work
    frames = CLIPS * sum(FRAMES[name])
    assert held < frames * work.gpu_frame_kb * 1e3 < 4 * held, f"{held / frames / 1e3:.0f} kB a frame"
    # Weights, gradients and Adam's two moments.
    assert 16 * parameters < work.gpu_mb * 1e6


def test_what_is_asked_for_follows_the_work():
    work = Work(seconds=0.1, gpu_mb=3000, gpu_frame_kb=500, gpu_seconds=0.01)
    assert work.training_gpu_mb(frames=64 * 400) == 3000 + 12_800
    assert work.training_gpu_mb(frames=32 * 400) < work.training_gpu_mb(frames=64 * 400)
    assert work.training_s(1000, "auto") == pytest.approx(10)
    assert work.training_s(1000, "cpu") == pytest.approx(100)
    no_gpu = Work(seconds=0.1)
    assert (no_gpu.training_gpu_mb(frames=1e6), no_gpu.training_s(10, "auto")) == (0, pytest.approx(1))


def test_table_1_of_av_ladder_in_one_job_asks_for_less_than_a_day():
    """Six systems of 20 splits on CREMA-D's 7,442 clips, 40 epochs: one job a system."""
    for name in ("av_ladder", "auxformer", "mult", "parthasarathy"):
        assert MODELS.load(name).work.training_s(20 * 7442 * 40, "auto") < 24 * 3600
