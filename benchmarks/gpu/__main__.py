"""`make gpu`: checks and measurements in order of worth; a stage that would not end in time is skipped, and said so.

Results are written after each stage: gpu.json and gpu.md in ``--out``. ``--tiny`` runs every stage in small, on a CPU too.
"""

from __future__ import annotations

import argparse
import faulthandler
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from benchmarks.gpu import agreement, ceilings, extraction, feeding, throughput, training
from benchmarks.gpu.kit import Kit, OutOfTime
from benchmarks.gpu.sample import made

from avemo.synthetic.demo_config import DemoConfig

BUDGET_S = 455.0
GRACE_S = 20.0
"""After the budget, until a stage that hangs is ended with the program."""
OVERRUN = 2.0
"""Times its seconds after which a stage ends with what it has, that those behind it have their turn."""
CLIPS = 24


class Stage(NamedTuple):
    """``seconds`` it may take on a GPU."""

    name: str
    seconds: float
    work: Callable[[Kit], None]


STAGES = (
    Stage("ceilings", 15, ceilings.ceilings),
    Stage("extractors", 60, agreement.extractors),
    Stage("systems", 40, agreement.systems),
    Stage("training", 90, training.training),
    Stage("extraction", 120, extraction.extraction),
    Stage("throughput", 60, throughput.throughput),
    Stage("feeding", 25, feeding.feeding),
    Stage("several processes", 40, training.processes),
    Stage("compiled", 90, training.compiled),
)


def main(arguments: list[str] | None = None) -> None:
    """Run the stages; exit code 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of gpu.json and gpu.md (docs)")
    parser.add_argument(
        "--clips", type=Path, default=Path(".gpu/sample"), help="drawn clips; made where they lack"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help=f"seconds in all ({BUDGET_S:g})")
    parser.add_argument("--only", nargs="*", default=[stage.name for stage in STAGES], help="stages")
    parser.add_argument("--tiny", action="store_true", help="see that all stages work; measures nothing")
    asked = parser.parse_args(arguments)
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit(
            "expected a GPU, found none; --device cpu --tiny --out FOLDER tries the stages without one"
        )
    kit = Kit(asked.device, asked.out, asked.tiny)
    small = DemoConfig(actors=1, seconds=0.7, size_px=96, fps=15, jobs=1)
    kit.clips = made(asked.clips, 1, small) if asked.tiny else made(asked.clips, CLIPS)
    faulthandler.dump_traceback_later(asked.budget + GRACE_S, exit=True)
    run([stage for stage in STAGES if stage.name in asked.only], kit, asked.budget)
    faulthandler.cancel_dump_traceback_later()
    failed = [check for check in kit.checks if not check.ok]
    print(f"{len(kit.checks) - len(failed)} hold, {len(failed)} do not, {kit.elapsed_s:.0f} s")
    sys.exit(bool(failed))


def run(stages: list[Stage], kit: Kit, budget_s: float) -> None:
    """The stages in turn, as far as time allows; one that fails does not end the others."""
    seconds: dict[str, str] = {}
    for stage in stages:
        left_s = budget_s - kit.elapsed_s
        begin_s = kit.elapsed_s
        print(f"\n== {stage.name}, at {begin_s:.0f} s", flush=True)
        if stage.seconds > left_s:
            seconds[stage.name] = (
                f"skipped: may take {stage.seconds:.0f} s, {max(0.0, left_s):.0f} s were left"
            )
            print(seconds[stage.name], flush=True)
        else:
            kit.until_s = budget_s if kit.tiny else min(budget_s, begin_s + OVERRUN * stage.seconds)
            cut = ""
            try:
                with kit.trying(f"stage {stage.name}"):
                    stage.work(kit)
            except OutOfTime:
                cut = ", cut short: time was up"
            seconds[stage.name] = f"{kit.elapsed_s - begin_s:.1f} s{cut}"
        kit.until_s = math.inf
        kit.keep("stages", seconds)


if __name__ == "__main__":
    main()
