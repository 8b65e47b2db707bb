"""A VAVL training step (Algorithm 1, all three updates) against one written the way its code is released.

Released way: frames as (time, batch, dim) into blocks that read (batch, time, dim); attention by hand,
positions repeated for every row; pointwise and depthwise convolutions channels first; Swish and GLU from
their formulas; PyTorch's dropout; gradients of the audio-visual loss taken through the whole network
although only its head is updated; an Adam a module. Both sides use the parameters of one model, so that
in evaluation mode they must give the same logits. Our side runs as the workflow runs it: a split
a core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch
from benchmarks.results import publish
from benchmarks.sides import Side, Work, shards
from benchmarks.steps import CLASSES, CLIPS, compare, fresh_run, random_batch, steps
from torch import Tensor, nn
from torch.nn import functional as F

from avemo.dataset.batch import Batch
from avemo.models.conformer import (
    Conformer,
    ConformerBlock,
    ConvolutionModule,
    FeedForward,
    RelativeAttention,
    positions,
)
from avemo.models.vavl import VAVL
from avemo.training.steps import alternating

FRAMES, DIMS = (125, 75), (1024, 1408)

SETTINGS = {
    "as released": VAVL.Config(as_published_code=True),
    "time attends to time": VAVL.Config(),
}
"""The released mathematics, clips mixed; the default, with the blocks given (batch, time, dim)."""

TOLERANCES = {"float32": 1e-4, "bfloat16": 0.02}
BARS = {"float32": 2.0, "bfloat16": 3.5}
"""By the precision of our side."""


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


def theirs(setting: str) -> Work:
    """Steps the released way."""
    model, batch = start(setting)
    outputs, step = released_outputs, released_step(model)
    return steps(f"{setting}, released way", model, lambda b: outputs(model, b), step, batch)


def ours(setting: str, precision: str) -> Work:
    """The same three updates by this pipeline."""
    model, batch = start(setting)
    run = fresh_run(
        model,
        **{"procedure": "alternating", "lr": 5e-5, "weight_decay": 5e-7, "betas": (0.95, 0.999)},
        clip_norm=None,
        precision=precision,
    )

    def forward(batch: Batch) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return model(batch).logits

    return steps(
        f"{setting}, ours, {precision}", model, forward, lambda b: alternating(run, b, "benchmark"), batch
    )


def start(setting: str) -> tuple[VAVL, Batch]:
    """Model and batch, the same in every process."""
    torch.manual_seed(0)
    model = VAVL(SETTINGS[setting], audio_dim=DIMS[0], visual_dim=DIMS[1], outputs=CLASSES)
    return model, random_batch(FRAMES, DIMS)


def main(arguments: list[str] | None = None) -> None:
    """Race all sides in each setting; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--rounds", type=int, default=2, help="timed steps of each side (default 2)")
    asked = parser.parse_args(arguments)
    rows = []
    for name in SETTINGS:
        sides = {"released way": Side(theirs, (name,))}
        sides |= {precision: shards(ours, name, precision) for precision in BARS}
        rows += compare(name, sides, TOLERANCES, asked.rounds)
    against = (
        "A VAVL training step (all three updates), against one written as its code is released in float32"
    )
    shape = f"{CLIPS} clips, {FRAMES[0]} x {FRAMES[1]} frames, dropout on"
    bars = {
        f"{against}: {row['model']}, {row['way']}": (row["ratio"], BARS[row["way"]])
        for row in rows
        if row["way"] in BARS
    }
    publish(
        "training_vavl",
        f"{against}: {shape}. Theirs: one process, two threads; ours: a split a core. max_diff is of logits, in evaluation mode.",
        rows,
        bars,
    )


if __name__ == "__main__":
    main()
