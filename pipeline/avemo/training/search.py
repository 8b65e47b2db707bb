"""A search for settings: which points it tries, and which trial of those it has made is the best by dev.

A grid's points are known before the run. TPE's depend on the trials before: Optuna's study is built again from
what these have left, with a seed of each trial's own, so that a kill costs no more than the trial under way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from avemo.base.contracts import AvemoError, Section, digest, left_out

if TYPE_CHECKING:
    import optuna

ALL = "all"
"""The study of a search that has one for all splits."""


class Range(Section):
    """Numbers from ``low`` to ``high``, both with them; whole ones where both are."""

    low: int | float
    high: int | float
    log: bool = left_out(False)
    """Whether they are drawn evenly in the logarithm."""

    @model_validator(mode="after")
    def _has_numbers(self) -> Range:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"expected low below high, found {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"expected low above 0 with log, found {self.low}")
        return self

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


Choices = tuple[Any, ...]
Space = Annotated[
    Annotated[Choices, Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(lambda given: "range" if isinstance(given, dict | Range) else "list"),
]


class Search(Section):
    """Fields of a system that are searched for on dev. See docs/how-to/search.md."""

    fields: dict[str, Space] = Field(min_length=1)
    """By name, such as ``training.lr`` or ``config.width``: a list of values, or for ``tpe`` also a range
    ``{low: 1.0e-5, high: 1.0e-3, log: true}``."""
    sampler: Literal["grid", "tpe"] = "grid"
    """``grid``: every combination of the values. ``tpe``: Optuna's tree-structured Parzen estimator, whose trials of
    one study are made one after the other."""
    trials: int = Field(0, ge=0)
    """Of ``tpe`` in each study, neither more nor fewer. A larger number later keeps those that are made."""
    studies: Literal["each", "all"] = "each"
    """``each``: each split has a study of its own. ``all``: one for all splits, whose trials train all of them."""
    by: Literal["score", "loss"] = "score"
    """What decides on dev, at the kept epoch: the first headline score, or the dev loss, which is no measure where the
    loss itself is searched for. Of ``all`` splits the mean."""
    startup: int = Field(10, ge=1)
    """Trials of ``tpe`` that are drawn at random before it learns from them."""
    seed: int = Field(0, ge=0)
    """Of ``tpe``, with the names of system, study and trial."""

    @model_validator(mode="after")
    def _fits_its_sampler(self) -> Search:
        ranges = [name for name, space in self.fields.items() if isinstance(space, Range)]
        empty = [name for name, space in self.fields.items() if space == ()]
        if empty:
            raise ValueError(
                f"fields.{empty[0]}: expected values to try, found none; list some, or leave it out"
            )
        if self.sampler == "grid" and ranges:
            raise ValueError(
                f"fields.{ranges[0]}: expected a list of values in a grid, found a range; list them, or take "
                "sampler: tpe"
            )
        if self.sampler == "grid" and self.trials:
            raise ValueError(
                f"trials: expected none in a grid, which has {len(self.points)} points, found {self.trials}; leave "
                "it out"
            )
        if self.sampler == "tpe" and not self.trials:
            raise ValueError("trials: expected how many trials tpe has, found none; say it, such as 20")
        return self

    @property
    def points(self) -> list[dict[str, Any]]:
        """Every combination of the values of a grid; the last field changes first."""
        choices = [space for space in self.fields.values() if not isinstance(space, Range)]
        return [dict(zip(self.fields, point, strict=True)) for point in product(*choices)]

    @property
    def probes(self) -> list[dict[str, Any]]:
        """Points to check before the run: all of a grid; of TPE each value and end, beside the first of the others."""
        if self.sampler == "grid":
            return self.points
        first = {name: _values(space)[0] for name, space in self.fields.items()}
        return [first | {name: one} for name, space in self.fields.items() for one in _values(space)]

    @property
    def count(self) -> int:
        """Trials of a study."""
        return self.trials or len(self.points)

    def study_of(self, split: str) -> str:
        """The study that decides on a split."""
        return ALL if self.studies == "all" else split

    def splits_of(self, study: str, splits: Sequence[str]) -> list[str]:
        """The splits that a trial of a study trains, of all there are."""
        return list(splits) if study == ALL else [study]

    def studies_of(self, splits: Sequence[str]) -> list[str]:
        """Every study."""
        return list(dict.fromkeys(map(self.study_of, splits)))

    def of_trial(self, number: int) -> Search:
        """What a trial depends on: of a grid its one point, of TPE a search that ends with it; of that the same again.

        Raises `AvemoError` for a grid that has no such point.
        """
        if self.sampler == "tpe":
            return self.model_copy(update={"trials": number + 1})
        points = self.points
        place = number if len(points) > 1 else 0
        if place >= len(points):
            raise AvemoError(
                f"trial {number}: expected a number below {len(points)}, the points of its grid; give such a one"
            )
        return Search.model_validate({"fields": {name: [one] for name, one in points[place].items()}})

    def most(self, field: str, otherwise: int) -> int:
        """The most that a field of numbers may get, ``otherwise`` where it is not searched for."""
        space = self.fields.get(field)
        if space is None:
            return otherwise
        return math.ceil(space.high if isinstance(space, Range) else max(map(float, space)))


class Outcome(Section):
    """A trial's training on one split, at the kept epoch: dev's loss and score, and the model's sha-256."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    loss: float
    score: float
    model: str


class Trial(Section):
    """What is kept of a trial. ``failed`` says why one has no outcomes: a loss was no number, or its values do not fit.

    ``metric`` is what ``score`` is; ``ended`` is the time of day in UTC, to the second. ``key`` tells settings, data and
    trials before it that it was made of from others, ``code`` through which code.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    study: str
    trial: int
    values: dict[str, Any]
    splits: dict[str, Outcome]
    metric: str
    failed: str = left_out("")
    ended: str
    wall_s: float
    optuna: str = left_out("")
    key: str = left_out("")
    code: dict[str, str] = {}

    def mean(self, by: Literal["score", "loss"]) -> float | None:
        """Over its splits; None where it failed, or its score is no number."""
        found = [getattr(one, by) for one in self.splits.values()]
        value = sum(found) / len(found) if found and not self.failed else math.nan
        return value if math.isfinite(value) else None


def read_trial(path: Path) -> Trial:
    """What a trial has left; raises `AvemoError` for another file, or none."""
    try:
        return Trial.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AvemoError(
            f"{path}: expected what a trial of a search leaves, found none ({str(error)[:200]}); delete it and run again"
        ) from error


def best(trials: Sequence[Trial], by: Literal["score", "loss"]) -> Trial:
    """The trial that dev prefers; of equal ones the one of lower loss, then the earlier.

    Raises `AvemoError` where all failed.
    """
    found = [trial for trial in trials if trial.mean(by) is not None]
    if not found:
        why = next((trial.failed for trial in trials if trial.failed), "none has a score")
        raise AvemoError(
            f"search, {trials[0].study}: expected a trial that did not fail, found {len(trials)} that did, such as: {why}; "
            "search among other values"
        )

    def rank(trial: Trial) -> tuple[float, float, int]:
        value, loss = trial.mean(by), trial.mean("loss")
        assert value is not None
        return (-value if by == "score" else value, math.inf if loss is None else loss, trial.trial)

    return min(found, key=rank)


def propose(search: Search, system: str, study: str, number: int, earlier: Sequence[Trial]) -> dict[str, Any]:
    """The values that a trial tries; ``earlier`` are all trials of the study before it, which a grid does not ask for.

    Raises `AvemoError` where TPE lacks one of them, or one is of another search.
    """
    if search.sampler == "grid":
        return search.points[0]
    missing = sorted({*range(number)} - {trial.trial for trial in earlier})
    if missing:
        raise AvemoError(
            f"search of {system}, {study}, trial {number}: expected all trials before it, found none of number "
            f"{missing[0]}; give its trial.json"
        )
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(digest([search.seed, system, study, number])[:8], 16)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=search.startup)
    made = optuna.create_study(direction="maximize" if search.by == "score" else "minimize", sampler=sampler)
    space = {name: _distribution(one) for name, one in search.fields.items()}
    for trial in sorted(earlier, key=lambda one: one.trial):
        value = trial.mean(search.by)
        state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
        try:
            params = {name: _asked(search.fields[name], one) for name, one in trial.values.items()}
            known = optuna.trial.create_trial(state=state, params=params, distributions=space, value=value)
        except (KeyError, ValueError) as error:
            raise AvemoError(
                f"search of {system}, {study}: expected trials of its fields, found trial {trial.trial} with "
                f"{shown(trial.values)}; delete its trial.json and run again"
            ) from error
        made.add_trial(known)
    asked = made.ask(space).params
    return {name: _told(search.fields[name], one) for name, one in asked.items()}


def _values(space: Space) -> tuple[Any, ...]:
    if not isinstance(space, Range):
        return space
    # One between tells a field of whole numbers from one of any.
    between = () if space.is_whole else (space.low + 0.381966 * (space.high - space.low),)
    return (space.low, space.high, *between)


def _distribution(space: Space) -> optuna.distributions.BaseDistribution:
    """Of a list its places, as values may be lists and Optuna's may not."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(space, Range):
        return CategoricalDistribution(tuple(range(len(space))))
    if space.is_whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def _told(space: Choices | Range, asked: Any) -> Any:
    return asked if isinstance(space, Range) else space[asked]


def _asked(space: Choices | Range, told: Any) -> Any:
    return told if isinstance(space, Range) else [json.dumps(one) for one in space].index(json.dumps(told))


def shown(values: Mapping[str, Any]) -> str:
    """Values in a line, without the first part of their fields' names where the last is enough.

    >>> shown({"training.lr": 0.00123456, "config.width": 64})
    'lr 0.001235, width 64'
    """
    lasts = [name.rpartition(".")[2] for name in values]
    names = [last if lasts.count(last) == 1 else name for name, last in zip(values, lasts, strict=True)]
    told = [f"{one:.4g}" if isinstance(one, float) else str(one) for one in values.values()]
    return ", ".join(f"{name} {one}" for name, one in zip(names, told, strict=True))
