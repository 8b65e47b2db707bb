"""What each stage depends on: a rule's ``cfg`` is its spec's JSON, and the stage's command reads it back.

So a command can read nothing that would not also trigger it. `Settings` are
what commands need beside it and what triggers nothing.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from avemo.base.contracts import Section, left_out
from avemo.weights.find import quick_identity

if TYPE_CHECKING:
    from avemo.study.run import Run


UNITED = "united corpora"
"""In place of a corpus' name: those of other runs together. No registry has a name with a blank."""
Places = dict[str, Any]
"""Where weights lie, by field of a ``Config``: a path or a registered name, or several by part."""


class IndexSpec(Section):
    """A clip table."""

    id: str
    """Folder under ``cache``."""
    name: str
    version: int | str
    libraries: dict[str, str] = left_out({})
    config: dict[str, Any]

    @property
    def parts(self) -> tuple[str, ...]:
        """Ids of the corpora that united ones are; nothing for one corpus."""
        return tuple(self.config["corpora"]) if self.name == UNITED else ()

    @property
    def title(self) -> str:
        """What pages call it."""
        return " + ".join(self.parts) or self.name


class LabelsSpec(IndexSpec):
    """A run's labels."""

    labels: dict[str, Any]

    @property
    def label_runs(self) -> dict[str, str]:
        """By id of united corpora: the run whose labels are taken."""
        return dict(self.labels["runs"]) if self.parts else {}


class TrackSpec(Section):
    """Face tracks; ``corpus`` and ``id`` are the folders they lie in."""

    corpus: str
    id: str
    version: int | str
    libraries: dict[str, str] = left_out({})
    config: dict[str, Any]


class CropsSpec(TrackSpec):
    """Kept crops, cut by the tracks of the component ``faces``."""

    faces: str


class ExtractSpec(Section):
    """Features; visual ones of the component ``crops`` where crops are kept, else of ``faces`` and the media."""

    corpus: str
    id: str
    extractor: str
    version: int | str
    libraries: dict[str, str] = left_out({})
    config: dict[str, Any]
    compression: str
    crops: str = left_out("")
    faces: str = left_out("")
    weights: list[str]
    """What the weights are, wherever they lie."""
    places: Places = left_out({})
    """Where weights lie, for a command given by hand; in a workflow `Settings` say it."""


class Settings(Section):
    """What changes no number, by what a job works on: a corpus id, a component id or ``run/system``."""

    speed: dict[str, dict[str, Any]] = {}
    weights: dict[str, Places] = {}
    """Where weights lie, for components that have any."""
    shards: dict[str, int] = {}
    """Into how many shards each corpus is cut."""
    rerun_for_code: bool = False
    """Whether items that other code has made are computed again."""


def as_cfg(spec: Section | dict[str, Any], kind: type[Section] | None = None) -> str:
    """A rule's ``cfg``: all of ``spec``, or of its fields those that its base ``kind`` has.

    Not sorted: the order of systems means something, all other order is the schema's.
    """
    if isinstance(spec, dict):
        return json.dumps(spec)
    return json.dumps(_adapter(kind or type(spec)).dump_python(spec, mode="json"))


@cache
def _adapter(kind: type[Section]) -> TypeAdapter[Section]:
    return TypeAdapter(kind)


def component_spec(run: Run, stage: str) -> TrackSpec | ExtractSpec:
    """What the shards of a stage's component depend on."""
    if stage in run.features:
        return extract_spec(run, stage)
    found = run.components[stage]
    given = {"corpus": run.corpus.id, **found.model_dump(include={"id", "version", "libraries", "config"})}
    return CropsSpec(**given, faces=run.faces.id) if stage == "crops" else TrackSpec(**given)


def extract_spec(run: Run, name: str) -> ExtractSpec:
    """What the feature of this name depends on; of weights what they are, not where."""
    feature = run.features[name]
    visual = name.startswith("visual") and not feature.faceless
    return ExtractSpec(
        corpus=run.corpus.id,
        id=feature.id,
        extractor=feature.extractor,
        version=feature.version,
        libraries=feature.libraries,
        config=feature.config,
        compression=feature.compression,
        crops=run.crops.id if visual and run.crops else "",
        faces=run.faces.id if visual and not run.crops else "",
        weights=list(identified(feature.places).values()),
    )


def identified(places: Places) -> Places:
    """What the weights are that lie at these places."""
    return {
        field: identified(place) if isinstance(place, dict) else quick_identity(place)
        for field, place in places.items()
    }


def settings(runs: dict[str, Run]) -> Settings:
    """Those of several runs."""
    speed: dict[str, dict[str, Any]] = {}
    weights: dict[str, Places] = {}
    for name, run in runs.items():
        speed[run.corpus.id] = run.corpus.speed
        speed[run.faces.id] = run.faces.speed
        for feature in run.features.values():
            speed[feature.id], weights[feature.id] = feature.speed, feature.places
        for system, section in run.systems.items():
            speed[f"{name}/{system}"] = section.training.speeds()
            if section.places:
                weights[f"{name}/{system}"] = section.places
    shards = {run.corpus.id: run.corpus.shards for run in runs.values()}
    rerun = any(run.code_changes == "rerun" for run in runs.values())
    return Settings(speed=speed, weights=weights, shards=shards, rerun_for_code=rerun)
