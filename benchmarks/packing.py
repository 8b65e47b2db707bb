"""Several splits of one system in one process: a step of each in turn, or one step of all, stacked.

In turn is what `avemo train` does with several splits. Stacked: the splits' weights are stacked along a
new axis and one pass goes over all (`torch.func.vmap` of the gradient), as a GPU would want small
systems. Both sides start from the same weights, see the same batches and must find the same gradients;
dropout is off, since its coins could not be the same. CPU time: other work changes little.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from benchmarks.results import publish
from benchmarks.steps import CLASSES, CLIPS, random_batch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from avemo.dataset.batch import Batch
from avemo.models.auxformer import AuxFormer

RATE = 7.25e-4
TOLERANCE = 1e-4
AGAINST = """Several splits in one process: a step of each in turn, as `avemo train` does, or one step of all with their
weights stacked (`torch.func.vmap`). Training takes them in turn: stacked, attention has to do without its fused
gradient, which costs more on a CPU than larger products gain. """

STILL = {f"{place}_dropout": 0.0 for place in ("embedding", "attention", "relu", "residual", "head")}

Setting = tuple[AuxFormer.Config, tuple[int, int], tuple[int, int]]
"""Config, widths of both inputs, frames of both inputs."""

SETTINGS: dict[str, Setting] = {
    "demo (width 32, 1 layer)": (
        AuxFormer.Config(width=32, heads=2, layers=1, **STILL),
        (130, 1408),
        (75, 14),
    ),
    "paper (width 130, 5 layers)": (AuxFormer.Config(**STILL), (130, 4096), (150, 75)),
}


Step = Callable[[], None]


def in_turn(models: Sequence[AuxFormer], batches: Sequence[Batch]) -> Step:
    """One step of each split after the other."""
    optimizers = [torch.optim.Adam(model.parameters(), lr=RATE) for model in models]

    def step() -> None:
        for model, optimizer, batch in zip(models, optimizers, batches, strict=True):
            optimizer.zero_grad(set_to_none=True)
            _loss(model(batch).logits, batch.targets).backward()
            optimizer.step()

    return step


def stacked(models: Sequence[AuxFormer], batches: Sequence[Batch]) -> tuple[Step, dict[str, Tensor]]:
    """One step of all splits at once, and the stacked weights that it moves."""
    weights, buffers = stack_module_state(list(models))
    base = copy.deepcopy(models[0]).to("meta")
    optimizer = torch.optim.Adam(weights.values(), lr=RATE)
    audio, visual, targets = (
        torch.stack([getattr(batch, name) for batch in batches])
        for name in ("audio_BTD", "visual_BTD", "targets")
    )
    masks = batches[0].audio_mask_BT, batches[0].visual_mask_BT

    def loss(weights: dict[str, Tensor], buffers: Any, x_a: Tensor, x_v: Tensor, target_B: Tensor) -> Tensor:
        batch = Batch(x_a, x_v, *masks, target_B)
        return _loss(functional_call(base, (weights, buffers), (batch,)).logits, target_B)

    gradients = vmap(grad_and_value(loss))

    def step() -> None:
        with sdpa_kernel(SDPBackend.MATH):  # the fused gradient cannot be stacked
            found, _ = gradients(weights, buffers, audio, visual, targets)
        for name, weight in weights.items():
            weight.grad = found[name]
        optimizer.step()

    return step, weights


def _loss(logits: dict[str, Tensor], target_B: Tensor) -> Tensor:
    return torch.stack([F.cross_entropy(each, target_B) for each in logits.values()]).mean()


def compare(setting: Setting, splits: int, rounds: int) -> dict[str, float]:
    """Best CPU seconds of a step of all splits, both ways by turns, and the gradients' largest difference.

    Raises `SystemExit` if that exceeds the tolerance.
    """
    config, dims, frames = setting
    models = [
        AuxFormer(config, audio_dim=dims[0], visual_dim=dims[1], outputs=CLASSES).train()
        for _ in range(splits)
    ]
    batches = [random_batch(frames, dims) for _ in range(splits)]
    together, weights = stacked(models, batches)
    ways = {"in turn": in_turn(models, batches), "stacked": together}
    cpu = dict.fromkeys(ways, math.inf)
    difference = math.nan
    for _ in range(rounds + 1):  # the first is slow, so it is never the best
        for way, step in ways.items():
            begin = time.process_time()
            step()
            seconds = time.process_time() - begin
            cpu[way] = min(cpu[way], seconds)
            print(f"{splits} splits {way}: {seconds:.2f} s of CPU time", flush=True)
        if math.isnan(difference):
            difference = _difference(models, weights)
            if not difference <= TOLERANCE:
                raise SystemExit(
                    f"expected gradients within {TOLERANCE:g} of each other, found {difference:g}"
                )
    row = {f"{way.replace(' ', '_')}_s": seconds for way, seconds in cpu.items()}
    return row | {"ratio": cpu["in turn"] / cpu["stacked"], "max_diff": difference}


def _difference(models: Sequence[AuxFormer], weights: dict[str, Tensor]) -> float:
    """Of the gradients."""
    pairs = [
        (weight.grad, weights[name].grad[index])  # type: ignore[index]
        for index, model in enumerate(models)
        for name, weight in model.named_parameters()
    ]
    return max(float((one - other).detach().abs().max()) for one, other in pairs)  # type: ignore[operator]


def main(arguments: list[str] | None = None) -> None:
    """Print one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--splits", type=int, default=2, help="splits in one process (default 2)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--rounds", type=int, default=1, help="steps of each side after the first (default 1)"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = {name: compare(setting, options.splits, options.rounds) for name, setting in SETTINGS.items()}
    note = f"{options.splits} splits, {CLIPS} clips, float32, {options.threads} threads; CPU seconds of one step of every split."
    publish("packing", AGAINST + note, [{"AuxFormer": name, **row} for name, row in rows.items()])


if __name__ == "__main__":
    main()
