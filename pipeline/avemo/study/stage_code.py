"""Through which code each stage's files are made: from what its command calls, and from the components that were chosen.

`avemo.base.code` follows them. How items are stored and jobs are run does not count, nor how pages look.
"""

from __future__ import annotations

from functools import cache

from avemo.base.code import code_of
from avemo.corpora import CORPORA
from avemo.dataset import TASKS
from avemo.features import EXTRACTORS
from avemo.models import MODELS
from avemo.training import STEPS

TASK_KINDS = tuple(TASKS.values())
LABELS, SPLITS = "avemo.dataset.labels:load_labels", "avemo.dataset.splits:load_splits"
TABLE = "avemo.index.clip_table:read_table"
FEATURES = ("avemo.study.inputs:open_inputs", *TASK_KINDS)
NEAR = "avemo.dataset.resident:near"
READ_TRIAL = "avemo.training.search:read_trial"
TRAINING = ("avemo.training.one_split:train_on", "avemo.dataset.splits:load_split", LABELS, NEAR, *FEATURES)
FACES = ("avemo.features.extraction:track_clip", "avemo.faces.track:FaceTracker")
KEPT = ("avemo.features.extraction:keep_crops", "avemo.faces.jpeg:JpegCrops", *FACES)
CALLED: dict[str, tuple[str, ...]] = {
    "index": ("avemo.index.clip_table:index_clips",),
    "united index": ("avemo.index.united:united_rows",),
    "united labels": (
        "avemo.dataset.across:united_labels",
        LABELS,
        "avemo.dataset.labels:make_labels",
        "avemo.index.same_media:same_media",
        "avemo.index.same_media:joined_groups",
        *TASK_KINDS,
    ),
    "labels": (
        "avemo.dataset.labels:make_labels",
        "avemo.index.same_media:same_media",
        "avemo.index.same_media:joined_groups",
        TABLE,
        *TASK_KINDS,
    ),
    "splits": ("avemo.dataset.protocol:splits_of", "avemo.dataset.splits:balance", LABELS, *TASK_KINDS),
    "faces": FACES,
    "crops": KEPT,
    "audio": ("avemo.features.extraction:extract_audio",),
    "visual": ("avemo.features.extraction:extract_visual", *FACES),
    "visual without faces": ("avemo.features.extraction:extract_frames",),
    "visual of kept crops": ("avemo.features.extraction:extract_kept", *KEPT),
    "imported": (),
    "models": TRAINING,
    "trials": (*TRAINING, "avemo.training.search:propose", READ_TRIAL),
    "choice": ("avemo.training.search:best", READ_TRIAL, "avemo.training.recipe:TrainSpec"),
    "scores": ("avemo.evaluation.scoring:score_models", LABELS, NEAR, *FEATURES),
    "baselines": ("avemo.evaluation.baselines:blind_scores", LABELS, SPLITS, *TASK_KINDS),
    "linear": ("avemo.evaluation.linear:linear_scores", LABELS, SPLITS, *FEATURES),
    "tests": ("avemo.report.comparison:families", SPLITS),
    "quality": ("avemo.evaluation.clip_quality:quality_table", TABLE, "avemo.cache.manifest:FeatureSet"),
    "report": ("avemo.report.run_tables:run_tables", "avemo.report.scores:honesty_check", *TASK_KINDS),
    "paper": ("avemo.report.paper_tables:paper_table", "avemo.report.paper_findings:find", *TASK_KINDS),
}
"""What the command of each stage calls for its numbers, as ``module:name``; with that by which the items were made that
its own are computed from, as these have the same keys after an edit."""
APART = ("avemo.base.atomic", "avemo.base.passing", "avemo.cache.shard", "avemo.cache.shard_layout")
"""How bytes are written, read and tried again: this decides whether there are numbers, not which."""
PAGES = (
    "avemo.study",
    "avemo.index",
    "avemo.cache",
    "avemo.papers",
    "avemo.report.writers",
    "avemo.report.formatting",
)
"""Of tables of results: where they are found, and how they look; what figures draw is what tables tell."""
SEARCHES = {"trials", "choice", "report", "paper"}
SEARCH = "avemo.training.search"
"""Counts for `SEARCHES` alone: other trainings know of a search only that they have none."""


@cache
def _code(stage: str, *components: str) -> dict[str, str]:
    return code_of([*CALLED[stage], *components], apart(stage))


def apart(stage: str) -> tuple[str, ...]:
    """Modules that do not count for a stage."""
    pages = PAGES if stage in ("report", "paper") else ()
    return (*APART, *pages, *(() if stage in SEARCHES else (SEARCH,)))


def stage_code(stage: str) -> dict[str, str]:
    """Of a stage that has no component to choose."""
    return _code(stage)


def corpus_code(stage: str, corpus: str) -> dict[str, str]:
    """Of the clip table or the labels of a corpus, "" for united ones."""
    return _code(stage, CORPORA.path(corpus)) if corpus else _code(f"united {stage}")


def feature_code(
    modality: str, extractor: str, kept_crops: bool = False, faceless: bool = False
) -> dict[str, str]:
    """Of a modality's features; ``kept_crops``: visual ones that read no media; ``faceless``: that read no faces."""
    how = " of kept crops" if kept_crops else " without faces" if faceless and modality == "visual" else ""
    return _code(f"{modality}{how}", EXTRACTORS.path(extractor))


def model_code(model: str, procedure: str) -> dict[str, str]:
    """Of a system's trainings."""
    return _code("models", MODELS.path(model), STEPS.path(procedure))


def trial_code(model: str, procedure: str) -> dict[str, str]:
    """Of a trial of a search."""
    return _code("trials", MODELS.path(model), STEPS.path(procedure))


def score_code(model: str) -> dict[str, str]:
    """Of a system's predictions and scores."""
    return _code("scores", MODELS.path(model))
