"""The whole run's configuration: read, checked and filled in before any job starts.

A run's YAML names components and gives their ``Config`` fields; `resolve`
checks every field with the component's own class and fills in defaults. What
each stage depends on is cut from the resolved config by the ``*_part``
functions, for the workflow's triggers and the commands' arguments alike, so a
command can read nothing that would not also trigger it.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from avemo.base.component import Component
from avemo.base.contracts import ComponentConfig, ConfigError, digest, speed
from avemo.base.registry import nearest
from avemo.corpora import CORPORA
from avemo.corpora.base import Corpus
from avemo.features import EXTRACTORS
from avemo.models import MODELS
from avemo.weights.find import quick_identity

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"


class CorpusSection(ComponentConfig):
    """Which corpus, how it is labelled, and into how many shards its caches are cut."""

    name: str
    id: str = Field("", pattern=r"^[A-Za-z0-9_-]*$")
    """Folder under ``cache``; default: the corpus' own name. Two corpora of one kind need two ids."""
    shards: int = Field(32, ge=1, le=4096)
    config: dict[str, Any] = {}
    labels: dict[str, Any] = {}


class CropsSection(ComponentConfig):
    """Whether face crops are kept, so that further visual features of the same crops need no media."""

    cache: Literal["none", "jpeg"] = "none"
    """``none``: each visual feature decodes the media and cuts its crops. ``jpeg`` changes the features a little."""
    quality: int = Field(default=95, ge=1, le=100)
    """Of the JPEGs."""


class FeatureSection(ComponentConfig):
    """Which extractor, its fields, and how its frames are stored."""

    extractor: str
    config: dict[str, Any] = {}
    compression: Literal["none", "lzf", "gzip"] = "none"
    """Of shards on disk; changes no number, and computes nothing again."""


class FeaturesSection(ComponentConfig):
    """One feature a modality; one modality may be absent."""

    audio: FeatureSection | None = None
    visual: FeatureSection | None = None

    @model_validator(mode="after")
    def _something(self) -> FeaturesSection:
        if self.audio is None and self.visual is None:
            raise ValueError("expected audio, visual or both; name an extractor")
        return self


class SystemSection(ComponentConfig):
    """A row of the tables: a model, its fields, and where its training differs from ``training``."""

    model: str
    title: str = ""
    config: dict[str, Any] = {}
    training: dict[str, Any] = {}


class TestsSection(ComponentConfig):
    """How systems are compared with the first."""

    tail: Literal["greater", "two-sided"] = "greater"
    pairing: Literal["paired", "welch"] = "paired"
    """``paired``: by split. ``welch``: as two independent samples; used in a paper's tables."""


class LearningCurveSection(ComponentConfig):
    """Systems that are trained again on parts of each split's train clips; none unless ``percent`` says so."""

    percent: tuple[Annotated[int, Field(ge=1, le=99)], ...] = ()
    systems: tuple[str, ...] = ()
    """Which; none: the first."""


class RunConfig(ComponentConfig):
    """A whole run."""

    run: str = Field(pattern=NAME)
    cache: str = "cache"
    results: str = "results"
    corpus: CorpusSection
    faces: dict[str, Any] = {}
    crops: CropsSection = CropsSection()
    features: FeaturesSection
    splits: dict[str, Any] = {}
    training: dict[str, Any] = {}
    systems: dict[str, SystemSection] = Field(min_length=1)
    tests: TestsSection = TestsSection()
    learning_curve: LearningCurveSection = LearningCurveSection()
    strict: bool = False
    """True: a clip that fails stops the run."""
    splits_per_job: int = speed(1, ge=1)
    """Splits of one system that one job trains in turn: features are read once, a GPU is asked for once."""

    @field_validator("systems")
    @classmethod
    def _plain_names(cls, systems: dict[str, SystemSection]) -> dict[str, SystemSection]:
        for name in systems:
            if name == "baselines" or not re.match(NAME, name):
                raise ValueError(
                    f"system {name!r}: expected letters, digits, _ and -, not 'baselines'; put the rest into its title"
                )
        return systems


def read_config(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; raises `ConfigError` if it is absent or not one."""
    try:
        loaded = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: expected a config file, found {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(loaded).__name__}")
    return loaded


def parse(model: type[BaseModel], values: Any, where: str) -> Any:
    """``model(**values)``; an error names each key by its path from the top, and the nearest valid one."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(model, where, problem) for problem in error.errors())) from None


def _explain(model: type[BaseModel], where: str, problem: Any) -> str:
    location = ".".join(str(part) for part in (*([where] if where else []), *problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, problem["loc"][:-1])
        return f"config: unknown key {location!r}{nearest(str(problem['loc'][-1]), known) or '.'} Known: {', '.join(known)}"
    if problem["type"] == "missing":
        return f"config: {location}: expected a value, found none; add the key"
    return f"config: {location}: {problem['msg']}; found {problem['input']!r}"


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


def resolve(raw: dict[str, Any]) -> dict[str, Any]:
    """The config with every component checked, every default filled in, every version named.

    The shared ``training`` section is spread over the systems. A component's fields are parted: ``config`` changes numbers and triggers
    reruns, ``speed`` does neither. Raises `AvemoError` naming the key, what was
    found and the nearest valid key.
    """
    from avemo.dataset.splits import SplitConfig
    from avemo.faces.track import FaceTracker
    from avemo.training.recipe import TrainingConfig
    from avemo.training.shares import curve_systems

    run = parse(RunConfig, raw, "")
    parse(TrainingConfig, run.training, "training")
    resolved = run.model_dump(mode="json")
    resolved["speed"] = {"splits_per_job": resolved.pop("splits_per_job")}
    corpus = CORPORA.load(run.corpus.name)
    resolved["corpus"] |= {
        "id": run.corpus.id or corpus.name,
        **_fields(corpus.Config, run.corpus.config, "corpus.config"),
        "labels": _fields(corpus.Labels, run.corpus.labels, "corpus.labels")["config"],
        "version": corpus.release(),
    }
    resolved["corpus"]["synthetic"] = corpus_of(resolved).synthetic
    faces = _fields(FaceTracker.Config, run.faces, "faces") | {"version": FaceTracker.version}
    resolved["faces"] = faces | {"id": _variant(FaceTracker.name, faces)}
    resolved["features"] = {name: feature for name, feature in resolved["features"].items() if feature}
    del resolved["crops"]
    for modality, feature in resolved["features"].items():
        _resolve_feature(modality, feature, resolved, run.crops)
    resolved["splits"] = _fields(SplitConfig, run.splits, "splits")["config"]
    for name, system in resolved["systems"].items():
        _resolve_system(name, system, run.training)
    curve = run.learning_curve
    resolved["systems"] |= dict(curve_systems(resolved["systems"], curve.systems, curve.percent))
    del resolved["training"]
    resolved["speed"]["work"] = _works(resolved)
    return resolved


def _works(resolved: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the jobs of each stage's component, and of each system, ask for; changes no number."""
    from avemo.faces.jpeg import JpegCrops
    from avemo.faces.track import FaceTracker

    found: dict[str, type[Component]] = {"faces": FaceTracker, "crops": JpegCrops}
    features, systems = resolved["features"].items(), resolved["systems"].items()
    found |= {stage: EXTRACTORS.load(section["extractor"]) for stage, section in features}
    found |= {f"systems/{name}": MODELS.load(section["model"]) for name, section in systems}
    return {name: asdict(each.work) for name, each in found.items()}


def _resolve_feature(
    modality: str, feature: dict[str, Any], resolved: dict[str, Any], crops: CropsSection
) -> None:
    """Fill in a feature and, where they are kept, the crops it is made from."""
    extractor = EXTRACTORS.load(feature["extractor"])
    if extractor.modality != modality:
        raise ConfigError(
            f"config: features.{modality}: expected an extractor of {modality} features, "
            f"found {feature['extractor']!r}, which is {extractor.modality}"
        )
    feature |= _fields(extractor.Config, feature["config"], f"features.{modality}.config")
    feature["version"] = extractor.release()
    upstream = []
    if modality == "visual":
        upstream = [resolved["faces"]["id"]]
        if crops.cache == "jpeg":
            resolved["crops"] = _resolve_crops(extractor, feature, crops.quality, *upstream)
            upstream = [resolved["crops"]["id"]]
    feature["id"] = _variant(extractor.name, feature, *upstream, *weights_of(feature))


def _resolve_crops(extractor: Any, feature: dict[str, Any], quality: int, faces: str) -> dict[str, Any]:
    """Kept crops depend on how a feature wants them cut, not on the feature: two that agree share them."""
    from avemo.faces.jpeg import JpegCrops

    policy = extractor.crop_policy(extractor.Config(**feature["config"], **feature.get("places", {})))
    config = JpegCrops.Config(**policy.numbers(), quality=quality).numbers()
    section = {"config": config, "speed": {}, "version": JpegCrops.version}
    return section | {"id": _variant(JpegCrops.name, section, faces)}


def _resolve_system(name: str, system: dict[str, Any], shared: dict[str, Any]) -> None:
    from avemo.training.recipe import TrainingConfig

    model = MODELS.load(system["model"])
    where = f"systems.{name}"
    training = _fields(TrainingConfig, {**shared, **system["training"]}, f"{where}.training")
    procedure = training["config"]["procedure"]
    if procedure not in model.procedures:
        raise ConfigError(
            f"config: {where}.training.procedure: expected one that fits {system['model']!r} "
            f"({', '.join(model.procedures)}), found {procedure!r}"
        )
    system |= {
        "title": system["title"] or name,
        "config": _fields(model.Config, system["config"], f"{where}.config")["config"],
        "training": training["config"],
        "speed": training["speed"],
        "version": model.release(),
    }


def _fields(model: type[ComponentConfig], values: dict[str, Any], where: str) -> dict[str, Any]:
    """A component's fields, checked: those that change numbers, and those that only change speed."""
    checked = parse(model, values, where)
    numbers, places = checked.numbers(), checked.places()
    dumped = checked.model_dump(mode="json")
    speed = {key: value for key, value in dumped.items() if key not in {*numbers, *places}}
    return {"config": numbers, "speed": speed} | ({"places": places} if places else {})


def _variant(name: str, component: dict[str, Any], *upstream: str) -> str:
    """Folder of one setting of a component, so that two runs can share a cache side by side."""
    return f"{name}-{digest([component['version'], component['config'], *upstream])[:8]}"


def foreign_sources(resolved: dict[str, Any]) -> list[Path]:
    """Where the sources lie of a run's components that come from other packages."""
    named = [CORPORA.foreign_sources(resolved["corpus"]["name"])]
    named += [EXTRACTORS.foreign_sources(section["extractor"]) for section in resolved["features"].values()]
    named += [MODELS.foreign_sources(section["model"]) for section in resolved["systems"].values()]
    return [path for paths in named for path in paths]


def corpus_of(resolved: dict[str, Any]) -> Corpus:
    """The corpus that a resolved config, or `corpus_part` of it, names."""
    section = resolved.get("corpus", resolved)
    corpus = CORPORA.load(section["name"])
    config = corpus.Config(**section["config"], **section.get("speed", {}))
    return corpus(config, corpus.Labels(**section.get("labels", {})))


def corpus_part(resolved: dict[str, Any], *, labels: bool = False) -> dict[str, Any]:
    """What the clip table depends on, or with ``labels`` what the labels do."""
    wanted = ("id", "name", "version", "config", *(("labels",) if labels else ()))
    return {key: resolved["corpus"][key] for key in wanted}


def feature_part(resolved: dict[str, Any], stage: str) -> dict[str, Any]:
    """What the shards of a component depend on, by its stage; of weights what they are, not where."""
    corpus = {"corpus": resolved["corpus"]["id"]}
    faces = {"faces": resolved["faces"]["id"]}
    if stage in ("faces", "crops"):
        part = corpus | {key: resolved[stage][key] for key in ("id", "version", "config")}
        return part | (faces if stage == "crops" else {})
    section = resolved["features"][stage]
    names = ("id", "extractor", "version", "config", "compression")
    part = corpus | {key: section[key] for key in names}
    if stage == "visual":
        part |= {"crops": resolved["crops"]["id"]} if "crops" in resolved else faces
    return part | {"weights": weights_of(section)}


def weights_of(feature: dict[str, Any]) -> list[str]:
    """What a feature's weights are, wherever they lie."""
    return [quick_identity(place) for place in feature.get("places", {}).values()]


def train_part(resolved: dict[str, Any], system: str) -> dict[str, Any]:
    """What training ``system`` depends on, features and splits apart."""
    section = resolved["systems"][system]
    return {key: section[key] for key in ("model", "version", "config", "training")}


def compared_systems(resolved: dict[str, Any]) -> list[str]:
    """Systems of the tables and tests, the one compared with all others first; not those of a learning curve."""
    return [name for name, section in resolved["systems"].items() if "curve" not in section]


def report_part(resolved: dict[str, Any]) -> dict[str, Any]:
    """The resolved config without speed settings: what tables and report depend on."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if key != "speed"}
        return value

    return strip(resolved)


def schema() -> dict[str, Any]:
    """JSON schema of a run's config, with each component's own under ``components``."""
    from avemo.dataset.splits import SplitConfig
    from avemo.faces.track import FaceTracker
    from avemo.training.recipe import TrainingConfig

    components: dict[str, Any] = {
        "faces": FaceTracker.Config.model_json_schema(),
        "splits": SplitConfig.model_json_schema(),
        "training": TrainingConfig.model_json_schema(),
    }
    for registry in (CORPORA, EXTRACTORS, MODELS):
        classes = {name: registry.load(name) for name in registry}
        components[registry.kind] = {
            name: found.Config.model_json_schema() for name, found in classes.items()
        }
    return RunConfig.model_json_schema() | {"components": components}
