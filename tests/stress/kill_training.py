"""Kill ``avemo train`` at random moments: what is resumed must end with the bytes of what was never disturbed."""

from __future__ import annotations

import csv
import random
import shutil
import time
from pathlib import Path
from typing import Any

from avemo.training.checkpoint import load_checkpoint
from stress.arena import TINY, Arena
from stress.by_hand import ByHand
from stress.deaths import after, deaths, moment, strike
from stress.tally import Tally

COMPARED = ("model.safetensors", "predictions.parquet", "scores.csv")


class Training:
    """A tiny system on one split of a small corpus, to be trained into folders of any name."""

    def __init__(self, folder: Path, clips: int, epochs: int):
        self.folder = folder
        self.arena = Arena(
            folder,
            clips=clips,
            shards=1,
            systems={"mult": TINY},
            training={"epochs": epochs, "batch_size": 8, "device": "cpu", "checkpoint_s": 0},
            splits={"n": 1, "dev": 0.25, "test": 0.25},
        )
        self.hand = ByHand(self.arena)
        self.hand.prepare()
        begin = time.monotonic()
        self.arena.avemo(*self.command("undisturbed"))
        self.lasts_s = time.monotonic() - begin
        self.expected = self.outcome("undisturbed")

    def command(self, name: str) -> list[str]:
        """What trains it."""
        return self.hand.train("mult", "split00", Path(name) / "resume", Path(name) / COMPARED[0])

    def outcome(self, name: str) -> dict[str, bytes]:
        """The model's file, and its predictions and scores, which this makes."""
        model, predictions, scores = (Path(name) / file for file in COMPARED)
        self.hand.evaluate("mult", predictions, scores, [model])
        return {file: (self.folder / name / file).read_bytes() for file in COMPARED}

    def kept(self, name: str) -> list[dict[str, Any]]:
        """The epochs in the checkpoint, which must open; none without one."""
        found = load_checkpoint(self.folder / name / "resume")
        return found[1]["history"] if found else []

    def finish(self, name: str, kept: list[dict[str, Any]], tally: Tally) -> None:
        """Run to the end and compare; the epochs kept by a checkpoint must be those, not made again."""
        if not (self.folder / name / COMPARED[0]).exists():
            self.arena.avemo(*self.command(name))
        with (self.folder / name / "history.csv").open(newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        again = seconds[: len(kept)] != [row["seconds"] for row in kept]
        tally.expect(not again, f"some of {len(kept)} kept epochs were trained again")
        outcome = self.outcome(name)
        other = [file for file in outcome if outcome[file] != self.expected[file]]
        tally.expect(not other, f"resumed from {len(kept)} epochs: other bytes in {', '.join(other)}")
        tally["trainings resumed and equal byte for byte"] += not other and bool(kept)
        tally["trainings begun anew and equal byte for byte"] += not other and not kept
        shutil.rmtree(self.folder / name)


def kill_training(folder: Path, kills: int, generator: random.Random, epochs: int = 12) -> Tally:
    """Kill the training again and again; finish it, compare, begin anew."""
    tally, run = Tally(), Training(folder, clips=48, epochs=epochs)
    kept: list[dict[str, Any]] = []
    for how in deaths(kills, generator, tally):
        process = run.arena.start(*run.command("killed"))
        died = strike(process, how, after(moment(how, generator) * run.lasts_s), generator, tally)
        tally[how] += died
        done = (folder / "killed" / COMPARED[0]).exists()
        if not done:
            now = run.kept("killed")
            tally.expect(now[: len(kept)] == kept, f"{how}: epochs lost or made again, {len(kept)} were kept")
            tally["epochs lost"] += max(0, len(kept) - len(now))
            kept = now
        if done or generator.random() < 0.25:
            run.finish("killed", kept, tally)
            kept = []
    if kept:
        run.finish("killed", kept, tally)
    return tally
