"""An AuxFormer training step against one written the way the papers' code is released.

Released way: time before batch; attention by hand (bmm, softmax, dropout, bmm, and the mean of the
weights over heads, which nobody reads); keys and values embedded, normalised and projected apart in
every cross layer; PyTorch's dropout. Both sides use the parameters of one model, so that in
evaluation mode they must give the same logits.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from pipeline.dataset.batch import Batch
from pipeline.models.attention import Attention, Block, Encoder, sinusoid
from pipeline.models.auxformer import AuxFormer

CLIPS, AUDIO_FRAMES, VISUAL_FRAMES, CLASSES = 32, 150, 75, 6

SETTINGS = {
    "width 50, auxiliary x3": (AuxFormer.Config(width=50, aux_repeats=3), 50, 4096),
    "width 130 (default)": (AuxFormer.Config(), 130, 4096),
}
"""Config and widths of both inputs: the code as released in 2022, the paper's sizes."""

Forward = Callable[[Batch], dict[str, Tensor]]


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
    return F.dropout(x_TBD, encoder.dropout.probability, encoder.training)


def transform(block: Block, x_TBD: Tensor, memory: tuple[Tensor, Tensor] | None) -> Tensor:
    """One layer; ``memory`` is what keys and values are made of, None for self-attention."""
    normed_TBD = block.norm_attention(x_TBD)
    key, value = (normed_TBD, normed_TBD) if memory is None else map(block.norm_attention, memory)
    attended_TBD, _ = attend(block.attention, normed_TBD, key, value)
    y_TBD = add(block, x_TBD, attended_TBD)
    first, _, dropout, second = block.ffn
    hidden_TBF = F.relu(first(block.norm_ffn(y_TBD)))
    return add(block, y_TBD, second(F.dropout(hidden_TBF, dropout.probability, block.training)))


def add(block: Block, x_TBD: Tensor, update_TBD: Tensor) -> Tensor:
    """The residual connection, plain or scaled."""
    update_TBD = F.dropout(update_TBD, block.dropout.probability, block.training)
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


def random_batch(audio_dim: int, visual_dim: int) -> Batch:
    """Clips of full length."""
    return Batch(
        torch.randn(CLIPS, AUDIO_FRAMES, audio_dim),
        torch.randn(CLIPS, VISUAL_FRAMES, visual_dim),
        torch.ones(CLIPS, AUDIO_FRAMES, dtype=torch.bool),
        torch.ones(CLIPS, VISUAL_FRAMES, dtype=torch.bool),
        torch.randint(CLASSES, (CLIPS,)),
    )


def update(model: AuxFormer, optimizer: torch.optim.Optimizer, forward: Forward, batch: Batch) -> None:
    """One step as released: three cross-entropies, clipped gradients, Adam."""
    optimizer.zero_grad()
    losses = [F.cross_entropy(logits, batch.targets) for logits in forward(batch).values()]
    torch.stack(losses).mean().backward()
    clip_grad_norm_(model.parameters(), 0.8)
    optimizer.step()


def compare(config: AuxFormer.Config, audio_dim: int, visual_dim: int, rounds: int) -> dict[str, float]:
    """Best wall and CPU seconds a step of both, taken in turn; largest difference of logits."""
    model = AuxFormer(config, audio_dim=audio_dim, visual_dim=visual_dim, outputs=CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=7.25e-4)
    batch = random_batch(audio_dim, visual_dim)
    sides: dict[str, Forward] = {"ours": lambda b: model(b).logits, "theirs": lambda b: released(model, b)}
    model.eval()
    with torch.no_grad():
        ours, theirs = (forward(batch) for forward in sides.values())
    row = {"max_diff": max(float((ours[name] - theirs[name]).abs().max()) for name in ours)}
    model.train()
    wall, cpu = dict.fromkeys(sides, math.inf), dict.fromkeys(sides, math.inf)
    for _ in range(rounds + 1):  # the first is slow, so it is never the best
        for side, forward in sides.items():
            begin, begin_cpu = time.perf_counter(), time.process_time()
            update(model, optimizer, forward, batch)
            wall[side] = min(wall[side], time.perf_counter() - begin)
            cpu[side] = min(cpu[side], time.process_time() - begin_cpu)
    for name, times in (("wall", wall), ("cpu", cpu)):
        row |= {f"{name}_ours_s": times["ours"], f"{name}_theirs_s": times["theirs"]}
        row[f"{name}_ratio"] = times["theirs"] / times["ours"]
    return row


def main(arguments: list[str] | None = None) -> None:
    """Print one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps of each side (default 3)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = {name: compare(*setting, options.rounds) for name, setting in SETTINGS.items()}
    columns = list(next(iter(rows.values())))
    print(f"{CLIPS} clips, {AUDIO_FRAMES} x {VISUAL_FRAMES} frames, float32, {options.threads} threads")
    print(f"{'AuxFormer':<24}" + "".join(f"{column:>15}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<24}" + "".join(f"{row[column]:>15.3g}" for column in columns))


if __name__ == "__main__":
    main()
