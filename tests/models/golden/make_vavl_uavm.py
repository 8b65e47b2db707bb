"""Make the golden outputs of this folder from the public implementations, which are not part of this repository.

    python tests/models/golden/make_vavl_uavm.py CONFORMER VAVL UAVM

with checkouts of sooftware/conformer (b4e7d44), ilucasgoncalves/VAVL (c128439) and
YuanGongND/uavm (b3120c7). Our models get weights by seed; the maps below carry them
over to the names of the public modules, which then run on inputs by seed.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))

from avemo.models import build_model
from avemo.models.conformer import Conformer, ConformerConfig
from seeded_weights import seed_weights, seeded_input

Weights = dict[str, Tensor]

HERE = Path(__file__).parent


def under(prefix: str, weights: Weights) -> Weights:
    """The weights below ``prefix``, without it."""
    return {name.removeprefix(prefix): x for name, x in weights.items() if name.startswith(prefix)}


def both(ours: str, theirs: str, weights: Weights) -> Weights:
    """Weight and bias (if any) of one layer under its other name."""
    return {f"{theirs}.{kind}": x for kind, x in under(f"{ours}.", weights).items()}


def conformer_block(w: Weights) -> Weights:
    """Ours to the layers of `ConformerBlock.sequential`."""
    out: Weights = {}
    for name, place in (("ffn_before", 0), ("ffn_after", 3)):
        stem = f"sequential.{place}.module.sequential"
        out |= both(f"{name}.0", f"{stem}.0", w)
        out |= both(f"{name}.1", f"{stem}.1.linear", w) | both(f"{name}.4", f"{stem}.4.linear", w)
    stem = "sequential.1.module"
    out |= both("attention.norm", f"{stem}.layer_norm", w)
    for kind in ("weight", "bias"):
        packed = w[f"attention.project_in.{kind}"].chunk(3)
        for part, x in zip(("query", "key", "value"), packed, strict=True):
            out[f"{stem}.attention.{part}_proj.linear.{kind}"] = x
    out |= both("attention.project_position", f"{stem}.attention.pos_proj.linear", w)
    out |= both("attention.project_out", f"{stem}.attention.out_proj.linear", w)
    out[f"{stem}.attention.u_bias"] = w["attention.content_bias"]
    out[f"{stem}.attention.v_bias"] = w["attention.position_bias"]
    stem = "sequential.2.module.sequential"
    out |= both("convolution.norm_in", f"{stem}.0", w) | both("convolution.norm", f"{stem}.5", w)
    for name, place in (("pointwise_in", 2), ("pointwise_out", 7)):
        out[f"{stem}.{place}.conv.weight"] = w[f"convolution.{name}.weight"].unsqueeze(-1)
        out[f"{stem}.{place}.conv.bias"] = w[f"convolution.{name}.bias"]
    out[f"{stem}.4.conv.weight"] = w["convolution.depthwise.weight"].squeeze(2)
    return out | both("norm", "sequential.4", w)


def conformer_stack(w: Weights) -> Weights:
    """Ours to `ConformerEncoder`'s input projection and layers."""
    out = both("project", "input_projection.0.linear", w)
    for place in sorted({name.split(".")[1] for name in w if name.startswith("blocks.")}):
        block = conformer_block(under(f"blocks.{place}.", w))
        out |= {f"layers.{place}.{name}": x for name, x in block.items()}
    return out


def load(module: torch.nn.Module, weights: Weights, unused: tuple[str, ...] = ()) -> None:
    """Load into a public module; whatever it needs beyond ``weights`` must be ``unused`` by its forward pass."""
    missing, unexpected = module.load_state_dict(weights, strict=False)
    left = [name for name in missing if not any(part in name for part in unused)]
    assert [*unexpected, *left] == []
    module.eval()


def upstream_conformer() -> dict[str, Tensor]:
    """Two blocks of width 64 on 3 x 21 frames."""
    from conformer.encoder import ConformerBlock

    ours = seed_weights(Conformer(ConformerConfig(width=64), 50, 2))
    x = ours.eval().project(seeded_input(3, 21, 50, seed=1))
    for place in range(2):
        theirs = ConformerBlock(encoder_dim=64, num_attention_heads=8)
        load(theirs, conformer_block(under(f"blocks.{place}.", ours.state_dict())))
        x = theirs(x)
    return {"y": x}


def released_vavl() -> dict[str, Tensor]:
    """The released modules at full size: three clips, 9 audio and 7 visual frames.

    ``released_*``: as they are. ``corrected_*``: with the encoders given (batch, time, dim).
    """
    import avmodel

    ours = build_model("vavl", audio_dim=1024, visual_dim=1408, outputs=6, as_published_code=True)
    weights = seed_weights(ours).state_dict()
    args = Namespace(output_num=6, out_dropout=0.2)
    unused = ("conv_subsample", "positional_encoding", "x_acoustic.fc", "x_visual.fc", "x_shared.fc")
    acoustic, visual, shared = (c(args) for c in (avmodel.Acoustic, avmodel.Visual, avmodel.Shared))
    for theirs, side, name in ((acoustic, "audio", "a"), (visual, "visual", "v")):
        encoder = under(f"{side}.encoder.", weights)
        stack = conformer_stack(under("conformer.", encoder))
        stem = "x_acoustic" if name == "a" else "x_visual"
        mapped = {f"{stem}.encoder.{key}": x for key, x in stack.items()}
        load(theirs, mapped | both("embed", f"conv_1d_{name}", encoder), unused)
    stack = conformer_stack(under("shared.conformer.", weights))
    mapped = {f"x_shared.encoder.{key}": x for key, x in stack.items()}
    load(shared, mapped | both("shared.norm", "layer_norm", weights), unused)
    heads = {
        "audio": (avmodel.MLP, "audio.head"),
        "visual": (avmodel.MLP, "visual.head"),
        "audio_reconstruction": (avmodel.MLP_reconst_a, "audio.reconstruct"),
        "visual_reconstruction": (avmodel.MLP_reconst_v, "visual.reconstruct"),
        "av": (avmodel.MultitaskFusion, "av"),
    }
    for name, (kind, stem) in heads.items():
        heads[name] = kind(args)
        layers = (("0", "projav1"), ("3", "projav2"), ("5", "out_layer"))
        load(heads[name], {k: x for o, t in layers for k, x in both(f"{stem}.{o}", t, weights).items()})
    inputs = {"audio": seeded_input(3, 9, 1024, seed=1), "visual": seeded_input(3, 7, 1408, seed=2)}
    out = {}
    for layout in ("released", "corrected"):
        r = {}
        for side, theirs in (("audio", acoustic), ("visual", visual)):
            r[side] = represent(theirs, shared, inputs[side], corrected=layout == "corrected")
            out[f"{layout}_{side}"] = heads[side](r[side])
            out[f"{layout}_{side}_reconstruction"] = heads[f"{side}_reconstruction"](r[side])
        out[f"{layout}_av"] = heads["av"](r["audio"], r["visual"])
    return out


def represent(branch: torch.nn.Module, shared: torch.nn.Module, x: Tensor, *, corrected: bool) -> Tensor:
    """r of one modality by the released modules, in their own layout or batch first."""
    if not corrected:
        return shared(branch(x))
    embed = branch.conv_1d_a if hasattr(branch, "conv_1d_a") else branch.conv_1d_v
    encoder = branch.x_acoustic if hasattr(branch, "x_acoustic") else branch.x_visual
    frames = encoder(embed(x.transpose(1, 2)).transpose(1, 2))
    return shared.layer_norm(shared.x_shared(frames) + frames).mean(1)


def released_uavm() -> dict[str, Tensor]:
    """Width 32, 4 heads, 2 + 2 blocks, 10 frames of 12-D audio and 14-D faces."""
    from mm_trans import UnifiedTrans

    sizes = {"width": 32, "heads": 4, "specific_layers": 2, "shared_layers": 2, "length": 10}
    ours = build_model("uavm", audio_dim=12, visual_dim=14, outputs=6, **sizes)
    weights = seed_weights(ours).state_dict()
    theirs = UnifiedTrans(32, 4, 2, 2, 6, 10, 10, 12, 14)
    mapped = both("head.0", "s_trans.mlp_head.0", weights) | both("head.1", "s_trans.mlp_head.1", weights)
    for side, stem in (("audio", "a_trans"), ("visual", "v_trans"), ("shared", "s_trans")):
        own = under(f"{side}.", weights)
        mapped |= both("norm", f"{stem}.in_layernorm", own) | both("project", f"{stem}.in_proj", own)
        mapped[f"{stem}.pos_embed"] = own["positions_TD"][None]
        mapped |= {f"{stem}.{name}": x for name, x in own.items() if name.startswith("blocks.")}
    load(theirs, mapped, ("a_trans.mlp_head", "v_trans.mlp_head", "s_trans.in_proj"))
    audio, visual = seeded_input(3, 10, 12, seed=1), seeded_input(3, 10, 14, seed=2)
    return {"audio": theirs(audio, "a"), "visual": theirs(visual, "v")}


def main() -> None:
    """Write one file a public implementation."""
    conformer, vavl, uavm = sys.argv[1:]
    jobs = {
        "conformer": ([conformer], upstream_conformer),
        "vavl": ([f"{vavl}/VAVL", f"{vavl}/VAVL/net"], released_vavl),
        "uavm": ([f"{uavm}/src/models"], released_uavm),
    }
    for name, (folders, job) in jobs.items():
        sys.path[:0] = folders
        with torch.no_grad():
            outputs = job()
        np.savez(HERE / f"{name}.npz", **{key: x.numpy() for key, x in outputs.items()})
        del sys.path[: len(folders)]
        for loaded in [m for m in sys.modules if m.split(".")[0] == "conformer"]:  # both bring one
            del sys.modules[loaded]


if __name__ == "__main__":
    main()
