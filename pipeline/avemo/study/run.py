"""One run, resolved: every component checked, every default filled in, every version named.

A component's fields lie in three places: ``config`` changes numbers, ``speed``
does not, and ``places`` say where weights lie. `avemo.study.resolve.resolve`
makes a `Run`; `Run.record` is what a run's folder keeps of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from avemo.base.component import Work
from avemo.base.contracts import AvemoError, Section, left_out
from avemo.base.registry import nearest
from avemo.dataset.joined import Reading
from avemo.dataset.splits import SplitConfig
from avemo.study.specs import LabelsSpec, Places
from avemo.training.recipe import TrainingConfig, TrainSpec

STAGES = ("faces", "crops", "audio", "visual")
"""Kinds of stage whose components fill a cache, in the order of the data's flow."""
FeatureName = Annotated[str, Field(pattern=r"^(audio|visual)(-[1-9]\d*)?$")]
"""The first feature of a modality has its name, further ones ``audio-2``, ``audio-3``; each is a stage of its own."""
CodeChanges = Literal["warn", "rerun", "ignore"]


class Tests(Section):
    """How systems are compared with the first."""

    tail: Literal["greater", "two-sided"] = "greater"
    """``greater``: whether the first system scores higher. ``two-sided``: whether they differ."""
    pairing: Literal["paired", "welch"] = "paired"
    """``paired``: by split. ``welch``: as two independent samples; used in a paper's tables."""


class LearningCurve(Section):
    """Systems that are trained again on parts of each split's train clips; none unless ``percent`` says so."""

    percent: tuple[Annotated[int, Field(ge=1, le=99)], ...] = ()
    """Of the train clips."""
    systems: tuple[str, ...] = ()
    """Which; none: the first."""


class Corpus(LabelsSpec):
    """Which corpus, how it is labelled, into how many shards its caches are cut."""

    shards: int
    speed: dict[str, Any] = {}
    synthetic: bool = False
    """Whether the clips are generated, and nobody was recorded."""


class Component(Section):
    """What fills a cache: ``id`` is its folder, one for each setting."""

    config: dict[str, Any]
    speed: dict[str, Any] = {}
    version: int | str
    libraries: dict[str, str] = left_out({})
    """Versions of the distributions that make its numbers."""
    id: str


def modality_of(name: str) -> str:
    """The modality of a feature, and the kind of any stage.

    >>> modality_of("audio-2"), modality_of("faces")
    ('audio', 'faces')
    """
    return name.partition("-")[0]


Thing = TypeVar("Thing")


def named(modality: str, several: Iterable[Thing]) -> dict[str, Thing]:
    """Features of a modality, in their order, by name.

    >>> named("audio", ["a", "b"])
    {'audio': 'a', 'audio-2': 'b'}
    """
    return {f"{modality}-{n}" if n > 1 else modality: one for n, one in enumerate(several, 1)}


class Feature(Section):
    """An extractor, how its frames are stored, and how systems see them."""

    extractor: str
    config: dict[str, Any]
    compression: Literal["none", "lzf", "gzip"]
    imported: bool = left_out(False)
    """Whether another program made it, and neither media nor faces are read."""
    whole_frames: bool = left_out(False)
    """Whether whole pictures are read, and no faces."""
    speed: dict[str, Any] = {}
    places: Places = left_out({})
    version: int | str
    libraries: dict[str, str] = left_out({})
    """Versions of the distributions that make its numbers."""
    id: str
    reading: Reading = left_out(Reading())

    @property
    def faceless(self) -> bool:
        """Whether it needs no face, be it of sound or not."""
        return self.imported or self.whole_frames


def as_option(manifest: Path, reading: Reading) -> str:
    """A feature's manifest and how systems see it, as an option that `read_option` reads.

    >>> as_option(Path("a.json"), Reading()), read_option('a.json#{"join": "nearest"}')
    ('a.json', (PosixPath('a.json'), Reading(parts=(), join='nearest')))
    """
    said = reading.model_dump_json()
    return str(manifest) if said == "{}" else f"{manifest}#{said}"


def read_option(text: str) -> tuple[Path, Reading]:
    """Of a feature's option its manifest, and how to read it; raises `AvemoError` for a reading that is none."""
    path, mark, said = text.partition("#{")
    try:
        return Path(path), Reading.model_validate_json(f"{{{said}" if mark else "{}")
    except ValidationError as error:
        raise AvemoError(
            f'{text[:300]}: expected a manifest, or one with how to read it, such as a.json#{{"parts": ["3"]}}, '
            f"found {error.errors()[0]['msg']}"
        ) from error


class System(TrainSpec):
    """A row of the tables: a model, and how it is trained."""

    training: TrainingConfig
    title: str
    places: Places = left_out({})
    curve: str | None = left_out()
    """The system that this one repeats on a part of the train clips."""

    @property
    def largest_batch(self) -> int:
        """Clips of the largest mini-batch that a training of it may have."""
        size = self.training.batch_size
        return self.search.most("training.batch_size", size) if self.search else size


class RunSpeed(Section):
    """What changes only how a run is cut into jobs."""

    splits_per_job: int = Field(1, ge=1)
    """Splits of one system that one job trains in turn: features are read once, a GPU is asked for once."""
    work: dict[str, Work] = {}
    """What jobs ask for, by stage and by ``systems/NAME``."""


class Run(Section):
    """A whole run."""

    run: str
    cache: str
    results: str
    corpus: Corpus
    faces: Component
    features: dict[FeatureName, Feature]
    splits: SplitConfig
    systems: dict[str, System]
    tests: Tests
    learning_curve: LearningCurve
    strict: bool
    """A clip that fails stops the run."""
    speed: RunSpeed = RunSpeed.model_validate({})
    crops: Component | None = left_out()
    code_changes: CodeChanges = Field("warn", exclude_if=lambda value: value == "warn")

    @property
    def components(self) -> dict[str, Component | Feature]:
        """Components by stage; faces are tracked, and crops kept, for visual features alone."""
        seen = [one for name, one in self.features.items() if modality_of(name) == "visual"]
        found = {"faces": None if all(one.faceless for one in seen) else self.faces, "crops": self.crops}
        return {stage: component for stage, component in found.items() if component} | self.features

    @property
    def places(self) -> list[str]:
        """Where its components' weights lie."""
        given = [feature.places for feature in self.features.values()]
        given += [system.places for system in self.systems.values()]
        found = [place for places in given for place in places.values()]
        return [one for place in found for one in (place.values() if isinstance(place, dict) else [place])]

    @property
    def split_names(self) -> list[str]:
        """The splits, in order."""
        return self.splits.names

    @property
    def packs(self) -> list[list[str]]:
        """The splits that one job trains in turn; it is known by the first."""
        names, size = self.split_names, self.speed.splits_per_job
        return [names[first : first + size] for first in range(0, len(names), size)]

    def first_split(self, split: str) -> str:
        """The split by which the job is known that trains this one."""
        return next((pack[0] for pack in self.packs if split in pack), split)

    def pack(self, first: str) -> list[str]:
        """The splits that the job known by ``first`` trains; that one alone, asked for by itself."""
        return next((pack for pack in self.packs if pack[0] == first), [first])

    @property
    def compared(self) -> list[str]:
        """Systems of the tables and tests, the one compared with all others first; not those of a learning curve."""
        return [name for name, system in self.systems.items() if not system.curve]

    def trials(self, system: str) -> list[tuple[str, int]]:
        """Study and number of each trial of a system's search; none where it has no search."""
        search = self.systems[system].search
        if search is None:
            return []
        return [(study, n) for study in search.studies_of(self.split_names) for n in range(search.count)]

    def require(self, system: str) -> None:
        """Raise `AvemoError` for a system that the run has not."""
        if system not in self.systems:
            raise AvemoError(f"run {self.run} has no system {system}{nearest(system, self.systems)}")

    def record(self) -> dict[str, Any]:
        """What tables and report depend on, as JSON: no speed settings. Read back, these have their defaults."""
        return self.model_dump(mode="json", exclude=SPEED)


TRAINING_SPEED = {
    name
    for name, field in TrainingConfig.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and "speed" in field.json_schema_extra
}
"""Fields of a training that change no number."""
SPEED: dict[str, Any] = {
    "speed": True,
    "corpus": {"speed"},
    "faces": {"speed"},
    "crops": {"speed"},
    "features": {"__all__": {"speed"}},
    "systems": {"__all__": {"training": TRAINING_SPEED}},
}
"""Fields of a `Run` that change no number."""
