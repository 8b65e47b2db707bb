"""Training steps of AV-Ladder's Table 1 at CREMA-D's longest shape: time, share of peak, memory, hours of the whole table."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from benchmarks.epochs import CONFIG, SPLITS, TRAIN_CLIPS
from benchmarks.epochs import systems as table_systems
from benchmarks.gpu.ceilings import PRECISIONS
from benchmarks.gpu.kit import CLIPS, DIMS, LONGEST, Kit
from benchmarks.gpu.processes import at_once
from benchmarks.steps import CLASSES, fresh_run, random_batch
from torch.utils.flop_counter import FlopCounterMode

from avemo.base.arithmetic import Precision, arithmetic
from avemo.dataset.batch import Batch
from avemo.models import build_model
from avemo.training import STEPS
from avemo.training import compiled as passes
from avemo.training.state import RunState

DEV_CLIPS = round(0.15 * CLIPS)


def prepared(part: dict[str, Any], device: str, precision: Precision, tiny: bool) -> tuple[RunState, Batch]:
    """A system before its first step, and a mini-batch of the longest clips."""
    torch.manual_seed(0)
    dims = {"audio_dim": DIMS[0], "visual_dim": DIMS[1], "outputs": CLASSES}
    model = build_model(part["model"], **dims, **(part.get("config", {}) | ({"layers": 1} if tiny else {})))
    run = fresh_run(model, **part["training"] | {"precision": precision, "device": device})
    clips, frames = (2, (24, 10)) if tiny else (run.config.batch_size, LONGEST)
    batch = random_batch(frames, DIMS, clips)
    # As batches of a data set are.
    batch.clip_ids, batch.whole = [f"clip{number}" for number in range(clips)], True
    run.model.train()
    return run, batch.to(run.device)


def steps_of(run: RunState, batch: Batch) -> Callable[[], Any]:
    """What training does to a mini-batch."""
    step = STEPS.load(run.config.procedure)

    def work() -> Any:
        with arithmetic(run.config.precision):
            return step(run, batch, "benchmark")

    return work


def training(kit: Kit) -> None:
    """A row a system and precision; and the hours that the table takes at each precision at which every system ran."""
    peaks = kit.found.get("ceilings", {})
    rows: list[dict[str, Any]] = []
    systems = table_systems(CONFIG)
    for name, part in systems.items():
        for precision in PRECISIONS:
            with kit.trying(f"training of {name} in {precision}"):
                rows.append({"system": name, "precision": precision} | measured(kit, part, precision, peaks))
                print(rows[-1], flush=True)
            kit.keep("training", rows)
    kit.keep("Table 1, hours of epochs in one process", table_hours(rows, len(systems)))


def table_hours(rows: Sequence[Mapping[str, Any]], systems: int) -> dict[str, float]:
    """Hours of all systems at each precision; none at one that a system lacks, whose sum would be too small."""
    hours: dict[str, float] = {}
    for precision in PRECISIONS:
        own = [row["Table 1, h"] for row in rows if row["precision"] == precision]
        hours |= {precision: sum(own)} if len(own) == systems else {}
    return hours


def measured(kit: Kit, part: dict[str, Any], precision: Precision, peaks: dict[str, Any]) -> dict[str, Any]:
    """One system's step."""
    kit.free()
    run, batch = prepared(part, kit.device, precision, kit.tiny)
    work = steps_of(run, batch)
    with FlopCounterMode(display=False) as counter:
        work()
    step_s = kit.median_s(work, warm=2, repeats=8, most_s=2.5)
    tflop = counter.get_total_flops() / 1e12
    row: dict[str, Any] = {"step, ms": 1e3 * step_s, "TFLOP a step": tflop}
    peak = peaks.get(f"product in {precision}, TFLOP/s")
    row["share of peak"] = tflop / step_s / peak if peak else None
    row |= kit.peak_gb()
    run.model.eval()
    with torch.no_grad(), arithmetic("float32"):
        evaluated_s = kit.median_s(lambda: run.model(batch), warm=1, repeats=5, most_s=1)
    batch_size, epochs = part["training"]["batch_size"], part["training"]["epochs"]
    epoch_s = step_s * math.ceil(TRAIN_CLIPS / batch_size)
    looks = 3 if run.config.dev_inputs == "each" and len(run.model.modalities) == 2 else 1
    epoch_s += evaluated_s * math.ceil(DEV_CLIPS / batch_size) * looks
    row |= {"evaluate a batch, ms": 1e3 * evaluated_s, "epoch, s": epoch_s}
    return row | {"Table 1, h": epoch_s * epochs * SPLITS / 3600}


def compiled(kit: Kit) -> None:
    """The table's systems as `training.compile` has them, and with CUDA graphs; a cold compilation may take a minute."""
    rows: list[dict[str, Any]] = []
    systems = table_systems(CONFIG)
    # On a CPU the graph is traced and run as it is: a compiler for CPUs would tell nothing of a GPU.
    backend = passes.BACKEND if kit.cuda else "eager"
    for name, mode in (("mult", None), ("av_ladder", None), ("auxformer", None), ("mult", "reduce-overhead")):
        if mode and not kit.cuda:
            continue
        run, batch = prepared(systems[name], kit.device, "float32" if kit.tiny else "bfloat16", kit.tiny)
        run.config = run.config.model_copy(update={"batch_size": len(batch)})
        run.compiled = passes.CompiledPass(run.model, mode, backend)
        work = steps_of(run, batch)
        begin = time.perf_counter()
        work()
        kit.wait()
        row: dict[str, Any] = {"system": name, "mode": mode or "default"}
        row |= {"compiling, s": time.perf_counter() - begin, "step, ms": 1e3 * kit.median_s(work, most_s=2.5)}
        rows.append(row | {"compiled": run.compiled is not None})
        if mode is None:
            kit.check(f"{name} is compiled", run.compiled is not None)
        kit.keep("compiled", rows)
        kit.free()


def processes(kit: Kit) -> None:
    """Steps a second of one training and of several that share the device, each a process as the workflow starts them."""
    rows: list[dict[str, Any]] = []
    for count in (1,) if kit.tiny else (1, 2, 4):
        found, _ = at_once(_train, [(kit.device, kit.tiny)] * count)
        rows.append({"trainings at once": count, "steps a second, all": sum(found)})
        print(rows[-1], flush=True)
        kit.keep("several processes", rows)


def _train(device: str, tiny: bool, gate: Any) -> float:
    torch.set_num_threads(1)
    run, batch = prepared(table_systems(CONFIG)["av_ladder"], device, "float32" if tiny else "bfloat16", tiny)
    work, kit = steps_of(run, batch), Kit(device, out=None, tiny=tiny)  # type: ignore[arg-type]
    work()
    kit.wait()
    gate.wait()
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < (0.2 if tiny else 4.0):
        work()
        done += 1
    kit.wait()
    return done / (time.perf_counter() - begin)
