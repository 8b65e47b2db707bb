"""A run's cached features as its systems see them: of each the parts that are asked for, those of a modality joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo.cache.manifest import FeatureSet
from avemo.dataset.joined import JoinedFeatures, Reading
from avemo.dataset.loading import ClipData
from avemo.dataset.source import TimedSource
from avemo.study.layout import Layout
from avemo.study.run import Run, modality_of


@dataclass(frozen=True)
class Input:
    """A feature's manifest, the ``name`` that the run has for it, and how systems see it."""

    name: str
    manifest: Path
    reading: Reading

    @property
    def told(self) -> str:
        """What records call it."""
        return self.reading.told(self.name)


@dataclass(frozen=True)
class Opened:
    """``sets`` are the features as they are cached, ``sources`` the modalities as systems see them."""

    sets: dict[str, FeatureSet]
    sources: dict[str, TimedSource]

    def clips(self, targets: Mapping[str, int | tuple[float, ...]]) -> ClipData:
        """Clips with these targets."""
        return ClipData(self.sources.get("audio"), self.sources.get("visual"), targets)


def inputs_of(run: Run, layout: Layout | None = None) -> list[Input]:
    """Those of a run; ``layout``: where they lie, if they have been moved."""
    layout = layout or Layout(run)
    return [Input(name, layout.manifest(one.id), one.reading) for name, one in run.features.items()]


def open_inputs(given: Iterable[Input], stack: ExitStack) -> Opened:
    """The features of these manifests, until ``stack`` closes; raises `AvemoError` as `FeatureSet` does."""
    sets: dict[str, FeatureSet] = {}
    found: dict[str, tuple[Reading, TimedSource]] = {}
    for one in given:
        sets[one.name] = stack.enter_context(FeatureSet(one.manifest))
        parts = [stack.enter_context(FeatureSet(one.manifest, part)) for part in one.reading.parts]
        seen = side_by_side(one.reading.parts, parts) if parts else sets[one.name]
        found[one.name] = one.reading, seen
    return Opened(sets, by_modality(found))


def by_modality(features: Mapping[str, tuple[Reading, TimedSource]]) -> dict[str, TimedSource]:
    """Features by name, each with how it is read, as one source for each modality."""
    sources = {}
    for modality in dict.fromkeys(map(modality_of, features)):
        of = {name: one for name, one in features.items() if modality_of(name) == modality}
        each, joins = {name: one for name, (_, one) in of.items()}, [how.join for how, _ in of.values()]
        sources[modality] = JoinedFeatures(each, joins) if len(each) > 1 else each[modality]
    return sources


def side_by_side(parts: Iterable[str], sources: Iterable[TimedSource]) -> TimedSource:
    """Parts of the frames of one feature."""
    found = dict(zip(parts, sources, strict=True))
    return JoinedFeatures(found, ["nearest"] * len(found)) if len(found) > 1 else next(iter(found.values()))


def limits_of(run: Run, infos: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """What must be said wherever a run's numbers or features stand, as ``kind`` and ``text``.

    ``infos`` are those of the features' manifests, by the name that the run has for each.
    """
    if run.corpus.synthetic:
        text = f"corpus {run.corpus.title!r}: generated faces and voices, not people"
        yield {"kind": "synthetic corpus", "text": text}
    for name, info in infos.items():
        yield from _limits_of_feature(run.features[name].extractor, info)


def _limits_of_feature(extractor: str, info: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    provenance = info.get("provenance", {})
    if provenance.get("random_weights"):
        text = f"{extractor}: {provenance.get('weights')}; no training has shaped these features"
        yield {"kind": "random weights", "text": text}
    if provenance.get("imported"):
        text = (
            f"{extractor}: {provenance['imported']} (sha-256 {provenance['file'][:12]}); "
            "another program made these features, and no key says from which media"
        )
        yield {"kind": "imported features", "text": text}
