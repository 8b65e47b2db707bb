"""Digests of the code that a component runs through: what changes numbers changes them, and nothing else does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avemo.base.code import code_of, differing, mixed

STAGES = """
import json
from avemo.study.stage_code import corpus_code, feature_code, model_code, score_code, stage_code
print(json.dumps({
    "index": corpus_code("index", "table"),
    "labels": corpus_code("labels", "table"),
    "splits": stage_code("splits"),
    "faces": stage_code("faces"),
    "crops": stage_code("crops"),
    "audio": feature_code("audio", "logmel"),
    "visual": feature_code("visual", "efficientnet_b2"),
    "kept": feature_code("visual", "efficientnet_b2", kept_crops=True),
    "models": model_code("mult", "joint"),
    "scores": score_code("mult"),
    "baselines": stage_code("baselines"),
    "linear": stage_code("linear"),
    "tests": stage_code("tests"),
    "quality": stage_code("quality"),
    "imported": feature_code("imported", "imported_visual"),
    "report": stage_code("report"),
    "paper": stage_code("paper"),
}))
"""
SOUND = ("media/sound.py", "mono = kept.mean(axis=0, dtype=np.float32)")
LOUDER = (*SOUND, "mono = 0.5 * kept.mean(axis=0, dtype=np.float32)")


@pytest.fixture(scope="module")
def package(repository, tmp_path_factory) -> Path:
    """A copy of this package that tests may edit."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        repository / "pipeline" / "avemo",
        folder / "avemo",
        ignore=shutil.ignore_patterns("__pycache__", "project"),
    )
    return folder / "avemo"


def stages(package: Path) -> dict[str, dict[str, str]]:
    """The code of each stage, as a process of the copy sees it."""
    import json

    environment = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", STAGES], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(package) -> dict[str, dict[str, str]]:
    return stages(package)


def changed(package: Path, before: dict, file: str, old: str, new: str) -> dict[str, list[str]]:
    """Stages whose code an edit changes, and the files that are named."""
    path = package / file
    text = path.read_text()
    assert text.count(old) >= 1, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new, 1))
    try:
        now = stages(package)
    finally:
        path.write_text(text)
    return {stage: files for stage in now if (files := differing(before[stage], now[stage]))}


@pytest.mark.parametrize(
    ("edit", "stages_of"),
    [
        (LOUDER, {"audio", "quality"}),
        (("media/pictures.py", "def iter_frames(", "FIRST = 1\n\n\ndef iter_frames("), set()),
        (("training/steps.py", ".backward()", ".neg().backward()"), {"models"}),
        (("dataset/normalise.py", "EPSILON = 1e-6", "EPSILON = 2e-6"), {"models", "scores", "linear"}),
        (
            (
                "models/attention.py",
                "embedding_dropout: float = Field(0.25",
                "embedding_dropout: float = Field(0.0",
            ),
            {"models", "scores"},
        ),
        (
            ("base/metrics.py", "def from_confusion(counts", "def from_confusion(_, counts"),
            {"labels", "splits", "models", "scores", "baselines", "linear", "report", "paper"},
        ),
        (("report/ttest.py", "def _statistic(mean", "def _statistic(_, mean"), {"tests", "paper"}),
        (("features/logmel.py", "    def extract(self", "    def extract(self, _"), {"audio"}),
        (("faces/track.py", "def iou(box", "def iou(_, box"), {"faces", "crops", "visual", "kept"}),
        (("dataset/labels.py", "def make_labels(", "def make_labels(_, "), {"labels"}),
        (("corpora/table.py", "    def classes(self", "    def classes(self, _"), {"index", "labels"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_edit_of_what_makes_numbers_is_told_by_the_stages_that_run_through_it(
    package, before, edit, stages_of
):
    found = changed(package, before, *edit)
    assert set(found) == stages_of
    assert all(files == [f"avemo/{edit[0]}"] for files in found.values())


@pytest.mark.parametrize(
    "edit",
    [
        (*SOUND, f"# Louder.\n            {SOUND[1]}"),
        (*SOUND, "mono = kept.mean(\n                axis=0, dtype=np.float32)"),
        ("media/sound.py", '"""What a listener should know, in words."""', '"""Other words."""'),
        ("media/sound.py", "def read_audio(", "def read_audio(_, "),
        ("cache/shard.py", "    def item(self", "    def item(self, _"),
        ("features/opensmile_lld.py", "def ", "def another(): ...\n\n\ndef "),
        (
            "features/__init__.py",
            "    compare_lld=",
            '    other="avemo.features.logmel:LogMel",\n    compare_lld=',
        ),
        ("__init__.py", '__version__ = "', '__version__ = "1'),
    ],
    ids=[
        "comment",
        "format",
        "docstring",
        "function that is not called",
        "storage",
        "other component",
        "registry",
        "release",
    ],
)
def test_what_makes_no_numbers_of_a_stage_changes_nothing_of_it(package, before, edit):
    assert not {"audio", "models"} & set(changed(package, before, *edit))


def test_another_packages_component_is_followed_in_its_own_files(tmp_path, monkeypatch):
    package = tmp_path / "plugin_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "mine.py").write_text(
        "import plugin_of_a_test.deep as deep\nfrom .deep import double\n"
        "class Mine:\n    def x(self): return double(2) + deep.half(2)\n"
    )
    (package / "deep.py").write_text(
        "def double(x): return 2 * x\ndef half(x): return x / 2\ndef other(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = code_of(["plugin_of_a_test.mine:Mine"])
    assert list(found) == ["plugin_of_a_test/deep.py", "plugin_of_a_test/mine.py"]
    assert list(code_of(["plugin_of_a_test.mine:Mine"], ["plugin_of_a_test.deep"])) == [
        "plugin_of_a_test/mine.py"
    ]


def test_what_was_made_by_two_codes_is_of_neither():
    first, second = {"a.py": "1", "b.py": "2"}, {"a.py": "1", "b.py": "3", "c.py": "4"}
    both = mixed(first, second)
    assert both == {"a.py": "1", "b.py": "2 3", "c.py": "4 absent"}
    assert mixed(both, second) == both
    assert differing(both, first) == differing(both, second) == ["b.py", "c.py"]
    assert differing({}, first) == []
