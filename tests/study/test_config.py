"""The run's configuration: checked whole, before anything starts."""

import json
from pathlib import Path

import pytest

from avemo.base.contracts import AvemoError, ConfigError, digest
from avemo.faces.crop import CropPolicy
from avemo.models import MODELS
from avemo.study.config import read_config, schema
from avemo.study.resolve import resolve
from avemo.study.run import Run
from avemo.study.specs import as_cfg, component_spec, settings
from avemo.training.recipe import TrainSpec


@pytest.fixture
def demo(repository: Path) -> dict:
    return read_config(repository / "config" / "config.yaml")


def test_the_default_config_resolves_with_defaults_filled_in(demo):
    resolved = resolve(demo)
    assert resolved.corpus.id == "demo"
    assert resolved.corpus.synthetic is True
    training = resolved.systems["av_ladder"].training
    assert (training.lr, training.epochs, training.clip_norm) == (0.002, 12, 0.8)
    assert resolved.features["audio"].id.startswith("compare_lld-")


def test_the_config_of_every_system_has_every_model_and_resolves(repository):
    resolved = resolve(read_config(repository / "config" / "every_system.yaml"))
    assert {system.model for system in resolved.systems.values()} == set(MODELS)


@pytest.mark.parametrize(
    ("place", "key", "message"),
    [
        ((), "trainning", r"unknown key 'trainning'; did you mean 'training'\?"),
        (("corpus",), "shard", r"unknown key 'corpus.shard'; did you mean 'shards'\?"),
        (("corpus", "config"), "actor", r"unknown key 'corpus.config.actor'; did you mean 'actors'\?"),
        (("corpus", "labels"), "rules", r"unknown key 'corpus.labels.rules'; did you mean 'rule'\?"),
        (("features", "audio"), "extracter", r"'features.audio.extracter'; did you mean 'extractor'\?"),
        (("systems", "mult", "config"), "widht", r"'systems.mult.config.widht'; did you mean 'width'\?"),
        (("crops",), "cached", r"unknown key 'crops.cached'; did you mean 'cache'\?"),
        (("training",), "epoch", r"unknown key 'training.epoch'; did you mean 'epochs'\?"),
        (("splits",), "sead", r"'splits.sead'; did you mean 'seed'\?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(demo, place, key, message):
    section = demo
    for name in place:
        section = section.setdefault(name, {})
    section[key] = 1
    with pytest.raises(AvemoError, match=message):
        resolve(demo)


def test_unknown_components_answer_with_the_known_ones(demo):
    demo["systems"]["mult"]["model"] = "mulT2"
    with pytest.raises(AvemoError, match=r"unknown model 'mulT2'; did you mean 'mult'\?"):
        resolve(demo)


def test_a_visual_extractor_cannot_be_the_audio_feature(demo):
    demo["features"]["audio"] = demo["features"]["visual"]
    with pytest.raises(AvemoError, match="features.audio: expected an extractor of audio features"):
        resolve(demo)


def test_a_system_that_normalises_one_modality_otherwise_keeps_the_others_way(demo):
    demo["training"]["normalise"] = {"audio": "clip", "visual": "clip"}
    demo["systems"]["mult"]["training"] = {"normalise": {"visual": "none"}}
    found = {name: system.training.normalise for name, system in resolve(demo).systems.items()}
    assert found["mult"].model_dump() == {"audio": "clip", "visual": "none"}
    assert found["auxformer"].model_dump() == {"audio": "clip", "visual": "clip"}


def test_one_systems_hyper_parameter_changes_that_system_alone(demo):
    before = resolve(demo)
    demo["systems"]["mult"]["training"] = {"lr": 1e-3}
    after = resolve(demo)
    changed = [name for name in before.systems if before.systems[name] != after.systems[name]]
    assert changed == ["mult"]


def test_speed_settings_change_no_part_that_triggers(demo):
    before = resolve(demo)
    demo["training"]["device"] = "cpu"
    demo["faces"] = {"device": "cpu"}
    after = resolve(demo)
    assert before.record() == after.record()
    for stage in before.components:
        assert component_spec(before, stage) == component_spec(after, stage)
    assert as_cfg(before.systems["mult"], TrainSpec) == as_cfg(after.systems["mult"], TrainSpec)
    given = settings({"demo": after})
    assert given.speed["demo/mult"]["device"] == "cpu"
    assert given.speed[after.faces.id]["device"] == "cpu"


def test_a_number_of_the_faces_moves_the_visual_features_but_not_the_audio(demo):
    before = resolve(demo)
    demo["faces"] = {"score": 0.5}
    after = resolve(demo)
    assert before.features["visual"].id != after.features["visual"].id
    assert before.features["audio"].id == after.features["audio"].id


def test_without_kept_crops_every_key_is_as_it_was_before_there_were_any(demo):
    resolved = resolve(demo)
    assert resolved == resolve(demo | {"crops": {"cache": "none", "quality": 50}})
    assert "crops" not in json.dumps(resolved.record())
    visual = component_spec(resolved, "visual").model_dump(mode="json")
    parts = [visual["version"], visual["config"], visual["libraries"], visual["faces"], *visual["weights"]]
    assert visual["id"] == f"efficientnet_b2-{digest(parts)[:8]}"
    assert set(visual) == {
        *("corpus", "id", "extractor", "version", "libraries", "config"),
        *("compression", "faces", "weights"),
    }


def test_kept_crops_belong_to_a_way_of_cutting_and_their_features_to_them(demo):
    demo["crops"] = {"cache": "jpeg"}
    kept = resolve(demo)
    visual, crops = component_spec(kept, "visual"), component_spec(kept, "crops")
    assert (visual.crops, crops.faces) == (crops.id, kept.faces.id)
    assert crops.config == CropPolicy(size_px=112).numbers() | {"quality": 95}
    config = demo["features"]["visual"]["config"]
    for change, crops_move in (({"architecture": "efficientnet_b2"}, False), ({"margin": 0.3}, True)):
        demo["features"]["visual"]["config"] = config | change
        other = resolve(demo)
        assert (other.crops.id != crops.id) is crops_move
        assert other.features["visual"].id != visual.id
    demo["crops"]["quality"] = 80
    assert resolve(demo).features["visual"].id not in (visual.id, other.features["visual"].id)
    demo["faces"] = {"score": 0.5}
    assert resolve(demo).crops.id != other.crops.id
    del demo["features"]["visual"]
    assert resolve(demo).crops is None


def test_weights_that_a_system_starts_from_are_their_bytes_wherever_they_lie(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def resolved(place: str, content: bytes) -> Run:
        Path(place).write_bytes(content)
        system = {"model": "colearning", "config": {"cnn": "none", "initial_weights": {"audio": place}}}
        return resolve(demo | {"systems": {"ours": system}})

    def triggers(run: Run) -> str:
        return as_cfg(run.systems["ours"], TrainSpec)

    first, moved, other = (resolved(*at) for at in (("a.pt", b"abc"), ("b.pt", b"abc"), ("b.pt", b"abcd")))
    assert triggers(first) == triggers(moved) != triggers(other)
    assert settings({"demo": moved}).weights["demo/ours"] == {"initial_weights": {"audio": "b.pt"}}
    assert moved.places.count("b.pt") == 1


def test_weights_that_move_change_nothing_that_triggers_and_new_ones_do(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = demo["features"]["visual"]["config"]
    config["weights"] = "a.pt"
    (tmp_path / "a.pt").write_bytes(b"abc")
    before = component_spec(resolve(demo), "visual")
    config["weights"] = "b.pt"
    (tmp_path / "a.pt").rename("b.pt")
    moved = resolve(demo)
    assert component_spec(moved, "visual") == before
    assert settings({"demo": moved}).weights[before.id] == {"weights": "b.pt"}
    (tmp_path / "b.pt").write_bytes(b"abcd")
    assert component_spec(resolve(demo), "visual").id != before.id


def test_one_modality_may_be_absent_but_not_both(demo):
    del demo["features"]["visual"]
    assert list(resolve(demo).features) == ["audio"]
    del demo["features"]["audio"]
    with pytest.raises(AvemoError, match="features: .*expected audio, visual or both"):
        resolve(demo)


def test_a_missing_or_malformed_file_is_named(tmp_path):
    with pytest.raises(AvemoError, match=r"none\.yaml: expected a config file"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(AvemoError, match="expected keys and values, found list"):
        read_config(tmp_path / "list.yaml")


def test_a_learning_curve_repeats_a_system_on_parts_of_train(demo):
    plain = resolve(demo)
    demo["learning_curve"] = {"percent": [50, 25], "systems": ["mult"]}
    resolved = resolve(demo)
    assert resolved.compared == list(plain.systems)
    assert list(resolved.systems)[-2:] == ["mult-25pct", "mult-50pct"]
    whole, part = plain.systems["mult"], resolved.systems["mult-25pct"]
    assert part.training.numbers() == whole.training.numbers() | {"train_share": 0.25}
    assert resolved.systems["mult"] == whole
    demo["learning_curve"]["systems"] = ["mul"]
    with pytest.raises(AvemoError, match=r"learning_curve.systems: no system 'mul'; did you mean 'mult'\?"):
        resolve(demo)


def test_the_schema_in_the_repository_is_the_packages_own(repository):
    """Made again by: avemo config schema > config/schema.json"""
    kept = json.loads((repository / "config" / "schema.json").read_text())
    assert kept == json.loads(json.dumps(schema())), "run: avemo config schema > config/schema.json"


@pytest.mark.parametrize("name", ["a\n", "a b", "é", "-a", "a" * 101, "baselines", "tests", ""])
def test_a_name_that_is_no_folder_of_its_own_is_refused(demo, name):
    demo["systems"][name] = demo["systems"]["mult"]
    with pytest.raises(ConfigError, match=r"config: systems: .*expected at most 100 letters"):
        resolve(demo)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [(None, "run", "a" * 400), (None, "run", "a\n"), ("corpus", "id", "a" * 400), ("corpus", "id", "a\n")],
)
def test_names_of_runs_and_corpora_are_names_of_folders(demo, section, key, value):
    (demo[section] if section else demo)[key] = value
    with pytest.raises(ConfigError, match=f"config: (corpus.)?{key}: "):
        resolve(demo)


@pytest.mark.parametrize("name", ["majority", "chance", "mean"])
def test_a_system_is_not_called_as_a_baseline(demo, name):
    demo["systems"][name] = demo["systems"].pop("mult")
    with pytest.raises(
        ConfigError, match=f"systems.{name}: expected a name and a title that no baseline has"
    ):
        resolve(demo)


@pytest.mark.parametrize("title", ["majority class", "chance", "mean of train"])
def test_a_system_has_no_title_of_a_baseline(demo, title):
    demo["systems"]["mult"]["title"] = title
    with pytest.raises(ConfigError, match="systems.mult: expected a name and a title that no baseline has"):
        resolve(demo)


def test_two_systems_have_two_titles(demo):
    demo["systems"]["auxformer"]["title"] = "auxformer"
    for title in ("auxformer", "auxformer "):
        demo["systems"]["mult"]["title"] = title
        with pytest.raises(ConfigError, match=r"mult\.title: .*'auxformer', as of systems.auxformer"):
            resolve(demo)


@pytest.mark.parametrize("title", ["a\nb", "a\0", "a" * 201])
def test_a_title_is_a_line(demo, title):
    demo["systems"]["mult"]["title"] = title
    with pytest.raises(ConfigError, match=r"systems\.mult\.title: .*a line of at most 200 characters"):
        resolve(demo)


def test_no_system_takes_the_name_of_a_smaller_one_of_the_learning_curve(demo):
    demo["learning_curve"] = {"percent": [50], "systems": ["mult"]}
    demo["systems"]["mult-50pct"] = demo["systems"]["mult"] | {"title": "another"}
    with pytest.raises(ConfigError, match="systems.mult-50pct: expected another name"):
        resolve(demo)


def test_folders_of_rules_are_filled_in_or_refused_by_their_key(demo, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = resolve(demo | {"cache": "~/cache", "results": "$HOME/results"})
    assert (found.cache, found.results) == ("/home/me/cache", "/home/me/results")
    for key in ("cache", "results"):
        for path in ("a/{run}", "{", "", "a" * 300, "$NO_SUCH_PLACE"):
            with pytest.raises(ConfigError, match=f"config: {key}: "):
                resolve(demo | {key: path})
    with pytest.raises(ConfigError, match=r"splits.files.0: .*wildcards"):
        resolve(demo | {"splits": {"protocol": "published", "files": ["{a}.csv"]}})
