"""Make the golden outputs of AuxFormer and MulT from the public implementations, which are not part of this repository.

    python tests/models/golden/make_auxformer_mult.py AUXFORMER MULT

with checkouts of ilucasgoncalves/AuxFormer (e9a9e0c) and yaohungt/Multimodal-Transformer
(a670936). Our models get weights by seed; the maps below carry them over to the names of the
public modules, which then run on inputs by seed.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from make_vavl_uavm import HERE, Weights, both, load, under
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))

from avemo.models import build_model
from seeded_weights import seed_weights, seeded_input

BUFFERS = ("version", "embed_positions._float_tensor")


def encoder(w: Weights) -> Weights:
    """Ours to `TransformerEncoder`, which both repositories have; a scaled one has alphas."""
    out = both("norm", "layer_norm", w)
    for index in range(1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))):
        block, layer = under(f"blocks.{index}.", w), f"layers.{index}"
        out |= both("norm_attention", f"{layer}.layer_norms.0", block)
        out |= both("norm_ffn", f"{layer}.layer_norms.1", block)
        out |= both("ffn.0", f"{layer}.fc1", block) | both("ffn.3", f"{layer}.fc2", block)
        out |= both("attention.project_out", f"{layer}.self_attn.out_proj", block)
        for kind in ("weight", "bias"):
            out[f"{layer}.self_attn.in_proj_{kind}"] = block[f"attention.project_in.{kind}"]
        if "alpha" in block:
            out[f"{layer}.alpha"] = block["alpha"].reshape(1)
    return out


def convolution(weight: Tensor) -> Tensor:
    """A matrix as a kernel of one frame."""
    return weight.unsqueeze(-1)


def released_auxformer() -> dict[str, Tensor]:
    """At full size, three clips; one ends in zero frames, as padded ones do. With and without the causal mask."""
    from src.models import AUXFORMER

    ours = build_model("auxformer", audio_dim=130, visual_dim=4096, outputs=6, as_published_code=True)
    w = seed_weights(ours).state_dict()
    mapped = {"conv_1d_v.weight": convolution(w["project_visual.weight"])}
    places = {
        "aux_audio.encoder": "a_mem",
        "aux_visual.encoder": "v_mem",
        "self_audio.encoder": "trans_a_mem",
        "self_visual.encoder": "trans_v_mem",
        "cross_audio": "trans_a_with_v",
        "cross_visual": "trans_v_with_a",
    }
    for own, place in places.items():
        mapped |= {f"{place}.{name}": x for name, x in encoder(under(f"{own}.", w)).items()}
    for own, place in (("0", "1"), ("3", "2"), ("6", "3")):
        mapped |= both(f"aux_head_audio.layers.{own}", f"proj_aux{place}", w)
    mapped |= both("aux_head_audio.out", "out_layer_aux", w) | both("head.out", "out_layer", w)
    mapped |= both("head.hidden1", "proj1", w) | both("head.hidden2", "proj2", w)
    out = {}
    for causal in (True, False):
        args = Namespace(num_heads=10, layers=5, attn_mask=causal, output_dim=6, a_dim=130, v_dim=4096)
        dropouts = {f"{place}_dropout": 0.1 for place in ("attn", "relu", "res", "out", "embed")}
        theirs = AUXFORMER(Namespace(**vars(args), **dropouts))
        load(theirs, mapped, tuple(f"{place}.{name}" for place in places.values() for name in BUFFERS))
        logits = theirs(padded(seeded_input(3, 11, 130, seed=1)), padded(seeded_input(3, 7, 4096, seed=2)))
        for head, logits_BC in zip(("av", "audio", "visual"), logits, strict=True):
            out[f"{'causal' if causal else 'open'}_{head}"] = logits_BC
    return out


def padded(x_BTD: Tensor) -> Tensor:
    """The last clip's last three frames set to zero."""
    x_BTD[-1, -3:] = 0
    return x_BTD


def released_mult() -> dict[str, Tensor]:
    """Two modalities put together from the public encoders as `MULTModel` does it with three."""
    from modules.transformer import TransformerEncoder

    ours = build_model("mult", audio_dim=130, visual_dim=256, outputs=6, as_published_code=True)
    w = seed_weights(ours).state_dict()
    encoders: dict[str, nn.Module] = {}
    for name in ("cross_audio", "cross_visual", "self_audio", "self_visual"):
        encoders[name] = TransformerEncoder(155, num_heads=5, layers=5, attn_mask=True)
        load(encoders[name], encoder(under(f"{name}.", w)), BUFFERS)
    inputs = {"audio": seeded_input(3, 11, 130, seed=1), "visual": seeded_input(3, 7, 256, seed=2)}
    frames = {}
    for side, x_BTF in inputs.items():
        kernel = convolution(w[f"project_{side}.weight"])
        frames[side] = F.conv1d(padded(x_BTF).transpose(1, 2), kernel).permute(2, 0, 1)
    out = {}
    for side, other in (("audio", "visual"), ("visual", "audio")):
        crossed = encoders[f"cross_{side}"](frames[side], frames[other], frames[other])
        out[f"self_{side}"] = encoders[f"self_{side}"](crossed)[-1]
    last = torch.cat([out["self_audio"], out["self_visual"]], dim=1)
    hidden = F.linear(F.relu(F.linear(last, *layer("hidden1", w))), *layer("hidden2", w)) + last
    return {"av": F.linear(hidden, *layer("out", w))}


def layer(name: str, w: Weights) -> tuple[Tensor, Tensor]:
    """Weight and bias."""
    return w[f"{name}.weight"], w[f"{name}.bias"]


def main() -> None:
    """Write one file a public implementation."""
    folders = sys.argv[1:]
    for folder, (name, job) in zip(
        folders, {"auxformer": released_auxformer, "mult": released_mult}.items(), strict=True
    ):
        sys.path.insert(0, folder)
        with torch.no_grad():
            outputs = job()
        np.savez(HERE / f"{name}.npz", **{key: x.numpy() for key, x in outputs.items()})
        sys.path.remove(folder)
        for loaded in [m for m in sys.modules if m.split(".")[0] in ("src", "modules")]:  # both bring them
            del sys.modules[loaded]


if __name__ == "__main__":
    main()
