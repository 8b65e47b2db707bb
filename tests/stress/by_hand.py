"""The workflow's commands one after the other in forked processes: what Snakemake would make, without its start-up."""

from __future__ import annotations

import json
from pathlib import Path

from avemo.study.layout import Layout
from avemo.study.run import Run
from stress.arena import Arena


class ByHand:
    """The one run of an arena; paths are relative to the arena's folder, as for Snakemake."""

    def __init__(self, arena: Arena):
        self.arena = arena
        self.run = Run.model_validate_json((arena.folder / arena.part("all")).read_bytes())
        self.layout = Layout(self.run)
        self.component = self.run.features["audio"].id
        self.audio = arena.part("audio")
        self.splits = self.run.split_names

    @property
    def inputs(self) -> tuple[str, ...]:
        """What training and evaluation read, as options."""
        files = {
            "labels": self.layout.labels,
            "splits": self.layout.splits,
            "audio": self.layout.manifest(self.component),
        }
        return tuple(word for name, path in files.items() for word in (f"--{name}", str(path)))

    def index(self) -> None:
        """The clip table."""
        cfg, hashes = self.arena.part("corpus"), str(self.layout.hashes)
        self.arena.avemo("corpus", "index", "--cfg", cfg, "--hashes", hashes, "--out", str(self.layout.index))

    def extract(self, shard: int = 0, out: Path | None = None, store: Path | None = None) -> list[str]:
        """The command that fills a shard, here or elsewhere."""
        store = store or self.layout.store(self.component, shard)
        out = out or self.layout.shard(self.component, shard)
        options = ("--cfg", self.audio, "--index", str(self.layout.index))
        which = ("--shard", str(shard), "--shards", str(self.run.corpus.shards))
        return ["extract", *options, *which, "--store", str(store), "--out", str(out)]

    def prepare(self) -> None:
        """All that comes before training."""
        avemo, layout = self.arena.avemo, self.layout
        self.index()
        shards = range(self.run.corpus.shards)
        for shard in shards:
            avemo(*self.extract(shard))
        files = [str(layout.shard(self.component, shard)) for shard in shards]
        manifest = str(layout.manifest(self.component))
        avemo("cache", "manifest", "--component", self.component, "--out", manifest, *files)
        labels = ("--cfg", self.arena.part("labels"), "--index", str(layout.index))
        avemo("corpus", "labels", *labels, "--out", str(layout.labels))
        cfg = self.run.splits.model_dump_json()
        avemo("splits", "--cfg", cfg, "--labels", str(layout.labels), "--out", str(layout.splits))

    def train(self, system: str, split: str, resume: Path, out: Path) -> list[str]:
        """The command that trains a system on a split."""
        what = ("--cfg", self.arena.part(system), "--system", system, "--split", split)
        return ["train", *what, *self.inputs, "--resume", str(resume), "--out", str(out)]

    def evaluate(self, system: str, predictions: Path, scores: Path, models: list[Path]) -> None:
        """A system's predictions and scores."""
        journal = ("--readings", str(self.layout.readings(system)))
        made = (*journal, "--predictions", str(predictions), "--scores", str(scores))
        self.arena.avemo("evaluate", "--system", system, *self.inputs, *made, *map(str, models))

    def score(self) -> None:
        """All that comes between splits and tables."""
        avemo, layout = self.arena.avemo, self.layout
        for system in self.run.systems:
            models = [layout.trained(system, split) / "model.safetensors" for split in self.splits]
            for split, model in zip(self.splits, models, strict=True):
                avemo(*self.train(system, split, layout.resume(system, split), model))
            self.evaluate(system, layout.predictions(system), layout.scores(system), models)
        sides = ("--labels", str(layout.labels), "--splits", str(layout.splits))
        baselines = str(layout.scores("baselines"))
        avemo("baselines", *sides, "--out", baselines)
        scores = [str(layout.scores(system)) for system in self.run.systems]
        cfg = self.run.tests.model_dump_json()
        given = ("--cfg", cfg, "--splits", str(layout.splits), "--baselines", baselines)
        avemo("tests", *given, "--out", str(layout.tests), *scores)
        manifest = str(layout.manifest(self.component))
        where = ("--index", str(layout.index), "--audio", manifest, "--out", str(layout.quality))
        avemo("cache", "quality", *where)
        avemo("record", "--cfg", json.dumps(self.run.record()), "--out", str(layout.config))
