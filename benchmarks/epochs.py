"""How long the systems of a paper train at CREMA-D's shape, and what share of the machine's peak that is.

Random features of CREMA-D's longest clips, made in place. A step is all that training does to one mini-batch; on a
GPU, where there is one, also with many splits at once, each a process as the workflow starts them.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from benchmarks.peak import peak
from benchmarks.results import publish
from benchmarks.sides import CORES, Side, Work, race

CONFIG = Path("config/papers/av_ladder.yaml")
TRAIN_CLIPS, SPLITS = round(0.7 * 7442), 20
FRAMES, DIMS = (311, 75), (130, 4096)


def training(config: str, system: str, precision: str, device: str) -> Work:
    """Training steps of a system; each output the operations of a step in units of 1e9."""
    import torch
    from benchmarks.steps import CLASSES, fresh_run, random_batch
    from torch.utils.flop_counter import FlopCounterMode

    from avemo.models import build_model
    from avemo.training import STEPS

    part = systems(Path(config))[system]
    torch.manual_seed(0)
    dims = {"audio_dim": DIMS[0], "visual_dim": DIMS[1], "outputs": CLASSES}
    model = build_model(part["model"], **dims, **part.get("config", {}))
    run = fresh_run(model, **part["training"] | {"precision": precision, "device": device})
    batch = random_batch(FRAMES, DIMS, run.config.batch_size).to(run.device)
    step = STEPS.load(run.config.procedure)
    with FlopCounterMode(display=False) as counter:
        step(run, batch, "benchmark")

    def work(items):
        found = []
        for _ in items:
            step(run, batch, "benchmark")  # its last act reads the loss, so that a GPU has done by then
            found.append(counter.get_total_flops() / 1e9)
        return found

    return work


def systems(config: Path) -> dict[str, dict[str, Any]]:
    """The parts of a paper's systems, each with its whole schedule."""
    from avemo.study.config import read_config

    found = read_config(config)
    return {
        name: part | {"training": found["training"] | part.get("training", {})}
        for name, part in found["systems"].items()
    }


def main(arguments: list[str] | None = None) -> None:
    """A row a system, precision and number of splits at once."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", help="not used; every benchmark is given it")
    parser.add_argument("--config", type=Path, default=CONFIG, help=f"a paper's config (default {CONFIG})")
    parser.add_argument("--rounds", type=int, default=1, help="timed rounds of each (default 1)")
    asked = parser.parse_args(arguments)
    gpu = torch.cuda.is_available()
    device, precisions = ("cuda", ("float32", "bfloat16")) if gpu else ("cpu", ("float32",))
    peaks = {precision: peak(precision, device) for precision in precisions}
    rows = []
    for name, part in systems(asked.config).items():
        for precision in precisions:
            for together in (1, SPLITS) if gpu else (1,):
                work = (str(asked.config), name, precision, device)
                side = Side(training, work, processes=together, threads=1 if gpu else CORES)
                steps = together * (10 if gpu else 1)
                timing = race({"": side}, steps, asked.rounds)[""]
                rate, epochs = timing.seconds / steps, part["training"]["epochs"]
                epoch_s = rate * math.ceil(TRAIN_CLIPS / part["training"]["batch_size"])
                rows.append(
                    {
                        "system": name,
                        "precision": precision,
                        "splits at once": together,
                        "step, s": rate * together,
                        "epoch of all at once, s": epoch_s * together,
                        "GFLOP a step": timing.outputs[0],
                        "share of peak": f"{timing.outputs[0] / rate / peaks[precision]:.0%}",
                        f"{SPLITS} splits, h": epoch_s * epochs * SPLITS / 3600,
                    }
                )
                print(rows[-1], flush=True)
    told = ", ".join(f"{value:.0f} GFLOP/s in {precision}" for precision, value in peaks.items())
    publish(
        "epochs",
        f"Training the systems of `{asked.config}` at CREMA-D's shape: {TRAIN_CLIPS} train clips of {FRAMES[0]} x "
        f"{DIMS[0]} and {FRAMES[1]} x {DIMS[1]} numbers, steps alone (dev and start-up come on top). Peak: a large "
        f"matrix product or convolution by all cores or the GPU, {told}.",
        rows,
    )


if __name__ == "__main__":
    main()
