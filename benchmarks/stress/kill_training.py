"""Kill ``avemo train`` at random moments: what is resumed must end with the bytes of what was never disturbed."""

from __future__ import annotations

import csv
import random
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.stress.arena import TINY, Arena
from benchmarks.stress.deaths import after, deaths, strike
from benchmarks.stress.tally import Tally
from pipeline.training.checkpoint import load_checkpoint


class Training:
    """A tiny system on one split of a small corpus, to be trained into folders of any name."""

    def __init__(self, folder: Path, clips: int, epochs: int):
        self.folder = folder
        self.arena = Arena(
            folder,
            clips=clips,
            shards=1,
            systems={"mult": TINY},
            training={"epochs": epochs, "batch_size": 8, "device": "cpu"},
            splits={"n": 1, "dev": 0.25, "test": 0.25},
        )
        labels, splits = "results/stress/data/labels.parquet", "results/stress/data/splits.json"
        self.arena.snakemake("features", labels, splits)
        (manifest,) = self.arena.cache.glob("compare_lld-*/manifest.json")
        self.inputs = ("--labels", labels, "--splits", splits, "--audio", str(manifest))
        self.cfg = self.arena.part("mult")
        begin = time.monotonic()
        self.arena.avemo(*self.command("undisturbed"))
        self.lasts_s = time.monotonic() - begin
        self.expected = self.outcome("undisturbed")

    def command(self, name: str) -> list[str]:
        """What trains it."""
        place = ("--resume", f"{name}/resume", "--out", f"{name}/model.safetensors")
        return ["train", "--cfg", self.cfg, "--system", "mult", "--split", "split00", *self.inputs, *place]

    def outcome(self, name: str) -> dict[str, bytes]:
        """The model's file, and its predictions and scores, which this makes."""
        made = ("--predictions", f"{name}/predictions.parquet", "--scores", f"{name}/scores.csv")
        self.arena.avemo("evaluate", "--system", "mult", *self.inputs, *made, f"{name}/model.safetensors")
        names = ("model.safetensors", "predictions.parquet", "scores.csv")
        return {file: (self.folder / name / file).read_bytes() for file in names}

    def kept(self, name: str) -> list[dict[str, Any]]:
        """The epochs in the checkpoint, which must open; none without one."""
        found = load_checkpoint(self.folder / name / "resume")
        return found[1]["history"] if found else []

    def finish(self, name: str, tally: Tally) -> None:
        """Run to the end and compare; epochs that a checkpoint had must be those, not made again."""
        kept = self.kept(name)
        self.arena.avemo(*self.command(name))
        with (self.folder / name / "history.csv").open(newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        tally.expect(seconds[: len(kept)] == [row["seconds"] for row in kept], "epochs were trained again")
        outcome = self.outcome(name)
        other = [file for file in outcome if outcome[file] != self.expected[file]]
        tally.expect(not other, f"resumed from {len(kept)} epochs: other bytes in {', '.join(other)}")
        tally[
            "resumed and equal byte for byte" if kept else "begun anew and equal byte for byte"
        ] += not other
        shutil.rmtree(self.folder / name)


def kill_training(folder: Path, kills: int, generator: random.Random, epochs: int = 60) -> Tally:
    """Kill the training again and again; finish it, compare, begin anew."""
    tally, run = Tally(), Training(folder, clips=64, epochs=epochs)
    for how in deaths(kills, generator, tally):
        before = len(run.kept("killed"))
        process = run.arena.start(*run.command("killed"))
        died = strike(process, how, after(generator.uniform(0, run.lasts_s)), generator)
        tally[how] += died
        if died:
            now = len(run.kept("killed"))
            tally.expect(now >= before, f"{how}: {before - now} epochs lost")
            tally["epochs lost"] += max(0, before - now)
        if not died or generator.random() < 0.25:
            run.finish("killed", tally)
    if (folder / "killed").exists():
        run.finish("killed", tally)
    return tally
