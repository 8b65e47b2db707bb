"""A system's settings with a search's values in their place, checked as a config's own are."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from avemo.base.contracts import ComponentConfig, ConfigError
from avemo.base.registry import nearest
from avemo.models import MODELS
from avemo.study.config import parse
from avemo.study.stage_code import model_code, stage_code, trial_code
from avemo.training.recipe import TrainingConfig, TrainSpec
from avemo.training.search import Range

PARTS = ("training", "config")
"""Of a system, what a search may change."""


def with_values(system: str, spec: TrainSpec, values: Mapping[str, Any]) -> TrainSpec:
    """``spec`` without its search, trained with these values by the dotted names of their fields.

    Raises `ConfigError` naming a field that there is not, or that changes no number, and a value that does not fit.
    """
    where, kind = f"systems.{system}.search.fields", MODELS.load(spec.model).Config
    # Where weights lie the job is told; what they are is no field to check.
    located = {name for name in spec.config if _declared(kind, name, "located")}
    own = {name: value for name, value in spec.config.items() if name not in located}
    given = copy.deepcopy({"training": spec.training.model_dump(), "config": own})
    kinds: dict[str, type[ComponentConfig]] = {"training": TrainingConfig, "config": kind}
    for field, value in values.items():
        part, *names = field.split(".")
        if part not in PARTS or not names:
            raise ConfigError(
                f"config: {where}: expected fields such as training.lr or config.NAME, found {field!r}"
                f"{nearest(part, PARTS)}"
            )
        for declared in ("speed", "located"):
            if _declared(kinds[part], names[0], declared):
                raise ConfigError(
                    f"config: {where}.{field}: expected a field that changes how a system learns, found one that "
                    f"says {'how fast' if declared == 'speed' else 'from which weights'}; leave it out"
                )
        _put(given[part], names, value, f"{where}.{field}")
    needed = {name: spec.config[name] for name in located}
    training = parse(TrainingConfig, given["training"], f"{where}.training")
    config = parse(kind, given["config"] | needed, f"{where}.config").numbers()
    return TrainSpec(model=spec.model, version=spec.version, config=config | needed, training=training)


def searched(system: str, spec: TrainSpec) -> Iterator[TrainSpec]:
    """Trials of a search that are checked before the run, as far as their settings are known then.

    Raises `ConfigError` as `with_values` does, and for a range of whole numbers where any number fits.
    """
    probes = spec.search.probes if spec.search else []
    for values in probes:
        yield with_values(system, spec, values)
    for field, space in spec.search.fields.items() if spec.search else ():
        if isinstance(space, Range) and space.is_whole:
            _require_whole(system, spec, probes[0], field, space)


def _require_whole(system: str, spec: TrainSpec, values: Mapping[str, Any], field: str, space: Range) -> None:
    try:
        with_values(system, spec, {**values, field: space.low + 0.5})
    except ConfigError:
        return
    raise ConfigError(
        f"config: systems.{system}.search.fields.{field}: expected {float(space.low)} and {float(space.high)} for the "
        f"ends of a field of numbers, found {space.low} and {space.high}, between which only whole ones are tried; "
        "write the ends with a point, or list the whole numbers"
    )


def trial_spec(spec: TrainSpec, number: int) -> TrainSpec:
    """What a trial of a searched system depends on."""
    assert spec.search
    return TrainSpec(
        **spec.model_dump(include={"model", "version", "config"}),
        training=spec.training,
        search=spec.search.of_trial(number),
    )


def is_sequential(spec: TrainSpec) -> bool:
    """Whether a search's trials read what those before them have found."""
    return spec.search is not None and spec.search.sampler != "grid"


def trial_name(number: int) -> str:
    """What records of what was made call a trial."""
    return f"trial {number}"


def training_code(spec: TrainSpec) -> dict[str, str]:
    """Through which code a system is trained; a searched one, its trials, and one is chosen of them."""
    if spec.search is None:
        return model_code(spec.model, spec.training.procedure)
    return together([searching_code(spec), stage_code("choice")])


def searching_code(spec: TrainSpec) -> dict[str, str]:
    """Through which code a trial is made, or several together, by every procedure that they may choose."""
    space = spec.search.fields.get("training.procedure") if spec.search else None
    procedures = space if isinstance(space, tuple) else (spec.training.procedure,)
    return together(trial_code(spec.model, one) for one in procedures)


def together(codes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The code of what rests on things that were made by code of their own: by file all digests."""
    found: dict[str, set[str]] = {}
    for code in codes:
        for file, digests in code.items():
            found.setdefault(file, set()).update(digests.split(" "))
    return {file: " ".join(sorted(digests)) for file, digests in sorted(found.items())}


def _declared(kind: type[ComponentConfig], name: str, how: str) -> bool:
    extra = kind.model_fields[name].json_schema_extra if name in kind.model_fields else None
    return isinstance(extra, dict) and how in extra


def _put(nested: dict[str, Any], names: list[str], value: Any, where: str) -> None:
    for name in names[:-1]:
        nested = nested.setdefault(name, {})
        if not isinstance(nested, dict):
            raise ConfigError(
                f"config: {where}: expected a field, found that {name} has none; correct the name"
            )
    nested[names[-1]] = value
