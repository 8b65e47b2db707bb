"""An AuxFormer training step against one written the way the papers' code is released.

Released way: time before batch; attention by hand (bmm, softmax, dropout, bmm, and the mean of the
weights over heads, which nobody reads); keys and values embedded, normalised and projected apart in
every cross layer; PyTorch's dropout. Both sides use the parameters of one model, so that in
evaluation mode they must give the same logits. Our side runs as the workflow runs it: a split a core.
"""

from __future__ import annotations

import argparse
import math

import torch
from benchmarks.results import publish
from benchmarks.sides import Side, Work, shards
from benchmarks.steps import CLASSES, CLIPS, Forward, compare, fresh_run, random_batch, steps
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from avemo.dataset.batch import Batch
from avemo.models.attention import Attention, Block, Encoder, sinusoid
from avemo.models.auxformer import AuxFormer
from avemo.training.steps import joint

FRAMES = 150, 75
RELEASED, DEFAULT = "width 50, auxiliary x3", "width 130 (default)"
SETTINGS = {
    RELEASED: (AuxFormer.Config(width=50, aux_repeats=3), (50, 4096)),
    DEFAULT: (AuxFormer.Config(), (130, 4096)),
}
"""Config and widths of both inputs: the code as released in 2022, the paper's sizes."""

TOLERANCE = 1e-4
BAR = 2.5


def released(model: AuxFormer, batch: Batch) -> dict[str, Tensor]:
    """The forward pass of ``model`` on clips without padding, released way: logits by head."""
    audio_TBD = model.project_audio(batch.audio_BTD).transpose(0, 1)
    visual_SBD = model.project_visual(batch.visual_BTD).transpose(0, 1)
    h_audio_TBD = encode(model.self_audio.encoder, encode(model.cross_audio, audio_TBD, visual_SBD))
    h_visual_SBD = encode(model.self_visual.encoder, encode(model.cross_visual, visual_SBD, audio_TBD))
    for _ in range(model.config.aux_repeats):
        audio_TBD = encode(model.aux_audio.encoder, audio_TBD)
        visual_SBD = encode(model.aux_visual.encoder, visual_SBD)
    return {
        "av": model.head(torch.cat([h_audio_TBD[-1], h_visual_SBD[-1]], dim=1)),
        "audio": model.aux_head_audio(audio_TBD[-1]),
        "visual": model.aux_head_visual(visual_SBD[-1]),
    }


def encode(encoder: Encoder, x_TBD: Tensor, memory_SBD: Tensor | None = None) -> Tensor:
    """One encoder, time first."""
    memory = None if memory_SBD is None else (embed(encoder, memory_SBD), embed(encoder, memory_SBD))
    x_TBD = embed(encoder, x_TBD)
    for block in encoder.blocks:
        x_TBD = transform(block, x_TBD, memory)
    return encoder.norm(x_TBD)


def embed(encoder: Encoder, x_TBD: Tensor) -> Tensor:
    """Scaled inputs, with positions where the encoder has them."""
    x_TBD = x_TBD * math.sqrt(encoder.width)
    if encoder.positions:
        x_TBD = x_TBD + sinusoid(len(x_TBD), encoder.width)[:, None]
    return F.dropout(x_TBD, encoder.dropout.p, encoder.training)


def transform(block: Block, x_TBD: Tensor, memory: tuple[Tensor, Tensor] | None) -> Tensor:
    """One layer; ``memory`` is what keys and values are made of, None for self-attention."""
    normed_TBD = block.norm_attention(x_TBD)
    key, value = (normed_TBD, normed_TBD) if memory is None else map(block.norm_attention, memory)
    attended_TBD, _ = attend(block.attention, normed_TBD, key, value)
    y_TBD = add(block, x_TBD, attended_TBD)
    first, _, dropout, second = block.ffn
    hidden_TBF = F.relu(first(block.norm_ffn(y_TBD)))
    return add(block, y_TBD, second(F.dropout(hidden_TBF, dropout.p, block.training)))


def add(block: Block, x_TBD: Tensor, update_TBD: Tensor) -> Tensor:
    """The residual connection, plain or scaled."""
    update_TBD = F.dropout(update_TBD, block.dropout.p, block.training)
    if block.alpha is None:
        return x_TBD + update_TBD
    beta = 1 - block.alpha if block.beta is None else block.beta
    return x_TBD * block.alpha + update_TBD * beta


def attend(attention: Attention, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Attended values ``(T, B, D)`` and the mean weights ``(B, T, S)``."""
    (steps, clips, width), heads = query.shape, attention.heads
    q, k, v = (
        F.linear(x, *parameters)
        for x, parameters in zip(
            (query, key, value),
            zip(attention.project_in.weight.chunk(3), attention.project_in.bias.chunk(3), strict=True),
            strict=True,
        )
    )
    q = q * (width // heads) ** -0.5
    q, k, v = (x.contiguous().view(-1, clips * heads, width // heads).transpose(0, 1) for x in (q, k, v))
    weights = F.softmax(torch.bmm(q, k.transpose(1, 2)), dim=-1)
    weights = F.dropout(weights, attention.dropout, attention.training)
    out_TBD = torch.bmm(weights, v).transpose(0, 1).contiguous().view(steps, clips, width)
    return attention.project_out(out_TBD), weights.view(clips, heads, steps, -1).sum(dim=1) / heads


def update(model: AuxFormer, optimizer: torch.optim.Optimizer, forward: Forward, batch: Batch) -> None:
    """One step as released: three cross-entropies, clipped gradients, Adam."""
    optimizer.zero_grad()
    losses = [F.cross_entropy(logits, batch.targets) for logits in forward(batch).values()]
    torch.stack(losses).mean().backward()
    clip_grad_norm_(model.parameters(), 0.8)
    optimizer.step()


def theirs(setting: str) -> Work:
    """Steps the released way."""
    model, batch = start(setting)
    optimizer = torch.optim.Adam(model.parameters(), lr=7.25e-4)
    return steps(
        f"{setting}, released way",
        model,
        lambda b: released(model, b),
        lambda b: update(model, optimizer, lambda b: released(model, b), b),
        batch,
    )


def ours(setting: str) -> Work:
    """Steps of this pipeline."""
    model, batch = start(setting)
    run = fresh_run(model)
    return steps(
        f"{setting}, ours", model, lambda b: model(b).logits, lambda b: joint(run, b, "benchmark"), batch
    )


def start(setting: str) -> tuple[AuxFormer, Batch]:
    """Model and batch, the same in every process."""
    torch.manual_seed(0)
    config, dims = SETTINGS[setting]
    model = AuxFormer(config, audio_dim=dims[0], visual_dim=dims[1], outputs=CLASSES)
    return model, random_batch(FRAMES, dims)


def main(arguments: list[str] | None = None) -> None:
    """Race both sides in each setting; add their rows to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each side (default 5)")
    asked = parser.parse_args(arguments)
    rows = []
    for name in SETTINGS:
        sides = {
            "released way": Side(theirs, (name,)),
            "ours": shards(ours, name),
        }
        rows += compare(name, sides, {"ours": TOLERANCE}, asked.rounds)
    against = "An AuxFormer training step, against one written as its code is released"
    shape = f"{CLIPS} clips, {FRAMES[0]} x {FRAMES[1]} frames, float32, dropout on"
    bars = {
        f"{against}, {row['model']}": (row["ratio"], BAR)
        for row in rows
        if (row["model"], row["way"]) == (RELEASED, "ours")
    }
    publish(
        "training",
        f"{against}: {shape}. Theirs: one process, two threads; ours: a split a core. max_diff is of logits, in evaluation mode.",
        rows,
        bars,
    )


if __name__ == "__main__":
    main()
