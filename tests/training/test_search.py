"""What a search tries, by Optuna itself; that no trial is asked for twice; and that dev alone decides."""

from __future__ import annotations

import itertools
import json
import math

import optuna
import pytest
from pydantic import ValidationError

from avemo.base.contracts import AvemoError, digest
from avemo.training.search import Outcome, Search, Trial, best, propose, read_trial, shown

WIDTHS = [[8, 8], [16, 8], [32, 8]]
FIELDS = {
    "training.lr": {"low": 1.0e-5, "high": 1.0e-1, "log": True},
    "training.weight_decay": {"low": 0.0, "high": 1.0},
    "training.batch_size": {"low": 8, "high": 64, "log": True},
    "config.widths": WIDTHS,
}
TPE = Search.model_validate({"sampler": "tpe", "trials": 25, "fields": FIELDS})


def toy(values: dict) -> float:
    """Best at 1e-3, 0.25, batches of 16 and the middle widths."""
    apart = (math.log10(values["training.lr"]) + 3) ** 2 + (values["training.weight_decay"] - 0.25) ** 2
    apart += (math.log2(values["training.batch_size"]) - 4) ** 2 / 4
    return -apart - abs(WIDTHS.index(values["config.widths"]) - 1)


def trial(number: int, values: dict, score: float, study: str = "split00", loss: float = 1.0) -> Trial:
    outcome = Outcome(loss=loss, score=score, model=f"m{number}")
    common = {"metric": "macro_f1", "ended": "2026-01-01T00:00:00Z", "wall_s": 1.0}
    return Trial(study=study, trial=number, values=values, splits={"split00": outcome}, **common)


def failed(number: int, values: dict) -> Trial:
    return trial(number, values, 0.0).model_copy(update={"splits": {}, "failed": "loss inf"})


def made(search: Search, count: int, broken: tuple[int, ...] = ()) -> list[Trial]:
    """Trials one after the other, each by a process that knows no more than the records of those before."""
    found: list[Trial] = []
    for number in range(count):
        known = [Trial.model_validate_json(one.model_dump_json()) for one in found]
        values = propose(search.of_trial(number), "net", "split00", number, known)
        one = failed(number, values) if number in broken else trial(number, values, toy(values))
        found.append(one)
    return found


def by_optuna(search: Search, count: int, broken: tuple[int, ...] = ()) -> list[dict]:
    """The same by one study of Optuna's that lives on, told of each trial as its own guide has it."""
    study, asked = optuna.create_study(direction="maximize"), []
    for number in range(count):
        seed = int(digest([search.seed, "net", "split00", number])[:8], 16)
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=search.startup)
        own = study.ask()
        values = {
            "training.lr": own.suggest_float("training.lr", 1e-5, 1e-1, log=True),
            "training.weight_decay": own.suggest_float("training.weight_decay", 0.0, 1.0),
            "training.batch_size": own.suggest_int("training.batch_size", 8, 64, log=True),
            "config.widths": WIDTHS[own.suggest_categorical("config.widths", [0, 1, 2])],
        }
        asked.append(values)
        if number in broken:
            study.tell(own, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(own, toy(values))
    return asked


@pytest.mark.parametrize("broken", [(), (0, 11)])
def test_tpe_tries_what_optuna_does(broken):
    assert [one.values for one in made(TPE, 25, broken)] == by_optuna(TPE, 25, broken)


def test_tpe_learns_what_drawing_at_random_does_not():
    def reached(startup: int) -> float:
        searches = [TPE.model_copy(update={"seed": seed, "startup": startup}) for seed in range(5)]
        return sum(max(toy(one.values) for one in made(search, 40)) for search in searches) / 5

    assert reached(10) > reached(40)


def test_seeds_systems_and_studies_draw_apart():
    drawn = [
        propose(TPE.model_copy(update={"seed": seed}), system, study, 0, [])["training.lr"]
        for seed, system, study in itertools.product((0, 1), ("net", "other"), ("split00", "split01"))
    ]
    assert len(set(drawn)) == 8
    trials = made(TPE, 10)
    assert len({one.values["training.lr"] for one in trials}) == 10


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been():
    whole, half = made(TPE, 20), made(TPE.model_copy(update={"trials": 7}), 7)
    assert half == whole[:7]
    for number in range(7, 20):
        values = propose(TPE.of_trial(number), "net", "split00", number, list(reversed(half)))
        half.append(trial(number, values, toy(values)))
    assert half == whole


def test_a_trial_that_lacks_one_before_it_says_which():
    trials = made(TPE, 4)
    with pytest.raises(AvemoError, match=r"net, split00, trial 4: .* found none of number 2"):
        propose(TPE, "net", "split00", 4, [trials[0], trials[1], trials[3]])


def test_a_trial_depends_on_no_later_one():
    """A larger budget changes nothing that there is; a grid's trial is its own point alone."""
    larger = TPE.model_copy(update={"trials": 100})
    assert [TPE.of_trial(n) for n in range(25)] == [larger.of_trial(n) for n in range(25)]
    assert TPE.of_trial(3) != TPE.of_trial(4)
    again = Search.model_validate_json(json.dumps(TPE.of_trial(3).model_dump(mode="json")))
    assert again == TPE.of_trial(3)
    small = Search.model_validate({"fields": {"training.lr": [0.1, 0.2], "config.width": [8, 16]}})
    grown = Search.model_validate(
        {"fields": {"training.lr": [0.1, 0.2, 0.3], "config.width": [8, 16]}, "by": "loss"}
    )
    assert [small.of_trial(n) for n in range(4)] == [grown.of_trial(n) for n in range(4)]


def test_what_a_trial_depends_on_is_made_of_it_again():
    """So a command may be given a whole system or what a rule gives."""
    grid = Search.model_validate({"fields": {"training.lr": [0.1, 0.2, 0.3]}, "by": "loss"})
    for search in (grid, TPE):
        assert search.of_trial(2).of_trial(2) == search.of_trial(2)
    with pytest.raises(AvemoError, match=r"trial 3: expected a number below 3, the points of its grid"):
        grid.of_trial(3)


def test_the_most_that_a_field_may_get_is_what_jobs_are_to_ask_for():
    fields = {"training.epochs": [10, "40", 20], "training.batch_size": {"low": 8, "high": 64}}
    search = Search.model_validate({"sampler": "tpe", "trials": 1, "fields": fields})
    assert [search.most(f"training.{name}", 5) for name in ("epochs", "batch_size", "seed")] == [40, 64, 5]
    grid = Search.model_validate({"fields": {"training.epochs": [10, 40]}})
    assert [grid.of_trial(n).most("training.epochs", 5) for n in range(2)] == [10, 40]


def test_a_grid_has_every_combination_as_optunas_has():
    search = Search.model_validate({"fields": {"training.lr": [0.1, 0.2], "config.widths": [0, 1, 2]}})
    sampler = optuna.samplers.GridSampler({"training.lr": [0.1, 0.2], "config.widths": [0, 1, 2]})
    study = optuna.create_study(sampler=sampler)

    def objective(own):
        return own.suggest_float("training.lr", 0, 1) + own.suggest_int("config.widths", 0, 2)

    study.optimize(objective)
    ours = [propose(search.of_trial(n), "net", "split00", n, []) for n in range(search.count)]
    assert search.count == 6
    assert sorted(map(str, ours)) == sorted(str(one.params) for one in study.trials)


def test_dev_decides_by_score_then_loss_then_order():
    values = {"training.lr": 0.1}
    trials = [trial(0, values, 0.5), trial(1, values, 0.7, loss=2.0), trial(2, values, 0.7, loss=1.5)]
    trials += [trial(3, values, 0.7, loss=1.5), trial(4, values, math.nan, loss=0.1), failed(5, values)]
    assert best(trials, "score").trial == 2
    assert best(list(reversed(trials)), "score").trial == 2
    assert best(trials, "loss").trial == 4
    with pytest.raises(
        AvemoError, match=r"search, split00: .* found 1 that did, such as: loss inf; search among"
    ):
        best([failed(0, values)], "score")


def test_of_all_splits_the_mean_decides():
    def over(number: int, *scores: float) -> Trial:
        splits = {f"split{n:02d}": Outcome(loss=1.0, score=score, model="") for n, score in enumerate(scores)}
        return trial(number, {}, 0.0, "all").model_copy(update={"splits": splits})

    assert best([over(0, 0.9, 0.1), over(1, 0.55, 0.5)], "score").trial == 1


def test_a_score_that_is_no_number_is_kept_as_such():
    found = Trial.model_validate_json(trial(0, {}, math.nan).model_dump_json())
    assert math.isnan(found.splits["split00"].score)
    assert found.mean("score") is None
    assert found.mean("loss") == 1.0


@pytest.mark.parametrize("values", [{"training.lr": 1.0e-3}, {"config.heads": 2}])
def test_trials_of_another_search_are_refused(values):
    with pytest.raises(
        AvemoError, match=r"search of net, split00: expected trials of its fields, found trial 0"
    ):
        propose(TPE, "net", "split00", 1, [trial(0, values, 0.5)])


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "trial.json").write_text("{")
    with pytest.raises(AvemoError, match=r"trial.json: expected what a trial of a search leaves"):
        read_trial(tmp_path / "trial.json")
    with pytest.raises(AvemoError, match=r"gone.json: expected"):
        read_trial(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fields": {}}, "at least 1 item"),
        ({"fields": {"training.lr": []}}, "fields.training.lr: expected values to try, found none"),
        (
            {"fields": {"training.lr": {"low": 1, "high": 2}}},
            "fields.training.lr: expected a list of values in a grid",
        ),
        (
            {"fields": {"training.lr": [1]}, "trials": 3},
            "expected none in a grid, which has 1 points, found 3",
        ),
        ({"fields": {"training.lr": [1]}, "sampler": "tpe"}, "expected how many trials tpe has"),
        (
            {"fields": {"a.b": {"low": 2, "high": 1}}, "sampler": "tpe", "trials": 1},
            "expected low below high",
        ),
        (
            {"fields": {"a.b": {"low": 0, "high": 1, "log": True}}, "sampler": "tpe", "trials": 1},
            "expected low above 0 with log",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        Search.model_validate(given)


def test_values_in_a_line_keep_apart_fields_of_one_name():
    assert shown({"training.seed": 1, "config.seed": 2}) == "training.seed 1, config.seed 2"
