"""Several features a modality in a run's config: each a component of its own, and how systems see them is no part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError, ConfigError
from avemo.dataset.joined import Reading
from avemo.study.makings import RunMakings
from avemo.study.resolve import resolve
from avemo.study.run import Run, as_option, read_option
from avemo.study.specs import component_spec, settings
from avemo.study.study import Study

LLD = {"extractor": "compare_lld"}
FUNCTIONALS = {"extractor": "opensmile", "config": {"set": "eGeMAPSv02"}}
LAYERS = {"extractor": "hf_audio", "config": {"weights": "random-seed-0", "architecture": "wavlm"}}
B2 = {"extractor": "efficientnet_b2", "config": {"weights": "random-seed-0"}}


def given(**features: object) -> dict:
    return {
        "run": "r",
        "corpus": {"name": "table", "config": {"csv": "clips.csv"}},
        "features": features,
        "systems": {"a": {"model": "mult", "config": {"width": 8, "heads": 2, "layers": 1}}},
    }


def of_layers(layers: object, **reading: object) -> dict:
    return {**LAYERS, "config": {**LAYERS["config"], "layers": layers}, **reading}


def test_a_list_of_one_is_what_the_section_alone_is():
    alone = resolve(given(audio=LLD, visual=B2))
    assert alone == resolve(given(audio=[LLD], visual=[B2]))
    assert list(alone.components) == ["faces", "audio", "visual"]
    assert "reading" not in alone.record()["features"]["audio"]


def test_each_feature_has_the_key_that_it_has_alone():
    both = resolve(given(audio=[LLD, FUNCTIONALS], visual=B2))
    assert list(both.components) == ["faces", "audio", "audio-2", "visual"]
    alone = resolve(given(audio=FUNCTIONALS))
    assert component_spec(both, "audio-2") == component_spec(alone, "audio")
    assert component_spec(both, "audio") == component_spec(resolve(given(audio=LLD)), "audio")
    assert {both.features[name].id for name in ("audio", "audio-2")} <= settings({"r": both}).speed.keys()


def test_how_systems_see_a_feature_is_in_what_they_are_made_of_and_in_no_key():
    plain, nearest = (
        resolve(given(audio=[LLD, {**FUNCTIONALS, **how}])) for how in ({}, {"join": "nearest"})
    )
    for stage in plain.components:
        assert component_spec(plain, stage) == component_spec(nearest, stage)
    made = [set(RunMakings(run).model("a", "split00").cached) for run in (plain, nearest)]
    assert made == [{"audio", "audio-2"}, {"audio", "audio-2 (nearest)"}]
    options = [Study({"r": run}).feature_options("r") for run in (plain, nearest)]
    assert options[0][1] == options[1][1]
    assert options[1][3] == options[0][3] + '#{"join":"nearest"}'


def test_several_parts_of_one_feature_are_read_of_one_component():
    run = resolve(given(audio=[of_layers("all", parts=1), of_layers("all", parts=[2, "4"])]))
    assert run.features["audio"].id == run.features["audio-2"].id
    assert [one.reading.parts for one in run.features.values()] == [("1",), ("2", "4")]
    assert len(Study({"r": run}).manifests("r", "audio")) == 1
    assert Run.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"audio": [LLD, LLD]}, "found 'compare_lld' of the same fields as audio and as audio-2"),
        ({"audio": [{**LLD, "join": "mean"}, FUNCTIONALS]}, "audio: expected no join of the first feature"),
        (
            {"audio": [LLD, {**FUNCTIONALS, "join": "median"}]},
            "features.audio.1.join: Input should be 'mean' or",
        ),
        ({"audio": [LLD, {"extracter": "logmel"}]}, "'features.audio.1.extracter'; did you mean 'extractor'"),
        ({"audio": [LLD, B2]}, "features.audio.1: expected an extractor of audio features"),
        ({"audio": [LLD, {**FUNCTIONALS, "config": {"sett": 1}}]}, "'features.audio.1.config.sett'"),
        (
            {"audio": {**LLD, "parts": 3}},
            r"features.audio.parts: expected parts of its frames \(they have none\)",
        ),
        ({"audio": of_layers([1, 3], parts=2)}, r"parts of its frames \(1, 3\), found '2'"),
        ({"audio": of_layers("all", parts=[2, "2"])}, "audio.parts: expected each part once, found 2, 2"),
        ({"audio": [], "visual": []}, "expected audio, visual or both"),
    ],
)
def test_what_cannot_be_is_named_before_anything_starts(features, said):
    with pytest.raises(ConfigError, match=said):
        resolve(given(**features))


def test_kept_crops_serve_features_that_want_them_alike_and_no_others():
    config = given(visual=[B2, {**B2, "config": {**B2["config"], "margin": 0.3}}])
    assert "crops" not in resolve(config).components
    with pytest.raises(ConfigError, match="crops.cache: expected features that want faces cut alike"):
        resolve(config | {"crops": {"cache": "jpeg"}})
    imported = {"extractor": "imported_visual", "config": {"file": __file__}}
    alike = resolve(given(visual=[imported, B2]) | {"crops": {"cache": "jpeg"}})
    assert component_spec(alike, "visual-2").crops == alike.components["crops"].id
    assert not component_spec(alike, "visual").crops


def test_whole_frames_stand_beside_kept_faces():
    scene = {
        "extractor": "timm_image",
        "config": {"weights": "random-seed-0", "model": "test_resnet", "crop": "none"},
    }
    run = resolve(given(visual=[B2, scene]) | {"crops": {"cache": "jpeg"}})
    assert list(run.components) == ["faces", "crops", "visual", "visual-2"]
    spec = component_spec(run, "visual-2")
    assert (spec.crops, spec.faces) == ("", "")
    assert component_spec(run, "visual").crops == run.components["crops"].id
    alone = resolve(given(visual=scene))
    assert list(alone.components) == ["visual"]
    assert alone.features["visual"].id == run.features["visual-2"].id
    study = Study({"r": run})
    assert study.component_ids("visual", faceless=True) == {run.features["visual-2"].id}


def test_an_option_that_says_no_reading_is_refused():
    assert read_option(as_option(Path("a#b/m.json"), Reading(parts=("3",)))) == (
        Path("a#b/m.json"),
        Reading(parts=("3",)),
    )
    with pytest.raises(AvemoError, match="or one with how to read it, such as"):
        read_option('a.json#{"joined": 1}')
