"""What the stages share: the device, timing that waits for it, and results that are written after each stage."""

from __future__ import annotations

import gc
import json
import math
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avemo.base.atomic import aside

CLIPS, CLIP_S, FPS = 7442, 2.54, 30
"""CREMA-D: clips, their mean length, pictures a second."""
FRAMES = round(CLIPS * CLIP_S * FPS)
DIMS, LONGEST = (130, 4096), (311, 150)
"""AV-Ladder's sound and faces: numbers of a frame, and frames of CREMA-D's longest clip, of 5 s."""


class OutOfTime(Exception):
    """A stage has used up its time; what it has kept stays."""


@dataclass(frozen=True)
class Check:
    """Something that holds or does not."""

    what: str
    ok: bool
    detail: str = ""


@dataclass
class Kit:
    """One run: where it computes, whether only to see that all stages work (``tiny``), and what it has found."""

    device: str
    out: Path
    tiny: bool = False
    clips: list[Path] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    begun_s: float = field(default_factory=time.monotonic)
    until_s: float = math.inf
    """When the present stage has to end, as `elapsed_s` counts."""

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    @property
    def elapsed_s(self) -> float:
        """Since the kit was begun."""
        return time.monotonic() - self.begun_s

    def check(self, what: str, ok: bool, detail: str = "") -> None:
        """Note and print whether something holds."""
        self.checks.append(Check(what, bool(ok), detail))
        print("holds" if ok else "DOES NOT HOLD", what, detail, flush=True)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """A part whose failure is a check that does not hold, and keeps nothing else from being measured."""
        try:
            yield
        except OutOfTime:
            raise
        except Exception as error:
            traceback.print_exc()
            self.check(f"{what} ends", False, f"{type(error).__name__}: {error}"[:300])
        # After a kernel's fault a GPU refuses this too.
        with suppress(Exception):
            self.free()

    def keep(self, stage: str, value: Any) -> None:
        """Keep a stage's findings, and write all there is: whatever ends the run, they are there.

        Raises `OutOfTime` when that is done and the stage's time is up.
        """
        self.found[stage] = value
        self.found["checks"] = [vars(check) for check in self.checks]
        self.out.mkdir(parents=True, exist_ok=True)
        with aside(self.out / "gpu.json") as temporary:
            temporary.write_text(json.dumps(self.found, indent=1) + "\n")
        from benchmarks.gpu.page import page

        with aside(self.out / "gpu.md") as temporary:
            temporary.write_text(page(self.found))
        if self.elapsed_s > self.until_s:
            raise OutOfTime(stage)

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize()

    def median_s(
        self, work: Callable[[], Any], *, warm: int = 3, repeats: int = 10, most_s: float = 4.0
    ) -> float:
        """Median seconds of ``work``, the device's part included; fewer repeats after ``most_s``."""
        if self.tiny:
            warm, repeats = 1, 1
        for _ in range(warm):
            work()
        self.wait()
        found, end_s = [], time.perf_counter() + most_s
        for _ in range(repeats):
            begin = time.perf_counter()
            work()
            self.wait()
            found.append(time.perf_counter() - begin)
            if time.perf_counter() > end_s:
                break
        return statistics.median(found)

    def peak_gb(self) -> dict[str, float]:
        """The most memory of a GPU that was held since `free`; nothing on a CPU."""
        return {"peak GB": torch.cuda.max_memory_reserved() / 1e9} if self.cuda else {}

    def free(self) -> None:
        """Give back what nothing refers to."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def relative(found: Any, expected: Any) -> float:
    """‖found − expected‖ / ‖expected‖; infinite where that is no number."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    ratio = float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-30))
    return ratio if np.isfinite(ratio) else float("inf")
