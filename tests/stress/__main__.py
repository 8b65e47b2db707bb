"""`make stress`: run everything, print the counts, write docs/reliability.md; exit code 1 if anything was violated."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stress import attacks, changes, fuzz, kinds, races, rot
from stress.arena import REPOSITORY
from stress.kill_extraction import kill_extraction
from stress.kill_report import kill_report
from stress.kill_training import kill_training
from stress.kill_workflow import kill_workflow
from stress.page import write_section
from stress.scale import scale
from stress.tally import Tally

Stage = Callable[[Path, random.Random, float], Tally]

STAGES: dict[str, Stage] = {
    "kills of extraction": lambda folder, g, size: kill_extraction(folder, round(45 * size), g),
    "kills of training": lambda folder, g, size: kill_training(folder, round(30 * size), g),
    "kills of the report": lambda folder, g, size: kill_report(folder, round(20 * size), g),
    "kills of the workflow": lambda folder, g, size: kill_workflow(folder, round(8 * size), g),
    "corruptions": lambda folder, g, size: rot.corrupt(folder, round(6 * size), g),
    "two writers": lambda folder, g, size: races.two_runs(folder, round(10 * size), g),
    "readers during writing": lambda folder, _, size: races.readers(folder, 20 * size),
    "leases among machines": lambda folder, _, size: races.machines(folder, 30 * size),
    "attacks": lambda folder, g, size: attacks.attack(folder, size, g),
    "fuzz": lambda folder, g, size: fuzz.tallied(folder, round(104_000 * size), g.randrange(2**32)),
    "what a change computes": lambda folder, _, __: changes.measure(folder),
    "scale": lambda folder, _, size: scale(folder, size),
}


def main() -> int:
    """Run the named stages, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", default=list(STAGES), help=f"of: {', '.join(STAGES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=float, default=1.0, help="share of the full number of cases")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "reliability.md")
    asked = parser.parse_args()
    if asked.size >= 1 and list(asked.stages) == list(STAGES):
        asked.out.unlink(missing_ok=True)
    violated = 0
    # A shell lets its background jobs ignore Ctrl-C, and with them all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _keep_bytecode()
    for name in asked.stages:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="avemo-stress-") as folder:
            tally = STAGES[name](Path(folder) / "arena", random.Random(f"{asked.seed} {name}"), asked.size)
        violated += len(tally.violations)
        counts = dict(tally) | {
            "violations": len(tally.violations),
            "seconds": round(time.monotonic() - begin),
        }
        print(f"\n== {name}", *(f"{value:>8} {what}" for what, value in counts.items()), sep="\n", flush=True)
        print(*(f"VIOLATED {what[:500]}" for what in tally.violations), sep="\n", flush=True)
        write_section(asked.out, name, counts, tally.table)
    write_section(asked.out, kinds.SECTION, {"kinds": len(kinds.KINDS)}, kinds.table())
    return 1 if violated else 0


def _keep_bytecode() -> None:
    """Hundreds of processes start here; where Python may not write beside the sources, they compile them once."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / "avemo-bytecode"))


if __name__ == "__main__":
    sys.exit(main())
