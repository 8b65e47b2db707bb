"""A search's fields in a config: which there are, and what a trial is trained with."""

from __future__ import annotations

import pytest

from avemo.base.contracts import ConfigError
from avemo.study.run import Run, System
from avemo.study.searched import searching_code, together, training_code, trial_spec, with_values
from avemo.study.specs import as_cfg
from avemo.study.stage_code import stage_code
from avemo.study.study import resolve_study
from avemo.training.recipe import TrainSpec

WIDTH = {"width": 8, "heads": 2, "layers": 1}


def run_of(search: dict | None, **changes) -> Run:
    system = {"model": "mult", "config": WIDTH} | ({"search": search} if search else {}) | changes
    return resolve_study(
        {
            "run": "r",
            "corpus": {"name": "demo", "config": {"root": "x"}},
            "features": {"audio": {"extractor": "logmel"}},
            "splits": {"n": 2},
            "systems": {"net": system},
        }
    ).run()


def test_a_run_without_a_search_is_as_it_was():
    assert "search" not in as_cfg(run_of(None).systems["net"], TrainSpec)
    assert "search" not in run_of(None).record()["systems"]["net"]


def test_a_trial_is_trained_as_a_system_with_its_values_is():
    fields = {
        "training.lr": [1.0e-2],
        "config.width": [16],
        "training.normalise.audio": ["clip"],
        "training.draw": ["balanced"],
    }
    spec = TrainSpec.model_validate_json(as_cfg(trial_spec(run_of({"fields": fields}).systems["net"], 0)))
    assert spec.search
    training = {"lr": 1.0e-2, "normalise": {"audio": "clip"}, "draw": "balanced"}
    plain = run_of(None, config=WIDTH | {"width": 16}, training=training).systems["net"]
    assert as_cfg(with_values("net", spec, spec.search.points[0])) == as_cfg(plain, TrainSpec)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"training.lrr": [1]}, r"unknown key 'systems.net.search.fields.training.lrr'; did you mean 'lr'"),
        (
            {"config.widht": [8]},
            r"unknown key 'systems.net.search.fields.config.widht'; did you mean 'width'",
        ),
        ({"training.normalise.sound": ["clip"]}, r"unknown key .*normalise.sound.* Known: audio, visual"),
        (
            {"training.lr.x": [1]},
            r"systems.net.search.fields.training.lr.x: expected a field, found that lr has none",
        ),
        ({"lr": [1]}, r"systems.net.search.fields: expected fields such as training.lr .* found 'lr'"),
        (
            {"training.lr": []},
            r"systems.net.search: .*fields.training.lr: expected values to try, found none",
        ),
        ({}, r"systems.net.search.fields: .* at least 1 item"),
        ({"training.lr": ["fast"]}, r"systems.net.search.fields.training.lr: .*found 'fast'"),
        (
            {"config.width": [8, 7]},
            r"systems.net.search.fields.config: .*width 7 is not a multiple of heads 2",
        ),
        (
            {"training.procedure": ["alternating"]},
            r"systems.net.training.procedure: expected one that fits 'mult'",
        ),
        ({"training.device": ["cpu"]}, r"search.fields.training.device: expected .* one that says how fast"),
    ],
)
def test_what_cannot_be_searched_for_is_named_before_the_run(fields, told):
    with pytest.raises(ConfigError, match=told):
        run_of({"fields": fields})


def test_numbers_between_the_ends_of_a_range_are_checked_too():
    with pytest.raises(ConfigError, match=r"search.fields.training.batch_size: .*valid integer"):
        run_of({"sampler": "tpe", "trials": 3, "fields": {"training.batch_size": {"low": 8.0, "high": 64.0}}})
    with pytest.raises(ConfigError, match=r"search.fields.training.lr: .*greater than 0"):
        run_of({"sampler": "tpe", "trials": 3, "fields": {"training.lr": {"low": -1.0, "high": 1.0}}})


def test_whole_ends_of_a_field_that_takes_any_number_are_refused():
    """Only 0 and 1 would be tried."""
    whole = {"training.weight_decay": {"low": 0, "high": 1}}
    with pytest.raises(
        ConfigError, match=r"weight_decay: expected 0.0 and 1.0 for the ends .*, found 0 and 1"
    ):
        run_of({"sampler": "tpe", "trials": 3, "fields": whole})
    for fields in ({"training.batch_size": {"low": 8, "high": 64}}, {"training.weight_decay": [0, 1]}):
        assert run_of({"sampler": "tpe", "trials": 3, "fields": fields}).trials("net")


def test_jobs_ask_for_the_largest_batch_that_may_be_tried():
    fields = {"training.batch_size": [16, 256, 64]}
    assert run_of({"fields": fields}).systems["net"].largest_batch == 256
    assert run_of(None, training={"batch_size": 48}).systems["net"].largest_batch == 48


@pytest.mark.parametrize("more", [{}, {"sampler": "tpe", "trials": 4}])
def test_a_command_reads_of_a_whole_system_what_a_rule_gives_for_a_trial(more):
    system = run_of({"fields": {"training.lr": [0.1, 0.2], "config.width": [8, 16]}} | more).systems["net"]
    given = as_cfg(trial_spec(system, 3))
    for cfg in (given, as_cfg(system, TrainSpec)):
        assert as_cfg(trial_spec(TrainSpec.model_validate_json(cfg), 3)) == given


def test_trials_are_counted_by_study():
    each, together = (
        {"fields": {"training.lr": [1, 2, 3]}, "studies": studies} for studies in ("each", "all")
    )
    assert run_of(each).trials("net") == [(split, n) for split in ("split00", "split01") for n in range(3)]
    assert run_of(together).trials("net") == [("all", n) for n in range(3)]
    assert run_of(None).trials("net") == []


def test_a_searched_system_has_the_code_of_all_procedures_that_it_may_choose():
    """What is noted of a model that was chosen among a grid's trials is what it ought to be made by."""

    def system_of(training: dict, search: dict | None) -> System:
        system = {"model": "colearning", "config": {}, "training": training}
        return run_of(search, **system).systems["net"]

    fields = {"training.procedure": ["joint", "sampled"], "training.lr": [0.1, 0.2]}
    searched = system_of({"procedure": "joint"}, {"fields": fields})
    joint, sampled = (searching_code(system_of({"procedure": name}, None)) for name in ("joint", "sampled"))
    assert joint != sampled
    trials = [searching_code(trial_spec(searched, number)) for number in range(4)]
    assert trials == [joint, joint, sampled, sampled]
    assert training_code(searched) == together([*trials, stage_code("choice")])


def test_code_of_searches_makes_no_training_older():
    assert "avemo/training/search.py" not in training_code(run_of(None).systems["net"])
