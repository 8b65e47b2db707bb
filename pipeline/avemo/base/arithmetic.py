"""How exactly networks multiply, said by who runs one and not left to what a process or a library has set.

On a GPU float32 has two meanings: IEEE products, or TF32, whose factors are rounded to 10 bits before they are
multiplied. PyTorch's own defaults take the first for matrices and the second for convolutions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "tf32", "bfloat16"]
_HELD = threading.RLock()


def dtype_of(precision: Precision) -> torch.dtype:
    """The type of a network's weights and maps: TF32 is a way to multiply float32."""
    import torch

    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """cuDNN on and deterministic, float32 products and convolutions in TF32 only for ``tf32``; before and after
    the block whatever was set.

    The settings are the process': one thread has them at a time, and others wait at the block's head.
    cuDNN's attention stays out: it makes a plan for each length of its inputs, and clips have all lengths.
    Nothing here changes what a CPU computes, where ``tf32`` is float32.
    """
    from torch.backends import cuda, cudnn

    form = "tf32" if precision == "tf32" else "ieee"
    dnn: Any = cudnn
    settings: tuple[tuple[Any, str, object], ...] = (
        (dnn, "enabled", True),
        (dnn, "deterministic", True),
        (dnn, "benchmark", False),
    )
    with _HELD, ExitStack() as stack:
        for place, name, value in settings:
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        stack.callback(_multiply, *(part.fp32_precision for part in (dnn.conv, dnn.rnn, cuda.matmul)))
        _multiply(form, form, form)
        stack.callback(cuda.enable_cudnn_sdp, cuda.cudnn_sdp_enabled())
        cuda.enable_cudnn_sdp(False)
        yield


def _multiply(convolutions: str, recurrent: str, matrices: str) -> None:
    """Say how float32 is multiplied, in PyTorch's older settings too: where they disagree, who asks them (its compiler
    does) is refused an answer."""
    from torch.backends import cuda, cudnn

    dnn: Any = cudnn
    dnn.allow_tf32 = convolutions == recurrent == "tf32"
    cuda.matmul.allow_tf32 = matrices == "tf32"
    dnn.conv.fp32_precision, dnn.rnn.fp32_precision = convolutions, recurrent
    cuda.matmul.fp32_precision = matrices
