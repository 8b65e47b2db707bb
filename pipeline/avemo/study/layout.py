"""Where everything lies: the one place that knows folder and file names.

::

    cache/<corpus>/index.parquet             the clip table
    cache/<corpus>/<component>/<shard>.h5    published shards: face tracks, kept crops, features
    cache/<corpus>/<component>/manifest.json their list and fingerprint
    cache/<corpus>/.store/<component>/<shard> what a shard job has computed so far
    cache/<corpus>/{logs,benchmarks}/...     of the jobs that fill the cache
    results/<run>/...                        labels, splits, trained systems, scores, tables, report
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from avemo.base.made_of import record_path
from avemo.study.run import Run

TABLES = (
    *("main", "tests", "missing_modality", "per_class", "speakers", "intervals", "costs"),
    *("clip_status", "failed_clips", "quality", "worst_clips", "labels_counts", "splits_balance"),
)
"""Names of a run's tables."""
TABLE_FORMS = (".csv", ".tex", ".html")
CONFIG, PAPER = "config.json", "paper.json"
"""What a run's folder and a paper's folder keep of their config."""
PAPER_PAGE = "paper.html"
ACROSS, ACROSS_PAGE = "across", "across.html"
"""Tables, figures and page of runs across corpora."""
MODEL, HISTORY, RECORD = "model.safetensors", "history.csv", "run.json"
"""What a training leaves in its folder."""
TRIAL = "trial.json"
"""What a trial of a search leaves in its folder, beside a folder for each split that it trained."""


def table_file(results: Path, name: str, form: str) -> Path:
    """A table of a run's or a paper's folder in one of `TABLE_FORMS`."""
    return results / "tables" / f"{name}{form}"


def figure_file(results: Path, name: str) -> Path:
    """A figure of a run's or a paper's folder."""
    return results / "figures" / f"{name}.svg"


def training_folder(results: Path, system: str, split: str) -> Path:
    """Where one system trained on one split lies in a run's folder."""
    return results / "train" / system / split


def scores_file(results: Path, system: str) -> Path:
    """Test scores of one system in a run's folder, of ``baselines`` or of ``linear``."""
    return results / "scores" / f"{system}.csv"


class Layout:
    """Paths of one run."""

    def __init__(self, run: Run):
        self.corpus = Path(run.cache) / run.corpus.id
        self.results = Path(run.results) / run.run
        self.index = self.corpus / "index.parquet"
        self.hashes = self.corpus / "hashes.json"
        self.config = self.results / CONFIG
        self.labels = self.results / "data" / "labels.parquet"
        self.splits = self.results / "data" / "splits.json"
        self.quality = self.results / "data" / "quality.csv"
        self.sheet = self.results / "data" / "contact_sheet.png"
        self.tests = self.results / "scores" / "tests.csv"
        self.report = self.results / "report.html"
        self.summary = self.results / "run_summary.json"
        self.cache_logs = self.corpus / "logs"
        self.cache_benchmarks = self.corpus / "benchmarks"
        self.logs = self.results / "logs"
        self.benchmarks = self.results / "benchmarks"

    @property
    def table_files(self) -> list[Path]:
        """The tables that a run's page shows, in all their forms."""
        return [table_file(self.results, name, form) for name in TABLES for form in TABLE_FORMS]

    def index_of(self, corpus: str) -> Path:
        """The clip table of another corpus of the same cache."""
        return self.corpus.parent / corpus / self.index.name

    def manifest_of(self, corpus: str, component: str) -> Path:
        """A component's manifest of another corpus of the same cache."""
        return self.corpus.parent / corpus / component / self.manifest(component).name

    def labels_of(self, run: str) -> Path:
        """The labels of another run in the same folder of results."""
        return self.results.parent / run / self.labels.relative_to(self.results)

    def shard(self, component: str, shard: int | str) -> Path:
        """A published shard; a string such as ``"{shard}"`` makes a workflow pattern."""
        return self.corpus / component / f"{shard if isinstance(shard, str) else format(shard, '04d')}.h5"

    def shard_record(self, component: str, shard: int | str) -> Path:
        """What made a published shard: a workflow knows the shard by it."""
        return record_path(self.shard(component, shard))

    def store(self, component: str, shard: int | str) -> Path:
        """The folder a shard job owns."""
        name = shard if isinstance(shard, str) else format(shard, "04d")
        return self.corpus / ".store" / component / name

    def manifest(self, component: str) -> Path:
        """The list of a component's shards."""
        return self.corpus / component / "manifest.json"

    def trained(self, system: str, split: str) -> Path:
        """One system trained on one split: model, history, run record."""
        return training_folder(self.results, system, split)

    def model(self, system: str, split: str) -> Path:
        """The weights of the best epoch."""
        return self.trained(system, split) / MODEL

    def history(self, system: str, split: str) -> Path:
        """A row an epoch."""
        return self.trained(system, split) / HISTORY

    def record(self, system: str, split: str) -> Path:
        """What made a trained system, on what, at what cost."""
        return self.trained(system, split) / RECORD

    def training_files(self, system: str, split: str) -> list[Path]:
        """All three."""
        return [self.model(system, split), self.history(system, split), self.record(system, split)]

    def models(self, system: str, splits: Iterable[str]) -> list[Path]:
        """A system's models, one a split."""
        return [self.model(system, split) for split in splits]

    @property
    def searches(self) -> Path:
        """The trials of all systems that are searched for."""
        return self.results / "search"

    def trial(self, system: str, study: str, number: int) -> Path:
        """What is kept of a trial of a system's search."""
        return self.searches / system / study / f"{number:04d}" / TRIAL

    def trials(self, system: str, study: str, count: int) -> list[Path]:
        """Those of the first so many trials."""
        return [self.trial(system, study, number) for number in range(count)]

    def trial_record(self, system: str, study: str, number: int) -> Path:
        """What made a trial: a workflow knows the trial by it, and so deletes none that a killed job has finished."""
        return record_path(self.trial(system, study, number))

    def trial_benchmarks(self, system: str, trials: Iterable[tuple[str, int]]) -> list[Path]:
        """What trials of a search have cost, as far as they ran here."""
        folder = self.benchmarks / "search"
        paths = [folder / f"{system}-{study}-{number:04d}.tsv" for study, number in trials]
        return [path for path in paths if path.is_file()]

    def resume(self, system: str, split: str) -> Path:
        """Checkpoints of a training under way, outside any job's outputs."""
        return self.results / ".resume" / system / split

    def readings(self, system: str) -> Path:
        """Journal of the models of a system that were scored on test clips, outside any job's outputs."""
        return self.results / ".readings" / f"{system}.jsonl"

    def predictions(self, system: str) -> Path:
        """Test predictions of one system, all splits and modalities."""
        return self.results / "predictions" / f"{system}.parquet"

    def scores(self, system: str) -> Path:
        """Test scores of one system, of ``baselines`` or of ``linear``."""
        return scores_file(self.results, system)

    @property
    def linear_record(self) -> Path:
        """What the linear baseline read and chose on each split."""
        return self.results / "scores" / "linear_fits.json"
