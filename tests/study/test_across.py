"""A run across corpora: what it comes to, and what stops it before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError
from avemo.corpora.base import MARKER
from avemo.study.kept import resolve_cached
from avemo.study.makings import index_making, manifest_making
from avemo.study.specs import LabelsSpec, as_cfg
from avemo.study.study import read_record, resolve_study

TABLES = {"one": "happy sad neutral", "two": "happiness boredom neutral sad", "three": "happy sad neutral"}
MAP = {"happiness": "happy", "boredom": None}


@pytest.fixture
def config(tmp_path: Path) -> dict:
    """Three tables, a run each, and one that trains on the first and tests on the second."""
    runs = {}
    for name, labels in TABLES.items():
        rows = [f"{label}{n},x.wav,s{n},{label}" for n in range(3) for label in labels.split()]
        (tmp_path / f"{name}.csv").write_text("\n".join(["clip_id,path,speaker,label", *rows]) + "\n")
        table = {
            "name": "table",
            "id": f"{name}-id",
            "shards": 2,
            "config": {"csv": str(tmp_path / f"{name}.csv")},
        }
        runs[name] = {"corpus": table}
    runs["over"] = {"across": {"train_on": ["one"], "test_on": ["two"], "labels": MAP}}
    return {
        "paper": "cross",
        "features": {"audio": {"extractor": "logmel"}},
        "systems": {"mult": {"model": "mult"}},
        "runs": runs,
    }


def test_its_corpus_is_the_others_together_and_its_splits_are_whole_ones(config):
    study = resolve_study(config)
    over = study.runs["over"]
    assert list(study.runs) == ["one", "two", "three", "over"]
    assert over.corpus.parts == ("one-id", "two-id")
    assert over.corpus.label_runs == {"one-id": "one", "two-id": "two"}
    assert over.corpus.title == "one-id + two-id"
    assert (over.splits.protocol, over.splits.train_on, over.splits.test_on, over.splits.n) == (
        *("across", ("one-id",), ("two-id",)),
        5,
    )
    assert study.across == ["one", "two", "over"]
    assert study.shards("over") == []
    assert study.runs["one"].corpus.parts == ()


def test_its_files_are_made_of_theirs(config):
    study = resolve_study(config)
    over, layout = study.runs["over"], study.layouts["over"]
    index = index_making(over)
    assert {name: str(path) for name, path in index.read.items()} == {
        "one-id": "cache/one-id/index.parquet",
        "two-id": "cache/two-id/index.parquet",
    }
    audio = over.features["audio"].id
    manifest = manifest_making(over, audio)
    assert str(manifest.read["two-id"]) == f"cache/two-id/{audio}/manifest.json"
    assert manifest.path.parent.parent == layout.index.parent
    assert over.features["audio"].id == study.runs["one"].features["audio"].id


def test_both_ways_share_a_folder_and_another_pair_has_its_own(config):
    config["runs"]["back"] = {"across": {"train_on": ["two", "three"], "test_on": ["one"], "labels": MAP}}
    config["runs"]["reverse"] = {"across": {"train_on": ["two"], "test_on": ["one"], "labels": MAP}}
    runs = resolve_study(config).runs
    assert runs["over"].corpus.id == runs["reverse"].corpus.id
    assert runs["over"].corpus.id != runs["back"].corpus.id
    # Classes come in the order of who is trained on.
    assert as_cfg(runs["over"].corpus, LabelsSpec) != as_cfg(runs["reverse"].corpus, LabelsSpec)


def test_it_may_stand_before_the_runs_that_it_names(config):
    runs = config["runs"]
    config["runs"] = {"over": runs.pop("over"), **runs}
    assert list(resolve_study(config).runs) == ["over", "one", "two", "three"]


def test_without_features_of_its_own_it_has_those_it_trains_on(config):
    features = config.pop("features")
    for name in TABLES:
        config["runs"][name]["features"] = features
    assert resolve_study(config).runs["over"].features["audio"].extractor == "logmel"


def test_a_generated_corpus_among_them_is_told(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not resolve_cached(config).runs["over"].corpus.synthetic
    (tmp_path / MARKER).write_text("made")
    assert resolve_cached(config).runs["over"].corpus.synthetic


def test_its_record_is_read_back(config, tmp_path):
    study = resolve_study(config)
    (tmp_path / "paper.json").write_text(json.dumps(study.record()))
    assert read_record(tmp_path / "paper.json").runs["over"].record() == study.runs["over"].record()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"train_on": ["on"]},
            "run over: across: expected names of runs that have a corpus, found 'on'; did you mean 'one'",
        ),
        ({"test_on": ["one"]}, "each corpus on one side and once, found 'one-id' by one and one"),
        ({"test_on": []}, r"across\.test_on"),
        ({"tests_on": ["two"]}, r"unknown key 'across\.tests_on'; did you mean 'test_on'"),
        ({"labels": {"happiness": "happy"}}, r"found none on boredom \(not in one-id\)"),
        ({"labels": {**MAP, "surprise": None}}, "found 'surprise'"),
    ],
)
def test_what_is_wrong_with_its_section_is_named(config, change, told):
    config["runs"]["over"]["across"] |= change
    with pytest.raises(AvemoError, match=told):
        resolve_study(config)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"corpus": {"name": "table", "config": {"csv": "x.csv"}}}, "expected none beside `across`"),
        (
            {"splits": {"protocol": "folds", "k": 3}},
            r"splits\.protocol: expected none in a run with `across`",
        ),
        ({"splits": {"n": 2, "balance": "best_of_5"}}, r"splits\.balance"),
        (
            {"features": {"audio": {"config": {"dtype": "float16"}}}},
            r"equal keys in runs over and one, found audio logmel-\w+ and logmel-\w+, which differ in "
            r'config\.dtype: "float16" → "float32" \(over → one\)',
        ),
    ],
)
def test_what_does_not_go_with_it_is_named(config, change, told):
    config["runs"]["over"] |= change
    with pytest.raises(AvemoError, match=told):
        resolve_study(config)


def test_features_of_other_keys_in_one_corpus_are_named_with_it(config):
    config["runs"]["two"]["features"] = {"audio": {"config": {"dtype": "float16"}}}
    with pytest.raises(AvemoError, match=r"in runs over and two, found audio"):
        resolve_study(config)


def test_alone_it_says_what_is_missing(config):
    alone = {"run": "over", **{key: config[key] for key in ("features", "systems")}, **config["runs"]["over"]}
    with pytest.raises(AvemoError, match="none: such a run stands beside others under `runs`"):
        resolve_study(alone)


def test_a_run_without_a_corpus_and_a_protocol_without_across_are_refused(config):
    del config["runs"]["three"]["corpus"]
    with pytest.raises(AvemoError, match="run three: corpus: expected a value, found none"):
        resolve_study(config)
    config["runs"]["three"] = config["runs"]["one"] | {"splits": {"protocol": "across"}}
    with pytest.raises(AvemoError, match="expected 'across' in a run that has `across` alone"):
        resolve_study(config)
