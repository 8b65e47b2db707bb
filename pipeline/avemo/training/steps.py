"""What one mini-batch does to the weights. Names stand in `avemo.training.STEPS`.

A step takes the run, a batch and where the run is (for error messages); it
updates the weights and returns the loss terms, the sum of all it trained on
as ``total``. A batch that holds nothing to train on changes nothing and
returns no terms. A loss or gradient that is not finite raises `AvemoError`
(`avemo.training.watch`), on a CPU before the update, so that the weights stay good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from avemo.base.contracts import AvemoError
from avemo.base.devices import sent
from avemo.dataset.batch import Batch
from avemo.models.base import System
from avemo.training.losses import total
from avemo.training.seeding import seed_of
from avemo.training.state import RunState
from avemo.training.watch import told

Told = dict[str, float | Tensor]
"""Loss terms by name; on a GPU still there, so that nobody waits for them."""
DropScope = Literal["batch", "clip", "independent"]


def joint(run: RunState, batch: Batch, place: str) -> Told:
    """One update of all weights from all losses."""
    try:
        terms = _terms(run, batch)
        _update(run, terms["total"], batch, place)
    except (AvemoError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if run.compiled is None:
            raise
        # Compiling fails before the update; if it was not that, the pass as it is fails too.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"{place}: passes are not compiled from here on, as that fails: {reason}", flush=True)
        run.compiled = None
        return joint(run, batch, place)
    return {name: told(term) for name, term in terms.items()}


def alternating(run: RunState, batch: Batch, place: str) -> Told:
    """One update a head, each of its own part of the model (VAVL, section 3.4).

    Audio updates its own modules and the shared ones, then the visual head likewise, then the
    audio-visual head updates its own with all others frozen and in evaluation mode. Adam keeps
    moments and step counts per weight and skips weights without gradient, so one optimiser does
    what the released code's one per module does. A head is trained on the batch's clips that
    have its modalities, and skipped if there are none.
    """
    parts = run.model.parts()
    order = sorted(parts, key=["visual", "audio", "av"].index) if run.config.visual_first else parts
    found: Told = {}
    for head in order:
        own = batch.select(having(batch, head))
        if not len(own):
            continue
        with training_only(run.model, parts[head]):
            terms = _terms(run, own, head)
            _update(run, terms.pop("total"), own, f"{place}, {head} step")
        found |= {_term(head, name): told(term) for name, term in terms.items()}
    return found | ({"total": sum(found.values())} if found else {})


def sampled(run: RunState, batch: Batch, place: str) -> Told:
    """One update from heads drawn uniformly: one for the mini-batch (co-learning, UAVM), or one a clip; or all.

    Each head's loss counts by its share of the clips. Clips that lack the modalities of
    the head drawn for them are left out.
    """
    heads = list(run.model.parts())
    draws = len(batch) if run.config.sampling == "clip" else 1
    drawn_B = torch.randint(len(heads), (draws,), generator=run.generators.drop).expand(len(batch))
    if run.config.sampling == "all":
        own = {head: having(batch, head) for head in heads}
    else:
        own = {head: having(batch, head) & (drawn_B == i) for i, head in enumerate(heads)}
    clips = sum(int(keep_B.sum()) for keep_B in own.values())
    losses: dict[str, Tensor] = {}
    for head, keep_B in own.items():
        if part := batch.select(keep_B) if keep_B.any() else None:
            terms = _terms(run, part, head)
            losses |= {_term(head, n): len(part) / clips * t for n, t in terms.items() if n != "total"}
    if not losses:
        return {}
    losses["total"] = torch.stack(list(losses.values())).sum()
    _update(run, losses["total"], batch, place)
    return {name: told(term) for name, term in losses.items()}


def having(batch: Batch, head: str) -> Tensor:
    """Which clips ``(B,)`` have the modalities that ``head`` needs; on the CPU."""
    needed = {modality: batch.known(f"has_{modality}_B") for modality in ("audio", "visual")}
    return needed.get(head, needed["audio"] & needed["visual"])


@contextmanager
def training_only(model: System, modules: Sequence[nn.Module]) -> Iterator[None]:
    """``modules`` in training mode; all else in evaluation mode (no dropout, buffers fixed) and frozen."""
    chosen = {id(weights) for module in modules for weights in module.parameters()}
    frozen = [w for w in model.parameters() if w.requires_grad and id(w) not in chosen]
    model.eval()
    for module in modules:
        module.train()
    for weights in frozen:
        weights.requires_grad_(False)
    try:
        yield
    finally:
        for weights in frozen:
            weights.requires_grad_(True)
        model.train()


def drop_modality(
    batch: Batch, probability: float, generator: torch.Generator, scope: DropScope = "batch"
) -> Batch:
    """Zero the sound if r < p, the faces if p ≤ r < 2p, with r ~ U[0, 1).

    One r a batch (AuxFormer's code), or one a clip; ``independent``: a clip loses each modality by
    an r < p of its own, so that p² of them lose both.
    """
    draws_N = torch.rand(1 if scope == "batch" else len(batch), generator=generator)
    deaf_N, blind_N = draws_N < probability, (draws_N >= probability) & (draws_N < 2 * probability)
    if scope == "independent":
        blind_N = torch.rand(len(batch), generator=generator) < probability
    for modality, lost_N in (("audio", deaf_N), ("visual", blind_N)):
        if lost_N.any():
            batch = batch.without(modality, lost_N.expand(len(batch)))
    return batch


def ablate_visual(batch: Batch, clips: float, frames: float, generator: torch.Generator) -> Batch:
    """Take the faces of clips, and single face frames, with these probabilities; who has no sound keeps its faces.

    A frame that is lost is zeros and still counts as real. Nothing is drawn where both are 0.
    """
    if clips:
        lost_B = torch.rand(len(batch), generator=generator) < clips
        batch = batch.without("visual", lost_B & batch.known("has_audio_B"))
    if frames:
        lost_BT = torch.rand(batch.visual_mask_BT.shape, generator=generator) < frames
        kept_BT = ~(lost_BT & batch.known("has_audio_B")[:, None])
        kept_BT1 = sent(kept_BT[:, :, None], batch.visual_BTD.device)
        batch = replace(batch, visual_BTD=batch.visual_BTD * kept_BT1)
    return batch


def unpair(batch: Batch, share: float, seed: int) -> Batch:
    """Take the sound of half of ``share`` of the clips, and the faces of the other half.

    A clip's lot depends on its id and ``seed`` alone. What would be left with nothing keeps what it has.
    """
    if not share:
        return batch
    lots_B = torch.tensor([seed_of(seed, clip_id, "unpaired") / 2**63 for clip_id in batch.clip_ids])
    both_B = having(batch, "av")
    deaf_B, blind_B = lots_B < share / 2, (lots_B >= share / 2) & (lots_B < share)
    return batch.without("audio", deaf_B & both_B).without("visual", blind_B & both_B)


def _terms(run: RunState, batch: Batch, head: str | None = None) -> dict[str, Tensor]:
    """Loss terms of a pass through all of the model or through one head, at the run's precision."""
    low = run.config.precision == "bfloat16"
    with torch.autocast(run.device.type, torch.bfloat16, enabled=low):
        if run.compiled is not None and head is None and len(batch) == run.config.batch_size:
            outputs = run.compiled(batch)
        elif head is None:
            outputs = run.model(batch, run.generators.noise)
        else:
            outputs = run.model.forward_only(head, batch, run.generators.noise)
    if low:
        outputs.logits = {name: logits_BC.float() for name, logits_BC in outputs.logits.items()}
    return total(outputs, batch, run.criterion)


def _term(head: str, name: str) -> str:
    return head if name == "supervised" else f"{head}_{name}"


def _update(run: RunState, loss: Tensor, batch: Batch, place: str) -> None:
    run.optimizer.zero_grad(set_to_none=True)
    run.watch.require_finite(loss, "loss", batch.clip_ids, place)
    loss.backward()
    norm = clip_grad_norm_(run.model.parameters(), run.config.clip_norm or torch.inf)
    run.watch.require_finite(norm, "gradient norm", batch.clip_ids, place)
    run.optimizer.step()
