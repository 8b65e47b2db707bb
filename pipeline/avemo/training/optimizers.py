"""The optimisers of a training, by the name that a recipe gives them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
"""Methods that torch wraps for its compiler's sake."""


def uncompiled(optimizer: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """``optimizer`` without the wrappers whose first call imports torch's compiler.

    That import takes longer than the rest of a job's start, and no update is compiled.
    The arithmetic is torch's own.
    """
    methods: dict[str, Any] = {
        name: getattr(getattr(optimizer, name), "__wrapped__", getattr(optimizer, name)) for name in MARKED
    }
    step: Any = getattr(optimizer.step, "__wrapped__", optimizer.step)
    return type(optimizer.__name__, (optimizer,), methods | {"step": torch.no_grad()(step)})


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    # Fused: one pass over the weights instead of ten.
    "adam": partial(uncompiled(torch.optim.Adam), fused=True),
    "adamw": partial(uncompiled(torch.optim.AdamW), fused=True),
    "radam": uncompiled(torch.optim.RAdam),
}
