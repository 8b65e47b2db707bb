"""A run's configuration as a person writes it: its sections, how its file is read, and what its errors say.

Components' own fields stay mappings here; `avemo.study.resolve` checks them and makes a `Run`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator, model_validator

from avemo.base.atomic import aside
from avemo.base.contracts import ConfigError, Section, digest
from avemo.base.paths import InRules
from avemo.base.registry import nearest
from avemo.base.yaml_files import read_yaml
from avemo.corpora import CORPORA
from avemo.dataset.joined import Join
from avemo.dataset.splits import SplitConfig
from avemo.features import EXTRACTORS
from avemo.models import MODELS
from avemo.study.run import CodeChanges, LearningCurve, Tests
from avemo.training.recipe import TrainingConfig
from avemo.training.search import Search

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
"""Names are folders and parts of file names. For `fullmatch` where Python looks, as ``$`` lets a line's end pass."""
FILES_OF_ALL = ("baselines", "linear", "tests")
"""What lies beside the scores of systems, and so cannot be one."""
LONGEST_TITLE, SHOWN = 200, 300
Parts = str | int | list[str | int]
"""As a person writes them."""


class CorpusSection(Section):
    """Which corpus, how it is labelled, and into how many shards its caches are cut."""

    name: str
    """A corpus that avemo has, or a class of another package (`module:Class`)."""
    id: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,100}$")
    """Folder under ``cache``; default: the corpus' own name. Two corpora of one kind need two ids."""
    shards: int = Field(32, ge=1, le=4096)
    """Files of each component; a job fills one. Ten minutes of work or more in each pay for a job's start."""
    config: dict[str, Any] = {}
    labels: dict[str, Any] = {}


class AcrossSection(Section):
    """In place of ``corpus``: the corpora of other runs, each on one side. See docs/how-to/across_corpora.md."""

    train_on: tuple[str, ...] = Field(min_length=1)
    """Names of runs."""
    dev_on: tuple[str, ...] = ()
    """None: of each train corpus the share ``splits.dev`` of its groups."""
    test_on: tuple[str, ...] = Field(min_length=1)
    labels: dict[str, str | None] = {}
    """What their labels are called here; null: clips of this label are left out. Every label that some of the corpora
    lack has to be named."""

    @property
    def runs(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train_on, *self.dev_on, *self.test_on)


class CropsSection(Section):
    """Whether face crops are kept, so that further visual features of the same crops need no media."""

    cache: Literal["none", "jpeg"] = "none"
    """``none``: each visual feature decodes the media and cuts its crops. ``jpeg`` changes the features a little."""
    quality: int = Field(default=95, ge=1, le=100)
    """Of the JPEGs."""


def _texts(given: Any) -> Any:
    """One name or number, or several, as texts."""
    several = given if isinstance(given, list | tuple) else [given]
    return tuple(str(one) if isinstance(one, int) else one for one in several)


def _several(given: Any) -> Any:
    """One section, or several."""
    return () if given is None else [given] if isinstance(given, dict | Section) else given


class FeatureSection(Section):
    """Which extractor, its fields, how its frames are stored, and how systems see them."""

    extractor: str
    """One that avemo has, or a class of another package (`module:Class`)."""
    config: dict[str, Any] = {}
    compression: Literal["none", "lzf", "gzip"] = "none"
    """Of shards on disk; changes no number, and computes nothing again."""
    parts: Annotated[tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=Parts)] = ()
    """Of frames that are made of parts, such as layers of a network, those that systems see: one, or several. None: all.
    Another choice extracts nothing again."""
    join: Join | None = None
    """Of a further feature of its modality: what stands beside a frame of the first. ``mean`` (default): the mean of its
    frames that are nearest to this frame, or the nearest where there are fewer than two. ``nearest``: the nearest."""


Features = Annotated[
    tuple[FeatureSection, ...],
    BeforeValidator(_several, json_schema_input_type=FeatureSection | list[FeatureSection] | None),
]


class FeaturesSection(Section):
    """One feature a modality, or a list of them; one modality may be absent.

    Systems see features of one modality side by side, at the times of the first one's frames. A row a clip, such as
    functionals, stands beside every frame. A clip that lacks one of them lacks the modality.
    """

    audio: Features = ()
    visual: Features = ()

    @model_validator(mode="after")
    def _something(self) -> FeaturesSection:
        if not (self.audio or self.visual):
            raise ValueError("expected audio, visual or both; name an extractor")
        for modality, found in (("audio", self.audio), ("visual", self.visual)):
            if found and found[0].join:
                raise ValueError(
                    f"{modality}: expected no join of the first feature, which others are joined to; take it away"
                )
        return self


class SystemSection(Section):
    """A row of the tables: a model, its fields, and where its training differs from ``training``."""

    model: str
    """One that avemo has, or a class of another package (`module:Class`)."""
    title: str = ""
    """What tables and figures call it; default: its name."""
    config: dict[str, Any] = {}
    training: TrainingConfig = TrainingConfig.model_validate({})
    search: Search | None = None
    """Fields of ``training`` and ``config`` that are searched for on dev; none where it is left out."""

    @field_validator("title")
    @classmethod
    def _one_line(cls, title: str) -> str:
        title = title.strip()
        if not title.isprintable() or len(title) > LONGEST_TITLE:
            raise ValueError(f"expected a line of at most {LONGEST_TITLE} characters that print")
        return title


class RunConfig(Section):
    """A whole run."""

    run: str = Field(pattern=NAME)
    """Its name, and its folder under ``results``."""
    cache: Annotated[str, InRules] = "cache"
    """Folder of what runs may share: clip tables, face tracks, features."""
    results: Annotated[str, InRules] = "results"
    """Folder of what belongs to one run each."""
    corpus: CorpusSection | None = None
    """Every run has one, or `across`."""
    across: AcrossSection | None = None
    """Corpora of other runs of a `paper`, to train on some and test on others."""
    faces: dict[str, Any] = {}
    crops: CropsSection = CropsSection()
    features: FeaturesSection
    splits: SplitConfig = SplitConfig.model_validate({})
    training: TrainingConfig = TrainingConfig.model_validate({})
    """Of every system; a system's own ``training`` is laid over it."""
    systems: dict[str, SystemSection] = Field(min_length=1)
    """By name. Tests compare the first with each other one."""
    tests: Tests = Tests()
    learning_curve: LearningCurve = LearningCurve()
    strict: bool = False
    """True: a clip that fails stops the run."""
    code_changes: CodeChanges = "warn"
    """What becomes of results that other code has made than is installed: ``warn`` says so in plan and report,
    ``rerun`` makes them again, ``ignore`` says nothing."""
    splits_per_job: int = Field(1, ge=1, json_schema_extra={"speed": True})
    """Splits of one system that one job trains in turn: features are read once, a GPU is asked for once."""

    @field_validator("systems")
    @classmethod
    def _plain_names(cls, systems: dict[str, SystemSection]) -> dict[str, SystemSection]:
        for name in systems:
            if name in FILES_OF_ALL or not re.fullmatch(NAME, name):
                raise ValueError(
                    f"system {name[:120]!r}: expected at most 100 letters, digits, _ and -, "
                    f"not {' or '.join(map(repr, FILES_OF_ALL))}; put the rest into its title"
                )
        return systems


def read_config(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; raises `ConfigError` if it is absent or not one."""
    loaded = read_yaml(path)
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(loaded).__name__}")
    return loaded


def as_read(path: Path, folder: Path = Path(".avemo")) -> Path:
    """A copy in JSON of a config as `read_config` reads it, for programs that would read it otherwise."""
    text = json.dumps(read_config(path))
    copy = folder / f"given-{digest(text)}.json"
    if not copy.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with aside(copy) as temporary:
            temporary.write_text(text)
    return copy


Checked = TypeVar("Checked", bound=BaseModel)


def parse(model: type[Checked], values: Any, where: str) -> Checked:
    """``model(**values)``; an error names each key by its path from the top, and the nearest valid one."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [problem | {"loc": _as_given(values, problem["loc"])} for problem in error.errors()]
        raise ConfigError("\n".join(_explain(model, where, problem) for problem in problems)) from None


def _as_given(values: Any, location: tuple[Any, ...]) -> tuple[Any, ...]:
    """The location without the numbers of lists that stand for one mapping."""
    found = []
    for part in location:
        if isinstance(part, int) and isinstance(values, dict):
            continue
        found.append(part)
        within = isinstance(values, dict) or (isinstance(values, list) and isinstance(part, int))
        values = values[part] if within and (isinstance(values, list) or part in values) else None
    return tuple(found)


def shortened(text: str) -> str:
    """What an error shows of a text that a config or an option holds."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _explain(model: type[BaseModel], where: str, problem: Any) -> str:
    location = ".".join(str(part) for part in (*([where] if where else []), *problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, problem["loc"][:-1])
        return f"config: unknown key {location!r}{nearest(str(problem['loc'][-1]), known) or '.'} Known: {', '.join(known)}"
    if problem["type"] == "missing":
        return f"config: {location}: expected a value, found none; add the key"
    return f"config: {location}: {problem['msg']}; found {shortened(repr(problem['input']))}"


def _fields_at(model: Any, location: tuple[Any, ...]) -> list[str]:
    """Field names of the model that ``location`` leads to."""
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = field.annotation
        for inner in getattr(model, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                model = inner
    return sorted(getattr(model, "model_fields", {}))


def schema() -> dict[str, Any]:
    """JSON schema of a run's config, with each component's own under ``components``."""
    from avemo.faces.track import FaceTracker

    components: dict[str, Any] = {"faces": FaceTracker.Config.model_json_schema()}
    for registry in (CORPORA, EXTRACTORS, MODELS):
        classes = {name: registry.load(name) for name in registry}
        components[registry.kind] = {
            name: found.Config.model_json_schema() for name, found in classes.items()
        }
    return RunConfig.model_json_schema() | {"components": components}
