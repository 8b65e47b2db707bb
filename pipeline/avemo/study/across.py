"""A run across corpora: which other runs it names, what must be alike in them, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avemo.base.contracts import AvemoError, ConfigError, digest
from avemo.base.made_of import differences
from avemo.base.registry import nearest
from avemo.dataset.label_map import mapped_names
from avemo.study.config import AcrossSection, parse
from avemo.study.run import Corpus, Run
from avemo.study.specs import UNITED

VERSION = 1
"""Raised whenever the same corpora would have another table together."""
FEATURE_SECTIONS = ("features", "faces", "crops")


@dataclass(frozen=True)
class Across:
    """``raw`` is the run's config with its sides as a protocol, ``members`` the runs that it names."""

    raw: dict[str, Any]
    members: dict[str, Run]
    corpus: Corpus


def across_of(raw: dict[str, Any], others: Mapping[str, Run]) -> Across | None:
    """What a run with a section ``across`` comes to; None for one without.

    Raises `ConfigError` for a ``corpus`` beside it, another protocol, names of no run, one corpus twice, and labels that
    the map does not name.
    """
    if not isinstance(raw.get("across"), dict):
        return None
    given = parse(AcrossSection, raw["across"], "across")
    if raw.get("corpus") is not None:
        raise ConfigError(
            "config: corpus: expected none beside `across`, whose runs have theirs, found one; move it into the runs "
            "that need it, or write `corpus: null` here"
        )
    members = {name: _member(name, others) for name in given.runs}
    _check_once(given, members)
    splits = raw.get("splits") or {}
    protocol = splits.get("protocol", "across") if isinstance(splits, dict) else "across"
    if protocol != "across":
        raise ConfigError(
            f"config: splits.protocol: expected none in a run with `across`, whose corpora are its sides, found "
            f"{protocol!r}; move it into the runs that need it, or write `splits: null` here"
        )
    sides = {side: _ids(getattr(given, side), members) for side in ("train_on", "dev_on", "test_on")}
    corpus = _united(given, members)
    return Across(raw | {"splits": {**splits, "protocol": "across", **sides}}, members, corpus)


def _member(name: str, others: Mapping[str, Run]) -> Run:
    if name not in others:
        raise ConfigError(
            f"config: across: expected names of runs that have a corpus, found {name!r}{nearest(name, others)}; "
            f"there are {', '.join(others) or 'none: such a run stands beside others under `runs`'}"
        )
    return others[name]


def _check_once(given: AcrossSection, members: Mapping[str, Run]) -> None:
    firsts: dict[str, str] = {}
    for name in given.runs:
        corpus = members[name].corpus.id
        if corpus in firsts:
            raise ConfigError(
                f"config: across: expected each corpus on one side and once, found {corpus!r} by {firsts[corpus]} and "
                f"{name}; name other runs"
            )
        firsts[corpus] = name


def _ids(names: tuple[str, ...], members: Mapping[str, Run]) -> list[str]:
    return [members[name].corpus.id for name in names]


def _united(given: AcrossSection, members: Mapping[str, Run]) -> Corpus:
    """All corpora as one, in whose folder are a clip table and manifests that name theirs."""
    runs = {run.corpus.id: name for name, run in members.items()}
    _check_labels(given, members)
    return Corpus(
        id=f"united-{digest(sorted(runs))[:8]}",
        name=UNITED,
        version=VERSION,
        config={"corpora": sorted(runs)},
        labels={"runs": runs, "map": given.labels},
        shards=1,
        synthetic=any(run.corpus.synthetic for run in members.values()),
    )


def _check_labels(given: AcrossSection, members: Mapping[str, Run]) -> None:
    """Raise `ConfigError` for labels that the map does not name, as far as the corpora tell theirs before they are read."""
    from avemo.study.resolve import corpus_of

    names = {}
    for run in members.values():
        try:
            names[run.corpus.id] = corpus_of(run.corpus).classes
        except AvemoError:
            # It says so itself; labels are checked once more where they are made.
            return
    try:
        mapped_names(names, given.labels)
    except AvemoError as error:
        raise ConfigError(f"config: {error}") from error


def features_from(raw: dict[str, Any], others: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A run across corpora with the features of the first it trains on, where its config says none; others as they are."""
    across = raw.get("across")
    if not isinstance(across, dict) or "features" in raw:
        return raw
    first = next(iter(across.get("train_on") or ()), None)
    source = others.get(first, {}) if isinstance(first, str) else {}
    return {name: source[name] for name in FEATURE_SECTIONS if name in source} | raw


def require_alike(run: Run, members: Mapping[str, Run]) -> None:
    """Raise `ConfigError` where features of two corpora have other keys, naming both and in what they differ."""
    for name, member in members.items():
        for stage in dict.fromkeys([*run.components, *member.components]):
            ours, theirs = run.components.get(stage), member.components.get(stage)
            if (ours.id if ours else None) == (theirs.id if theirs else None):
                continue
            found = differences(_said(ours), _said(theirs)) or ["what its weights hold"]
            raise ConfigError(
                f"config: expected features of equal keys in runs {run.run} and {name}, found {stage} "
                f"{ours.id if ours else 'absent'} and {theirs.id if theirs else 'absent'}, which differ in "
                f"{'; '.join(found)} ({run.run} → {name}); make them equal"
            )


def _said(component: Any) -> dict[str, Any]:
    return (
        component.model_dump(mode="json", exclude={"id", "speed", "compression", "reading"})
        if component
        else {}
    )
