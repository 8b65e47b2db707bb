"""Random batches for models, and the same clips padded or alone."""

from __future__ import annotations

from dataclasses import replace

import torch

from avemo.dataset.batch import Batch

AUDIO_DIM, VISUAL_DIM, OUTPUTS, CLIPS = 6, 10, 4, 5


def random_batch(seed=0, clips=CLIPS, audio=20, visual=9, equal=False):
    """Clips of random lengths up to ``audio`` and ``visual`` frames, or all that long."""
    draw = torch.Generator().manual_seed(seed)
    lengths_audio = torch.randint(3, audio + 1, (clips, 1), generator=draw)
    lengths_visual = torch.randint(2, visual + 1, (clips, 1), generator=draw)
    audio_mask = torch.arange(audio) < (audio if equal else lengths_audio)
    visual_mask = torch.arange(visual) < (visual if equal else lengths_visual)
    audio_mask, visual_mask = (m.expand(clips, -1) for m in (audio_mask, visual_mask))
    return Batch(
        audio_BTD=torch.randn(clips, audio, AUDIO_DIM, generator=draw) * audio_mask[:, :, None],
        visual_BTD=torch.randn(clips, visual, VISUAL_DIM, generator=draw) * visual_mask[:, :, None],
        audio_mask_BT=audio_mask,
        visual_mask_BT=visual_mask,
        targets=torch.randint(0, OUTPUTS, (clips,), generator=draw),
        clip_ids=[f"clip{row}" for row in range(clips)],
    )


def pad(batch, frames):
    """``batch`` with ``frames`` more frames, marked unreal; rubbish there proves that nobody looks."""
    empty = torch.zeros(len(batch.targets), frames, dtype=torch.bool)

    def longer(x):
        return torch.cat([x, torch.full((len(x), frames, x.shape[2]), 7.0)], dim=1)

    return replace(
        batch,
        audio_BTD=longer(batch.audio_BTD),
        visual_BTD=longer(batch.visual_BTD),
        audio_mask_BT=torch.cat([batch.audio_mask_BT, empty], dim=1),
        visual_mask_BT=torch.cat([batch.visual_mask_BT, empty], dim=1),
    )


def row(batch, index):
    """One clip of ``batch`` without its padding."""
    audio, visual = int(batch.audio_mask_BT[index].sum()), int(batch.visual_mask_BT[index].sum())
    return Batch(
        audio_BTD=batch.audio_BTD[index : index + 1, :audio],
        visual_BTD=batch.visual_BTD[index : index + 1, :visual],
        audio_mask_BT=batch.audio_mask_BT[index : index + 1, :audio],
        visual_mask_BT=batch.visual_mask_BT[index : index + 1, :visual],
        targets=batch.targets[index : index + 1],
        clip_ids=batch.clip_ids[index : index + 1],
        has_audio_B=batch.has_audio_B[index : index + 1],
        has_visual_B=batch.has_visual_B[index : index + 1],
    )


def lacking(batch, audio=(), visual=()):
    """``batch`` whose rows ``audio`` have no sound and rows ``visual`` no faces: one zero frame, as `ClipData` pads."""
    changed = {}
    for name, rows in (("audio", list(audio)), ("visual", list(visual))):
        x, mask, has = (
            getattr(batch, field).clone() for field in (f"{name}_BTD", f"{name}_mask_BT", f"has_{name}_B")
        )
        x[rows], mask[rows], has[rows] = 0.0, False, False
        mask[rows, 0] = True
        changed |= {f"{name}_BTD": x, f"{name}_mask_BT": mask, f"has_{name}_B": has}
    return replace(batch, **changed)
