"""Where random numbers come from: one generator for each purpose, so that none disturbs another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

Built = TypeVar("Built")


def stream_of(split: str, system: str, common: bool) -> str:
    """Whose random numbers a training draws: the system's own on a split, or those that all systems draw there.

    >>> stream_of("split00", "mult", common=False), stream_of("split00", "mult", common=True)
    ('split00|mult', 'split00')
    """
    return split if common else f"{split}|{system}"


def seed_of(seed: int, stream: str, purpose: str) -> int:
    """A 63-bit seed for one purpose of one stream, unrelated to its neighbours'.

    >>> seed_of(0, "split00", "shuffle") == seed_of(0, "split00", "noise")
    False
    """
    text = f"{seed}|{stream}|{purpose}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def build_seeded(build: Callable[[], Built], seed: int, stream: str) -> Built:
    """``build()`` with initial weights that depend on seed and stream only; the caller's RNG is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, stream, "weights"))
        return build()


@dataclass
class Generators:
    """``shuffle`` orders the clips, ``drop`` drops modalities and draws heads, ``noise`` is the model's own."""

    shuffle: torch.Generator
    drop: torch.Generator
    noise: torch.Generator

    @classmethod
    def of(cls, seed: int, stream: str, device: torch.device) -> Generators:
        """Fresh generators; only ``noise`` lives on the model's device."""
        made = {
            field.name: torch.Generator(device if field.name == "noise" else "cpu") for field in fields(cls)
        }
        for purpose, generator in made.items():
            generator.manual_seed(seed_of(seed, stream, purpose))
        return cls(**made)


def seed_global(seed: int, stream: str) -> None:
    """Seed PyTorch's global RNG, which dropout draws from."""
    torch.manual_seed(seed_of(seed, stream, "dropout"))


def rng_state(generators: Generators, device: torch.device) -> dict[str, Tensor]:
    """Every generator's state, the global ones included, as uint8 tensors."""
    state = {field.name: getattr(generators, field.name).get_state() for field in fields(generators)}
    state["global"] = torch.get_rng_state()
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Tensor], generators: Generators, device: torch.device) -> None:
    """Put back what `rng_state` took."""
    for field in fields(generators):
        getattr(generators, field.name).set_state(state[field.name])
    torch.set_rng_state(state["global"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
