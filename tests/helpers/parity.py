"""Our numbers beside the public implementations', from the same weights and inputs.

`tests/models/golden/` holds theirs and the scripts that made them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avemo.dataset.batch import Batch
from avemo.models import build_model
from avemo.models.conformer import Conformer, ConformerConfig
from seeded_weights import seed_weights, seeded_input

GOLDEN = Path(__file__).parents[1] / "models" / "golden"

Pairs = dict[str, tuple[Tensor, Tensor]]
"""Ours and theirs by what they are."""


def golden(name: str) -> dict[str, Tensor]:
    """What a public implementation gave."""
    with np.load(GOLDEN / f"{name}.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def padded_batch(visual_dim: int) -> Batch:
    """Three clips; the last one's last three frames are padding."""
    inputs = seeded_input(3, 11, 130, seed=1), seeded_input(3, 7, visual_dim, seed=2)
    masks = [torch.ones(x.shape[:2], dtype=torch.bool) for x in inputs]
    for x, mask in zip(inputs, masks, strict=True):
        x[-1, -3:], mask[-1, -3:] = 0, False
    return Batch(*inputs, *masks, torch.zeros(3, dtype=torch.long))


def whole(audio_BTD: Tensor, visual_BTD: Tensor) -> Batch:
    """A batch of clips of one length."""
    masks = (torch.ones(x.shape[:2], dtype=torch.bool) for x in (audio_BTD, visual_BTD))
    return Batch(audio_BTD, visual_BTD, *masks, torch.zeros(len(audio_BTD), dtype=torch.long))


def auxformer(mask: str, **switches: object) -> Pairs:
    """At full size; ``open`` is the released code with its attention mask off."""
    config = {"as_published_code": True, "causal": mask == "causal", **switches}
    model = seed_weights(build_model("auxformer", audio_dim=130, visual_dim=4096, outputs=6, **config)).eval()
    outputs, theirs = model(padded_batch(4096)), golden("auxformer")
    pairs = {head: (x_BC, theirs[f"{mask}_{head}"]) for head, x_BC in outputs.logits.items()}
    return pairs | {"mean": (outputs.prediction, sum(x_BC for _, x_BC in pairs.values()) / 3)}


def mult() -> Pairs:
    """Four released encoders at full size."""
    model = build_model("mult", audio_dim=130, visual_dim=256, outputs=6, as_published_code=True)
    return {"av": (seed_weights(model).eval()(padded_batch(256)).logits["av"], golden("mult")["av"])}


def conformer() -> Pairs:
    """Two blocks of upstream's."""
    ours = seed_weights(Conformer(ConformerConfig(width=64), 50, 2)).eval()
    frames_BTD = ours(seeded_input(3, 21, 50, seed=1), torch.ones(3, 21, dtype=torch.bool))
    return {"frames": (frames_BTD, golden("conformer")["y"])}


def vavl(layout: str) -> Pairs:
    """At full size; ``corrected`` is the released code with its encoders given (batch, time, dim)."""
    config = {"as_published_code": True, "batch_axis_attention": layout == "released"}
    model = seed_weights(build_model("vavl", audio_dim=1024, visual_dim=1408, outputs=6, **config)).eval()
    outputs = model(whole(seeded_input(3, 9, 1024, seed=1), seeded_input(3, 7, 1408, seed=2)))
    ours = outputs.logits | {
        f"{side}_reconstruction": getattr(model, side).reconstruct(r_BD)
        for side, r_BD in outputs.representations.items()
    }
    theirs = golden("vavl")
    return {name: (x, theirs[f"{layout}_{name}"]) for name, x in ours.items()}


def uavm() -> Pairs:
    """Two specific and two shared blocks."""
    sizes = {"width": 32, "heads": 4, "specific_layers": 2, "shared_layers": 2, "length": 10}
    model = seed_weights(build_model("uavm", audio_dim=12, visual_dim=14, outputs=6, **sizes)).eval()
    outputs = model(whole(seeded_input(3, 10, 12, seed=1), seeded_input(3, 10, 14, seed=2)))
    return {side: (outputs.logits[side], theirs) for side, theirs in golden("uavm").items()}


CASES: dict[str, Callable[[], Pairs]] = {
    "AuxFormer e9a9e0c, causal": lambda: auxformer("causal"),
    "AuxFormer e9a9e0c, mask off": lambda: auxformer("open"),
    "MulT a670936": mult,
    "sooftware/conformer b4e7d44": conformer,
    "VAVL c128439": lambda: vavl("released"),
    "VAVL c128439, (batch, time)": lambda: vavl("corrected"),
    "UAVM b3120c7": uavm,
}


@torch.no_grad()
def compared(case: str) -> Pairs:
    """The outputs of a case."""
    return CASES[case]()


def gap(pairs: Pairs) -> float:
    """Largest absolute difference; NaN if anything is."""
    return float(torch.stack([(ours - theirs).abs().max() for ours, theirs in pairs.values()]).max())
