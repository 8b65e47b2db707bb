"""What the machine gives at most: operations, bytes, launches a second."""

from __future__ import annotations

import os

import torch
from benchmarks.gpu.kit import Kit

from avemo.base.arithmetic import Precision, arithmetic, dtype_of

PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")


def ceilings(kit: Kit) -> None:
    """Products, copies on the device and to it, and what a kernel's launch costs."""
    side, floats, launches = (256, 1 << 18, 20) if kit.tiny else (8192, 1 << 29, 1000)
    found: dict[str, object] = {"torch": torch.__version__, "cores": os.cpu_count(), "device": kit.device}
    if kit.tiny:
        found["tiny"] = True
    if kit.cuda:
        found["device"] = torch.cuda.get_device_name()
        found["memory, GB"] = torch.cuda.mem_get_info()[1] / 1e9
    # What is measured counts for this device, whatever fails from here on.
    kit.keep("ceilings", found)
    x = torch.empty(floats, device=kit.device)
    y = torch.empty_like(x)
    found["copy, TB/s"] = 2 * x.nbytes / kit.median_s(lambda: y.copy_(x)) / 1e12
    host = torch.empty(floats // 8)
    found["upload, GB/s"] = host.nbytes / kit.median_s(lambda: host.to(kit.device, copy=True)) / 1e9
    if kit.cuda:
        pinned = host.pin_memory()
        upload_s = kit.median_s(lambda: pinned.to(kit.device, non_blocking=True))
        found["upload from pinned memory, GB/s"] = host.nbytes / upload_s / 1e9
    for precision in PRECISIONS:
        a, b = torch.randn(2, side, side, device=kit.device).to(dtype_of(precision))
        with arithmetic(precision):
            found[f"product in {precision}, TFLOP/s"] = peak(kit, a, b)
    one = torch.zeros(1, device=kit.device)

    def launch() -> None:
        for _ in range(launches):
            one.add_(1)

    found["launch, µs"] = 1e6 * kit.median_s(launch, repeats=5) / launches
    kit.keep("ceilings", found)


def peak(kit: Kit, a: torch.Tensor, b: torch.Tensor) -> float:
    """Operations a second of a product of two square matrices, in units of 1e12."""
    return 2 * len(a) ** 3 / kit.median_s(lambda: a @ b) / 1e12
