"""Switches that the page on fidelity names: they are there, and take the value that stands beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from avemo.corpora import CORPORA
from avemo.dataset.splits import SplitConfig
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.finetuning.faces import FaceTuning
from avemo.finetuning.speech import SpeechTuning
from avemo.models import MODELS
from avemo.study import run
from avemo.study.config import read_config
from avemo.study.layers import overlaid
from avemo.study.study import resolve_study
from avemo.training.recipe import TrainingConfig

EXTRACTED = [EXTRACTORS.load(name).Config for name in EXTRACTORS]
SECTIONS = {
    "training": [TrainingConfig],
    "splits": [SplitConfig],
    "tests": [run.Tests],
    "corpus.labels": [CORPORA.load(name).Labels for name in CORPORA],
    "features.audio.config": EXTRACTED,
    "features.visual.config": EXTRACTED,
    "speech.config": [SpeechTuning],
    "faces.config": [FaceTuning],
    "faces": [FaceTracker.Config],
    "": [MODELS.load(name).Config for name in MODELS],
}
"""Who may have the fields of a section; a model's stand without one."""
SWITCH = re.compile(rf"({'|'.join(re.escape(name) for name in SECTIONS if name)})\.(\w+)(?:: (\S+))?")
MODELS_OWN = re.compile(r"()(\w+): (\w+)")


def rows(page: str) -> Iterator[str]:
    """The last cells of the tables whose last column is of switches."""
    for table in re.split(r"\n\s*\n", page):
        lines = table.splitlines()
        if lines and re.search(r"\| switch \|$", lines[0]):
            yield from (line.rstrip("|").rsplit("|", 1)[1] for line in lines[2:])


def accepts(kind: Any, field: str, value: str | None) -> bool:
    found = kind.model_json_schema()["properties"].get(field)
    if found is None or value is None:
        return found is not None
    given = yaml.safe_load(value)
    return given in found["enum"] if "enum" in found else not isinstance(given, str)


def test_every_switch_is_a_field_that_takes_the_value_named(repository):
    page = (repository / "docs" / "fidelity.md").read_text()
    told = [token for cell in rows(page) for token in re.findall(r"`([^`{]+)`", cell)]
    named = [match for token in told if (match := SWITCH.fullmatch(token) or MODELS_OWN.fullmatch(token))]
    assert len(named) > 40
    wrong = [m[0] for m in named if not any(accepts(kind, m[2], m[3]) for kind in SECTIONS[m[1]])]
    assert not wrong


def test_vavls_text_has_more_clips_than_its_partitions(repository):
    """The switch to them, laid over the paper's config as it stands on the page."""
    page = (repository / "docs" / "fidelity.md").read_text()
    (cell,) = (cell for cell in rows(page) if "table: null" in cell)
    over = [yaml.safe_load(token) for token in re.findall(r"`([^`]+)`", cell) if ":" in token]
    raw = read_config(repository / "config" / "papers" / "vavl.yaml")
    laid = overlaid(raw, {"runs": {"crema_d": {key: value for one in over for key, value in one.items()}}})
    found = resolve_study(laid).runs["crema_d"]
    assert (found.corpus.labels["rule"], found.corpus.labels["table"]) == ("plurality", None)
    assert (found.splits.protocol, found.splits.n) == ("random", 5)
