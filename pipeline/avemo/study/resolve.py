"""From a run's configuration to the run: each named component loaded, its fields checked, its version and id found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from avemo.base.component import Component as Declared
from avemo.base.component import Work
from avemo.base.contracts import ComponentConfig, ConfigError, digest
from avemo.base.registry import nearest
from avemo.corpora import CORPORA
from avemo.corpora.base import Corpus as CorpusKind
from avemo.dataset import TASKS
from avemo.dataset.joined import Reading
from avemo.dataset.splits import SplitConfig
from avemo.features import EXTRACTORS
from avemo.models import MODELS
from avemo.study.across import across_of, require_alike
from avemo.study.config import (
    CorpusSection,
    CropsSection,
    FeatureSection,
    FeaturesSection,
    RunConfig,
    parse,
)
from avemo.study.run import Component, Corpus, Feature, LearningCurve, Run, RunSpeed, System, named
from avemo.study.searched import searched
from avemo.study.specs import IndexSpec, LabelsSpec, identified
from avemo.training.recipe import TrainSpec


def resolve(raw: dict[str, Any], others: Mapping[str, Run] | None = None) -> Run:
    """The run with every component checked, every default filled in, every version named.

    The shared ``training`` section is spread over the systems. ``others`` are the runs that one across corpora may
    name. Raises `AvemoError` naming the key, what was found and the nearest valid key.
    """
    from avemo.faces.track import FaceTracker

    across = across_of(raw, others or {})
    given = parse(RunConfig, across.raw if across else raw, "")
    corpus = across.corpus if across else _corpus(given.corpus)
    faces = _component(FaceTracker, _fields(FaceTracker.Config, given.faces, "faces"))
    extractors = _extractors(given.features)
    crops = _kept_crops(given.crops, extractors, faces.id)
    face_stage = crops.id if crops else faces.id
    features = {
        name: _feature(one, *([face_stage] if one.kind.reads_of(one.fields.checked) == "faces" else []))
        for name, one in extractors.items()
    }
    _check_apart(features)
    fields = {
        name: _fields(MODELS.load(one.model).Config, one.config, f"systems.{name}.config")
        for name, one in given.systems.items()
    }
    systems = {
        name: System(
            model=one.model,
            version=MODELS.load(one.model).release(),
            config=fields[name].config | identified(fields[name].places),
            places={field: place for field, place in fields[name].places.items() if place},
            training=one.training.over(given.training),
            title=one.title or name,
            search=one.search,
        )
        for name, one in given.systems.items()
    }
    for name, system in systems.items():
        _check_procedure(name, system)
        for tried in searched(name, system):
            _check_procedure(name, tried)
    curve_systems = _curve_systems(systems, given.learning_curve)
    _check_titles(systems | curve_systems)
    run = Run(
        run=given.run,
        cache=given.cache,
        results=given.results,
        corpus=corpus,
        faces=faces,
        features=features,
        splits=counted(given.splits, corpus),
        systems=systems | curve_systems,
        tests=given.tests,
        learning_curve=given.learning_curve,
        strict=given.strict,
        code_changes=given.code_changes,
        speed=RunSpeed(splits_per_job=given.splits_per_job, work=_work(given, extractors)),
        crops=crops,
    )
    if across:
        require_alike(run, across.members)
    return run


def _work(given: RunConfig, extractors: Mapping[str, Extractor]) -> dict[str, Work]:
    """What the jobs of each stage's component, and of each system, ask for."""
    from avemo.faces.jpeg import JpegCrops
    from avemo.faces.track import FaceTracker

    found: dict[str, type[Declared]] = {"faces": FaceTracker, "crops": JpegCrops}
    found |= {name: one.kind for name, one in extractors.items()}
    found |= {f"systems/{name}": MODELS.load(system.model) for name, system in given.systems.items()}
    return {name: kind.work for name, kind in found.items()}


class Fields(NamedTuple):
    """A component's fields: those that change numbers, those that do not, and those that say where weights lie."""

    checked: ComponentConfig
    config: dict[str, Any]
    speed: dict[str, Any]
    places: dict[str, Any]


def _fields(model: type[ComponentConfig], values: dict[str, Any], where: str) -> Fields:
    checked = parse(model, values, where)
    return Fields(checked, checked.numbers(), checked.speeds(), checked.places())


def _component(kind: Any, fields: Fields, *upstream: str) -> Component:
    return Component(
        config=fields.config,
        speed=fields.speed,
        version=kind.version,
        libraries=kind.versions(),
        id=_variant(kind, fields.config, *upstream),
    )


def _variant(kind: Any, config: dict[str, Any], *upstream: str) -> str:
    """Folder of one setting of a component, so that two runs, or two installations, can share a cache side by side."""
    return f"{kind.name}-{digest([kind.release(), config, kind.versions(), *upstream])[:8]}"


def _corpus(given: CorpusSection | None) -> Corpus:
    if given is None:
        raise ConfigError("config: corpus: expected a value, found none; add the key")
    kind = CORPORA.load(given.name)
    fields = _fields(kind.Config, given.config, "corpus.config")
    labels = parse(kind.Labels, given.labels, "corpus.labels")
    return Corpus(
        name=given.name,
        id=given.id or kind.name,
        shards=given.shards,
        config=fields.config,
        labels=labels.numbers(),
        speed=fields.speed,
        version=kind.release(),
        libraries=kind.versions(),
        synthetic=kind(fields.checked, labels).synthetic,
    )


class Extractor(NamedTuple):
    """A feature's section, the extractor that it names, and its fields."""

    given: FeatureSection
    kind: Any
    fields: Fields


def _extractors(given: FeaturesSection) -> dict[str, Extractor]:
    """By the names that a run has for its features."""
    found = {}
    for modality, sections in (("audio", given.audio), ("visual", given.visual)):
        for number, (name, section) in enumerate(named(modality, sections).items()):
            where = f"features.{modality}.{number}" if len(sections) > 1 else f"features.{modality}"
            found[name] = _extractor(modality, section, where)
    return found


def _extractor(modality: str, given: FeatureSection, where: str) -> Extractor:
    kind = EXTRACTORS.load(given.extractor)
    if kind.modality != modality:
        raise ConfigError(
            f"config: {where}: expected an extractor of {modality} features, "
            f"found {given.extractor!r}, which is {kind.modality}"
        )
    fields = _fields(kind.Config, given.config, f"{where}.config")
    if len(set(given.parts)) < len(given.parts):
        raise ConfigError(f"config: {where}.parts: expected each part once, found {', '.join(given.parts)}")
    there = kind.parts_of(fields.checked)
    for part in given.parts:
        if there is not None and part not in there:
            raise ConfigError(
                f"config: {where}.parts: expected parts of its frames ({', '.join(there) or 'they have none'}), "
                f"found {part!r}; correct it, or leave parts out"
            )
    return Extractor(given, kind, fields)


def _check_apart(features: Mapping[str, Feature]) -> None:
    """Raise `ConfigError` for a feature that is there twice."""
    firsts: dict[Any, str] = {}
    for name, one in features.items():
        first = firsts.setdefault((one.id, one.reading.parts), name)
        if first != name:
            raise ConfigError(
                f"config: features: expected different ones, found {one.extractor!r} of the same fields as {first} and "
                f"as {name}; leave one out"
            )


def _feature(of: Extractor, *upstream: str) -> Feature:
    places = {field: place for field, place in of.fields.places.items() if place}
    weights = identified(places).values()
    return Feature(
        extractor=of.given.extractor,
        config=of.fields.config,
        compression=of.given.compression,
        imported=of.kind.reads == "table",
        whole_frames=of.kind.reads_of(of.fields.checked) == "frames",
        speed=of.fields.speed,
        places=places,
        version=of.kind.release(),
        libraries=of.kind.versions(),
        id=_variant(of.kind, of.fields.config, *upstream, *weights),
        reading=Reading(parts=of.given.parts, join=of.given.join or "mean"),
    )


def _kept_crops(given: CropsSection, extractors: Mapping[str, Extractor], faces: str) -> Component | None:
    """The component that keeps crops, if any; raises `ConfigError` where features want them cut differently."""
    seen = {name: one for name, one in extractors.items() if one.kind.reads_of(one.fields.checked) == "faces"}
    if given.cache == "none" or not seen:
        return None
    kept = {name: _crops(one, given.quality, faces) for name, one in seen.items()}
    if len({component.id for component in kept.values()}) > 1:
        raise ConfigError(
            f"config: crops.cache: expected features that want faces cut alike, as crops are kept once, found "
            f"{', '.join(f'{name} {component.config}' for name, component in kept.items())}; write none, or make "
            "the features' crops alike"
        )
    return next(iter(kept.values()))


def _crops(visual: Extractor, quality: int, faces: str) -> Component:
    """Kept crops depend on how a feature wants them cut, not on the feature: two that agree share them."""
    from avemo.faces.jpeg import JpegCrops

    policy = visual.kind.crop_policy(visual.fields.checked)
    config = JpegCrops.Config(**policy.numbers(), quality=quality)
    return _component(JpegCrops, Fields(config, config.numbers(), {}, {}), faces)


def _check_procedure(name: str, system: TrainSpec) -> None:
    fitting = MODELS.load(system.model).procedures
    if system.training.procedure not in fitting:
        raise ConfigError(
            f"config: systems.{name}.training.procedure: expected one that fits {system.model!r} "
            f"({', '.join(fitting)}), found {system.training.procedure!r}"
        )


def _check_titles(systems: dict[str, System]) -> None:
    """Raise `ConfigError` where tables could not tell a system from another, or from a predictor that sees nothing."""
    blind = {name for kind in TASKS for pair in TASKS.load(kind).blind.items() for name in pair}
    firsts: dict[str, str] = {}
    for name, system in systems.items():
        for said in {name, system.title} & blind:
            raise ConfigError(
                f"config: systems.{name}: expected a name and a title that no baseline has, found {said!r}; "
                "give it another"
            )
        first = firsts.setdefault(system.title, name)
        if first != name:
            raise ConfigError(
                f"config: systems.{name}.title: expected one that no other system has, found {system.title!r}, "
                f"as of systems.{first}; give it another"
            )


def _curve_systems(systems: dict[str, System], curve: LearningCurve) -> dict[str, System]:
    """The systems of a learning curve on smaller train parts, each with a name of its own."""
    found = {}
    for name in curve.systems or list(systems)[:1]:
        if name not in systems:
            raise ConfigError(
                f"config: learning_curve.systems: no system {name!r}{nearest(name, systems)}; "
                f"known: {', '.join(systems)}"
            )
        whole = systems[name]
        for percent in sorted(curve.percent):
            changes = {
                "title": f"{whole.title}, {percent} % of train",
                "training": whole.training.model_copy(update={"train_share": percent / 100}),
                "curve": name,
            }
            smaller = f"{name}-{percent}pct"
            if smaller in systems:
                raise ConfigError(
                    f"config: systems.{smaller}: expected another name, as the learning curve of {name!r} "
                    "has a system so called; rename it"
                )
            found[smaller] = whole.model_copy(update=changes)
    return found


def counted(splits: SplitConfig, corpus: Corpus) -> SplitConfig:
    """With ``k: all`` as many splits as the corpus has groups with labelled clips: a workflow must know their names."""
    if splits.k != "all":
        return splits
    kind = corpus_of(corpus)
    clips = kind.clips()
    labelled = zip(clips, kind.labels(clips), strict=True)
    groups = {clip.group for clip, label in labelled if label.label is not None}
    return splits.model_copy(update={"n": max(1, len(groups))})


def corpus_of(section: IndexSpec, speed: Mapping[str, Any] | None = None) -> CorpusKind:
    """The corpus of a run's section, or that of a clip table or labels. Raises `ConfigError` for united corpora."""
    if section.parts:
        raise ConfigError(
            f"config: expected a run of one corpus, found one across {', '.join(section.parts)}; name the run of each"
        )
    kind: type[CorpusKind] = CORPORA.load(section.name)
    fast = section.speed if isinstance(section, Corpus) else speed or {}
    labels = section.labels if isinstance(section, LabelsSpec) else {}
    return kind(kind.Config(**section.config, **fast), kind.Labels(**labels))


def foreign_sources(run: Run) -> list[Path]:
    """Where the sources lie of a run's components that come from other packages."""
    named = [CORPORA.foreign_sources(run.corpus.name)] if not run.corpus.parts else []
    named += [EXTRACTORS.foreign_sources(feature.extractor) for feature in run.features.values()]
    named += [MODELS.foreign_sources(system.model) for system in run.systems.values()]
    return [path for paths in named for path in paths]
