"""A VAVL training step (Algorithm 1, all three updates) against one written the way its code is released.

Released way: frames as (time, batch, dim) into blocks that read (batch, time, dim); attention by hand,
positions repeated for every row; pointwise and depthwise convolutions channels first; Swish and GLU from
their formulas; PyTorch's dropout; gradients of the audio-visual loss taken through the whole network
although only its head is updated; an Adam a module. Both sides use the parameters of one model, so that
in evaluation mode they must give the same logits. CPU time: other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.dataset.batch import Batch
from pipeline.dataset.tasks import Classes
from pipeline.models.conformer import (
    Conformer,
    ConformerBlock,
    ConvolutionModule,
    FeedForward,
    RelativeAttention,
    positions,
)
from pipeline.models.vavl import VAVL
from pipeline.training.config import TrainingConfig
from pipeline.training.state import RunState
from pipeline.training.steps import alternating

CLIPS, AUDIO_FRAMES, VISUAL_FRAMES, CLASSES = 32, 125, 75, 6
AUDIO_DIM, VISUAL_DIM = 1024, 1408

SETTINGS = {
    "as released": VAVL.Config(as_published_code=True),
    "time attends to time": VAVL.Config(),
}
"""The released mathematics, clips mixed; the default, with the blocks given (batch, time, dim)."""


def represent(model: VAVL, modality: str, x_BTF: Tensor) -> Tensor:
    """r ``(B, D)`` of clips without padding."""
    branch = model.audio if modality == "audio" else model.visual
    x_BTD = branch.encoder.embed(x_BTF.transpose(1, 2)).transpose(1, 2)
    x_BTD = conformer(branch.encoder.conformer, x_BTD)
    return model.shared.norm(conformer(model.shared.conformer, x_BTD) + x_BTD).mean(1)


def conformer(encoder: Conformer, x_BTF: Tensor) -> Tensor:
    """Linear, dropout, blocks."""
    if encoder.across_batch:
        x_BTF = x_BTF.transpose(0, 1)
    x_BTD = drop(encoder, encoder.project(x_BTF))
    for block in encoder.blocks:
        x_BTD = transform(encoder, block, x_BTD)
    return x_BTD.transpose(0, 1) if encoder.across_batch else x_BTD


def drop(module: nn.Module, x: Tensor) -> Tensor:
    """PyTorch's dropout, as the paper sets it inside the encoders."""
    return F.dropout(x, 0.1, module.training)


def transform(encoder: Conformer, block: ConformerBlock, x_BTD: Tensor) -> Tensor:
    """One block: residuals as a factor times each side."""
    x_BTD = feed_forward(block.ffn_before, x_BTD) * 0.5 + x_BTD * 1.0
    x_BTD = attend(encoder, block.attention, x_BTD) * 1.0 + x_BTD * 1.0
    x_BTD = convolve(block.convolution, x_BTD) * 1.0 + x_BTD * 1.0
    return block.norm(feed_forward(block.ffn_after, x_BTD) * 0.5 + x_BTD * 1.0)


def swish(x: Tensor) -> Tensor:
    """By its formula."""
    return x * x.sigmoid()


def feed_forward(layers: FeedForward, x_BTD: Tensor) -> Tensor:
    """Norm, linear, Swish, dropout, linear, dropout."""
    norm, first, _, _, second, _ = layers
    return drop(layers, second(drop(layers, swish(first(norm(x_BTD))))))


def attend(encoder: Conformer, attention: RelativeAttention, x_BTD: Tensor) -> Tensor:
    """Relative attention by hand, its positions projected once a row of the batch."""
    clips, steps, width = x_BTD.shape
    heads = attention.heads
    table = positions(steps, width, encoder.vendored, x_BTD.device).expand(clips, -1, -1).contiguous()
    x_BTD = attention.norm(x_BTD)
    weights, biases = attention.project_in.weight.chunk(3), attention.project_in.bias.chunk(3)
    query, key, value = (
        F.linear(x_BTD, w, b).view(clips, -1, heads, width // heads)
        for w, b in zip(weights, biases, strict=True)
    )
    place = attention.project_position(table).view(clips, -1, heads, width // heads)
    content = torch.matmul((query + attention.content_bias).transpose(1, 2), key.permute(0, 2, 3, 1))
    offset = torch.matmul((query + attention.position_bias).transpose(1, 2), place.permute(0, 2, 3, 1))
    score = (content + shift(offset)) * attention.scale
    found = torch.matmul(drop(attention, F.softmax(score, -1)), value.transpose(1, 2))
    found = found.transpose(1, 2).contiguous().view(clips, -1, width)
    return drop(attention, attention.project_out(found))


def shift(score: Tensor) -> Tensor:
    """Rows moved against each other, by a concatenated column and two views."""
    clips, heads, steps, places = score.shape
    padded = torch.cat([score.new_zeros(clips, heads, steps, 1), score], dim=-1)
    padded = padded.view(clips, heads, places + 1, steps)
    return padded[:, :, 1:].reshape(clips, heads, steps, places)[..., :steps]


def convolve(module: ConvolutionModule, x_BTD: Tensor) -> Tensor:
    """Pointwise, GLU, depthwise, batch norm, Swish, pointwise, all channels first."""
    x_BDT = module.norm_in(x_BTD).transpose(1, 2)
    x_BDT = F.conv1d(x_BDT, module.pointwise_in.weight[:, :, None], module.pointwise_in.bias)
    values, gates = x_BDT.chunk(2, dim=1)
    kernel = module.depthwise.weight.squeeze(2)
    x_BDT = F.conv1d(values * gates.sigmoid(), kernel, padding=kernel.shape[-1] // 2, groups=len(kernel))
    norm = module.norm
    x_BDT = swish(
        F.batch_norm(x_BDT, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training)
    )
    x_BDT = F.conv1d(x_BDT, module.pointwise_out.weight[:, :, None], module.pointwise_out.bias)
    return drop(module, x_BDT).transpose(1, 2)


def released_outputs(model: VAVL, batch: Batch) -> dict[str, Tensor]:
    """Logits of all heads."""
    r = {"audio": represent(model, "audio", batch.audio_BTD)}
    r["visual"] = represent(model, "visual", batch.visual_BTD)
    assert model.av is not None
    return {
        "audio": model.audio.head(r["audio"]),
        "visual": model.visual.head(r["visual"]),
        "av": model.av(torch.cat([r["audio"], r["visual"]], dim=1)),
    }


def adams(modules: Sequence[nn.Module]) -> list[torch.optim.Optimizer]:
    """One a module, with the released settings."""
    return [
        torch.optim.Adam(m.parameters(), lr=5e-5, weight_decay=5e-7, betas=(0.95, 0.999)) for m in modules
    ]


def released_step(model: VAVL) -> Callable[[Batch], None]:
    """The three updates of the released loop: faces, sound, both."""
    optimizers = {name: adams(modules) for name, modules in model.parts().items()}

    def update(name: str, loss: Tensor) -> None:
        for optimizer in optimizers[name]:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in optimizers[name]:
            optimizer.step()

    def step(batch: Batch) -> None:
        model.train()
        for name, branch, x_BTF in (
            ("visual", model.visual, batch.visual_BTD),
            ("audio", model.audio, batch.audio_BTD),
        ):
            r_BD = represent(model, name, x_BTF)
            assert branch.reconstruct is not None
            error = F.mse_loss(branch.reconstruct(r_BD), x_BTF.mean(1))
            update(name, F.cross_entropy(branch.head(r_BD), batch.targets) + 2 * error)
        for frozen in (model.audio, model.visual, model.shared):
            frozen.eval()
        update("av", F.cross_entropy(released_outputs(model, batch)["av"], batch.targets))

    return step


def our_step(model: VAVL, *, bfloat16: bool = False) -> Callable[[Batch], None]:
    """The same three updates by this pipeline."""
    config = TrainingConfig(
        procedure="alternating", lr=5e-5, weight_decay=5e-7, betas=(0.95, 0.999), clip_norm=None, device="cpu"
    )
    task = Classes([str(number) for number in range(CLASSES)])
    run = RunState.fresh(model, task, config, "split00", torch.device("cpu"))

    def step(batch: Batch) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            alternating(run, batch, "benchmark")

    return step


def random_batch() -> Batch:
    """Clips of full length."""
    return Batch(
        torch.randn(CLIPS, AUDIO_FRAMES, AUDIO_DIM),
        torch.randn(CLIPS, VISUAL_FRAMES, VISUAL_DIM),
        torch.ones(CLIPS, AUDIO_FRAMES, dtype=torch.bool),
        torch.ones(CLIPS, VISUAL_FRAMES, dtype=torch.bool),
        torch.randint(CLASSES, (CLIPS,)),
    )


@torch.no_grad()
def difference(model: VAVL, batch: Batch) -> float:
    """Largest difference of the logits of both sides, in evaluation mode."""
    model.eval()
    theirs, ours = released_outputs(model, batch), model(batch).logits
    return max(float((ours[name] - theirs[name]).abs().max()) for name in theirs)


def compare(config: VAVL.Config, rounds: int) -> dict[str, float]:
    """Best CPU seconds a step of each side, taken in turn, and ratios to the released way."""
    model = VAVL(config, audio_dim=AUDIO_DIM, visual_dim=VISUAL_DIM, outputs=CLASSES)
    batch = random_batch()
    row = {"max_diff": difference(model, batch)}
    sides = {
        "released": released_step(model),
        "ours": our_step(model),
        "bfloat16": our_step(model, bfloat16=True),
    }
    cpu = dict.fromkeys(sides, math.inf)
    for _ in range(rounds + 1):  # the first round warms up; a best time is never among its
        for name, step in sides.items():
            begin = time.process_time()
            step(batch)
            cpu[name] = min(cpu[name], time.process_time() - begin)
    row |= {f"{name}_s": seconds for name, seconds in cpu.items()}
    return row | {
        "ratio": cpu["released"] / cpu["ours"],
        "bfloat16_ratio": cpu["released"] / cpu["bfloat16"],
    }


def main(arguments: list[str] | None = None) -> None:
    """Print one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps of each side (default 3)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = {name: compare(config, options.rounds) for name, config in SETTINGS.items()}
    columns = list(next(iter(rows.values())))
    print(f"{CLIPS} clips, {AUDIO_FRAMES} x {VISUAL_FRAMES} frames, {options.threads} threads")
    print(f"{'VAVL':<24}" + "".join(f"{column:>15}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<24}" + "".join(f"{row[column]:>15.3g}" for column in columns))


if __name__ == "__main__":
    main()
