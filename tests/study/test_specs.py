"""What a rule hands to its command is read back by the class that wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avemo.base import component
from avemo.base.contracts import AvemoError, digest
from avemo.cli.options import as_spec
from avemo.study.config import read_config
from avemo.study.layers import expand, overlaid
from avemo.study.resolve import resolve
from avemo.study.run import Run
from avemo.study.specs import (
    CropsSpec,
    ExtractSpec,
    IndexSpec,
    LabelsSpec,
    Settings,
    TrackSpec,
    as_cfg,
    component_spec,
    settings,
)
from avemo.training.recipe import TrainSpec
from avemo.training.search import Search


@pytest.fixture
def run(repository: Path) -> Run:
    """The demo with kept crops."""
    return resolve(read_config(repository / "config" / "config.yaml") | {"crops": {"cache": "jpeg"}})


def test_every_spec_survives_its_json(run):
    specs = [
        *(component_spec(run, stage) for stage in run.components),
        settings({"demo": run}),
    ]
    assert [type(component_spec(run, stage)) for stage in run.components] == [
        *(TrackSpec, CropsSpec, ExtractSpec, ExtractSpec)
    ]
    for spec in specs:
        assert as_spec(type(spec), spec.model_dump_json()) == spec


def test_a_section_is_told_by_the_fields_that_its_spec_has(run):
    search = Search.model_validate({"fields": {"training.lr": [0.1, 0.2]}})
    for section, kind in (
        (run.corpus, IndexSpec),
        (run.corpus, LabelsSpec),
        (run.systems["mult"].model_copy(update={"search": search}), TrainSpec),
    ):
        told = as_cfg(section, kind)
        assert list(json.loads(told)) == list(kind.model_fields)
        assert as_cfg(as_spec(kind, told)) == told


def test_an_unknown_key_of_a_spec_is_named(run):
    with pytest.raises(AvemoError, match=r"unknown key '--cfg.versoin'; did you mean 'version'\?"):
        as_spec(TrackSpec, '{"corpus": "demo", "id": "a", "version": 1, "config": {}, "versoin": 2}')


def test_a_training_is_handed_on_without_its_speed_settings(run):
    told = json.loads(as_cfg(run.systems["mult"], TrainSpec))["training"]
    assert told["lr"] == run.systems["mult"].training.lr
    assert not {"device", "threads", "checkpoint_s", "compile"} & told.keys()
    speeds = {"device": "auto", "threads": 1, "checkpoint_s": 30.0, "compile": "off"}
    assert settings({"demo": run}).speed["demo/mult"] == speeds


def test_places_of_weights_are_no_speed_settings(run):
    visual, given = run.features["visual"], settings({"demo": run})
    assert given.weights[visual.id] == {"weights": "random-seed-0"}
    assert "weights" not in given.speed[visual.id]
    assert as_spec(Settings, "{}") == Settings()


def test_a_run_is_read_from_its_record_with_speed_settings_at_their_defaults(run):
    read = Run.model_validate(run.record())
    assert read.record() == run.record()
    assert read.faces.speed == {}


KEYS = {
    "config": (
        "compare_lld-07244f23 efficientnet_b2-f190d544 mtcnn-eef90a42",
        "2ffa8a5cdf72303a886bd23cfe9f7d1e",
    ),
    "every_system": (
        "compare_lld-07244f23 efficientnet_b2-7a2446ac mtcnn-eef90a42",
        "0c4d6a6fcd2a614bdc0e026a6e689e33",
    ),
    "papers/auxformer": (
        "compare_lld-07244f23 mtcnn-eef90a42 vgg_face_fc6-70898989",
        "20ed1a111b147ad608277d19efc8af65",
    ),
    "papers/av_ladder": (
        "compare_lld-07244f23 mtcnn-eef90a42 vgg_face_affectnet-d3f567e5",
        "37c9dae7c2b4cd54e5232b34bd45db53",
    ),
    "papers/vavl": (
        "efficientnet_b2-7a2446ac mtcnn-eef90a42 wav2vec2-92253e27",
        "c68cc1f28d68782a8f0e7db90e2552d3",
    ),
    "papers/colearning": (
        "face_frames-2298885b logmel-be894492 mtcnn-eef90a42",
        "efbbbd304751137a4da0f97beec37dfb",
    ),
}
"""Folders of components, and the digest of all that triggers, by config, where every library has version 1.0; a
paper's is its miniature's."""


@pytest.mark.parametrize("name", KEYS)
def test_keys_stay_what_they_are(repository, name, monkeypatch):
    """Else all that is cached would be computed again, and all that is trained trained again."""
    monkeypatch.setattr(component, "version_of", lambda library: "1.0")
    folder, (_, _, paper) = repository / "config", name.rpartition("papers/")
    raw = read_config(folder / f"{name}.yaml")
    if name.startswith("papers"):
        raw = overlaid(raw, read_config(folder / "papers" / "mini" / f"{paper}.yaml"))
    runs = [resolve(one) for one in expand(raw).values()]
    folders = sorted({component.id for run in runs for component in run.components.values()})
    assert (" ".join(folders), digest([triggers(run) for run in runs])) == KEYS[name]


def triggers(run: Run) -> list[object]:
    """Every `cfg` of a run's rules, as JSON."""
    told = [
        *(as_cfg(run.corpus, IndexSpec), as_cfg(run.corpus, LabelsSpec)),
        {stage: as_cfg(component_spec(run, stage)) for stage in run.components},
        {name: as_cfg(system, TrainSpec) for name, system in run.systems.items()},
        *(as_cfg(run.splits), as_cfg(run.tests)),
    ]
    return [
        {of: json.loads(cfg) for of, cfg in each.items()} if isinstance(each, dict) else json.loads(each)
        for each in told
    ]
