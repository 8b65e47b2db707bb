"""The calls that hand a learning rate on, from YAML to the optimiser, as docs/architecture.md counts them."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from avemo.cli import training
from avemo.dataset.loading import ClipData
from avemo.dataset.tasks import Classes
from avemo.study.config import RunConfig, read_config
from avemo.study.specs import as_cfg
from avemo.study.study import resolve_study
from avemo.training.recipe import TrainSpec
from avemo.training.state import OPTIMIZERS
from feature_source import Source
from training_standins import ToySplit

LR = 0.000123


class Arrived(BaseException):
    """It is where it goes; these calls of ours are still running, the outermost first."""

    def __init__(self) -> None:
        frame, self.calls = sys._getframe(2), []
        while frame:
            if "/pipeline/avemo/" in frame.f_code.co_filename:
                self.calls.insert(0, frame.f_code.co_qualname)
            frame = frame.f_back


@pytest.fixture
def documented(repository: Path) -> list[list[str]]:
    """The calls that the page names: to a checked run, into the rule, in the job."""
    page = (repository / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (?:from YAML|into the|in the) .*?\| (.*) \|$", page, re.MULTILINE)
    return [re.findall(r"`([\w.]+)`", row) for row in rows]


@pytest.fixture
def raw(repository: Path) -> dict:
    config = read_config(repository / "config" / "config.yaml")
    config["training"]["lr"] = LR
    return config


def test_at_most_ten_calls_hand_it_on(documented):
    assert len(documented) == 3
    assert sum(map(len, documented)) <= 10


def test_it_is_checked_where_the_page_says(documented, raw, monkeypatch):
    def arrive(values):
        assert values["training"]["lr"] == LR
        raise Arrived

    monkeypatch.setattr(RunConfig, "model_validate", arrive)
    with pytest.raises(Arrived) as arrived:
        resolve_study(raw)
    # The one that asks for a process of its own, and the one that has laid runs over each other, run no more.
    assert arrived.value.calls == [call for call in documented[0] if call not in ("resolve_cached", "expand")]


def test_it_reaches_the_optimiser_as_the_page_says(documented, raw, tmp_path, monkeypatch):
    def arrive(parameters, *, lr, **kwargs):
        assert lr == LR
        raise Arrived

    monkeypatch.setitem(OPTIMIZERS, "adam", arrive)
    split, lengths = ToySplit(), dict.fromkeys([*ToySplit.train, *ToySplit.dev], 3)
    known = SimpleNamespace(task=Classes(["no", "yes"]), targets=dict.fromkeys(lengths, 1))
    data = ClipData(Source(lengths, 130), Source(lengths, 1408), known.targets)
    monkeypatch.setattr("avemo.dataset.labels.load_labels", lambda path: known)
    monkeypatch.setattr("avemo.dataset.splits.load_split", lambda path, name: split)
    monkeypatch.setattr(training, "features_of", lambda *_: nullcontext(training.Features(data, {})))
    monkeypatch.setattr(training, "sides_read", lambda *_: {})
    monkeypatch.setattr(training, "use_threads", lambda threads: None)
    cfg = as_cfg(resolve_study(raw).run().systems["mult"], TrainSpec)
    with pytest.raises(Arrived) as arrived:
        training.train(
            cfg, "mult", [split.name], tmp_path, tmp_path, tmp_path, tmp_path / "model.safetensors"
        )
    assert arrived.value.calls == [call for call in documented[2] if call != "as_spec"]
