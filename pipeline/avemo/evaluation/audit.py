"""Whether a finished run kept its test clips to the end: one check a way to leak, each from the run's records.

A check returns offences, sentences that name system, split and clips; none means that it passed. What is no
leak and yet to be known of the scores are warnings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from avemo.base.contracts import AvemoError, digest
from avemo.corpora.near_names import is_missing
from avemo.dataset.absences import Absence
from avemo.dataset.normalise import ClipNormaliser, Normalise, Normaliser
from avemo.dataset.splits import Split
from avemo.evaluation.machines import kinds
from avemo.training.search import ALL, Search, Trial, best
from avemo.training.shares import train_share
from avemo.training.witness import account_of

Place = tuple[str, str]
"""System and split."""

SAME = 1e-9
"""Within which a number of a record and one of a table are the same."""
HISTORY = ("epoch", "lr", "seconds")
"""What the history of a training holds beside ``train_…`` and ``dev_…``."""
COVERS = (
    "It covers what this folder's records tell of clips, speakers, groups and files by their bytes, of statistics, selection, "
    "splits and features, and of each model that a journal names. It cannot "
    "see journals, records and folders that were sent elsewhere, deleted or rewritten, whom pretrained weights have met that keep no list of it, "
    "scores that somebody read and remembered, or one person under two names that are unlike."
)
"""What is proved where nothing leaked, and what cannot be."""


@dataclass(frozen=True)
class Tried:
    """A search's trial, and by split that it trained the record and history beside its model."""

    trial: Trial
    runs: Mapping[str, Mapping[str, Any]]
    histories: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Records:
    """What a run left behind.

    ``groups`` and ``speakers`` by clip; ``runs`` are the run records, ``models`` the models' meta and ``sha256``,
    ``histories`` a row an epoch; ``predictions`` and ``readings`` (one a model that was scored on
    test clips, in order of time) by system, and ``former`` counts those of systems that the run has no more. ``absences`` are the classes that no clip of a side shows;
    ``cut`` says of lines of the readings' journals that they are not whole, and
    ``unmade`` of files that they were not made of what lies beside them. ``linear`` is the record of the linear baseline by
    split. ``features`` are the fingerprints of what lies in the cache now, ``same_media`` sets of clips that share media,
    ``searches`` are those of systems that have one, with their trials, ``trials_before`` count those of a system that none
    of them has now,
    and ``statistics`` makes those of some clips again; None where the cache is gone.
    """

    groups: Mapping[str, str]
    splits: Sequence[Split]
    runs: Mapping[Place, Mapping[str, Any]]
    models: Mapping[Place, Mapping[str, Any]]
    histories: Mapping[Place, pd.DataFrame]
    predictions: Mapping[str, pd.DataFrame]
    readings: Mapping[str, Sequence[Mapping[str, Any]]]
    features: Mapping[str, str] = field(default_factory=dict)
    same_media: Sequence[Sequence[str]] | None = None
    absences: Sequence[Absence] = ()
    unmade: Sequence[str] = ()
    cut: Sequence[str] = ()
    linear: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    speakers: Mapping[str, str] = field(default_factory=dict)
    former: Mapping[str, int] = field(default_factory=dict)
    searches: Mapping[str, tuple[Search, Sequence[Tried]]] = field(default_factory=dict)
    trials_before: Mapping[str, int] = field(default_factory=dict)
    statistics: Callable[[Sequence[str], Normalise], Mapping[str, Normaliser | ClipNormaliser]] | None = None

    def split(self, name: str) -> Split:
        """The split of that name; one without clips where there is none."""
        return next((split for split in self.splits if split.name == name), Split(name, (), (), ()))

    def kept(self, place: Place, side: str, record: Mapping[str, Any] | None = None) -> list[str]:
        """The clips of a side that a system was to use; the others were left out, as its ``record`` says."""
        record, split = record or self.runs[place], self.split(place[1])
        share = record["config"]["training"].get("train_share", 1.0)
        clips = train_share(split, share) if side == "train" else split.sides()[side]
        return [clip for clip in clips if clip not in record["left_out"]]

    def readings_of(self, place: Place) -> list[Mapping[str, Any]]:
        """The times a system's models were scored on a split's test clips."""
        return [one for one in self.readings.get(place[0], ()) if one["split"] == place[1]]


@dataclass(frozen=True)
class Finding:
    """One check: what it proves, on what, and what speaks against it, or is to be known all the same."""

    name: str
    title: str
    examined: str
    offences: list[str]
    warnings: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.offences


def audit(records: Records) -> list[Finding]:
    """Every check of `CHECKS`, and what there is to know of classes that a side lacks and of machines."""
    told = {"test": [*records.cut, *_former(records)], "search": list(_of_searches(records))}
    checked = [
        Finding(name, title, examined(records), list(check(records)), told.get(name, []))
        for name, (title, examined, check) in CHECKS.items()
    ]
    lacking = [str(absence) for absence in records.absences]
    title = (
        "Every class is on every side"
        if not lacking
        else "A side lacks a class, which means over classes count as 0"
    )
    classes = Finding("classes", title, f"{len(records.splits)} splits", [], lacking)
    return [*checked, classes, _machines(records)]


def _machines(records: Records) -> Finding:
    """Whether all numbers of a sort are of one kind of machine: no leak where not, but a rerun need not equal them."""
    last = [one for place in records.runs for one in records.readings_of(place)[-1:]]
    found = {
        "trained": kinds(record["hardware"] for record in records.runs.values()),
        "scored": kinds(reading["hardware"] for reading in last if "hardware" in reading),
    }
    mixed = [
        f"{done} on {name}: {count} of {sum(on.values())}"
        for done, on in found.items()
        if len(on) > 1
        for name, count in on.items()
    ]
    where = "; ".join(f"{done} on {name}" for done, on in found.items() for name in on)
    if mixed:
        title = "Several kinds of machine: their last digits may differ, so a run again need not give the same ones"
        return Finding("machines", title, f"{len(records.runs)} trainings", [], mixed)
    return Finding("machines", "One kind of machine trained all, and one scored all", where, [])


def groups_are_disjoint(records: Records) -> Iterator[str]:
    """No group, so no speaker, on two sides of a split, and no clip twice."""
    for split in records.splits:
        sides: dict[str, set[str]] = {}
        for side, clips in split.sides().items():
            for clip in clips:
                group = records.groups.get(clip)
                if group is None:
                    yield f"{split.name}: clip {clip} on {side} is none of the corpus'"
                else:
                    sides.setdefault(group, set()).add(side)
        for group, found in sides.items():
            if len(found) > 1:
                yield f"{split.name}: group {group} is on {' and '.join(sorted(found))}"
        for clip, times in Counter(clip for clips in split.sides().values() for clip in clips).items():
            if times > 1:
                yield f"{split.name}: clip {clip} is there {times} times"


def speakers_are_disjoint(records: Records) -> Iterator[str]:
    """No speaker is on two sides of a split, also where groups are finer than speakers."""
    for split in records.splits:
        apart = [(name, sides) for name, sides in _sides_of(records, split).items() if len(sides) > 1]
        for name, sides in apart[:1]:
            more = f", and {len(apart) - 1} more speakers" if len(apart) > 1 else ""
            yield f"{split.name}: speaker {name} is on {' and '.join(sides)}{more}; groups are finer than speakers"


def _sides_of(records: Records, split: Split) -> dict[str, list[str]]:
    """The sides that each speaker is on; a name that says that there is none is nobody's."""
    found: dict[str, dict[str, None]] = {}
    for side, clips in split.sides().items():
        for clip in clips:
            name = records.speakers.get(clip, "")
            if not is_missing(name):
                found.setdefault(name, {})[side] = None
    return {name: list(sides) for name, sides in found.items()}


def _former(records: Records) -> Iterator[str]:
    for system, count in records.former.items():
        yield f"{system}: {count} models of this name read test clips too; the run has no such system now"


def media_are_disjoint(records: Records) -> Iterator[str]:
    """No file, by its bytes, is on two sides of a split, whatever its clips are called."""
    for split in records.splits:
        side_of = {clip: side for side, clips in split.sides().items() for clip in clips}
        apart = [
            one for one in records.same_media or () if len({side_of[c] for c in one if c in side_of}) > 1
        ]
        for clips in apart[:1]:
            on = ", ".join(f"{clip} on {side_of[clip]}" for clip in clips if clip in side_of)
            more = f", and {len(apart) - 1} more sets of clips" if len(apart) > 1 else ""
            yield f"{split.name}: the same media are {on}{more}"


def statistics_are_of_train(records: Records) -> Iterator[str]:
    """Clips behind the z-norm are the train side's; made again from the cache, the numbers are equal."""
    made: dict[str, Mapping[str, Normaliser | ClipNormaliser]] = {}
    for place, record in records.runs.items():
        yield from _foreign(records, place, "statistics", "train")
        if records.statistics is None:
            continue
        clips = records.kept(place, "train")
        normalise = Normalise.model_validate(record["config"]["training"].get("normalise", {}))
        key = digest([account_of(clips), normalise.model_dump()])
        if key not in made:
            made[key] = records.statistics(clips, normalise)
        for modality, expected in made[key].items():
            found = records.models[place]["normalisers"][modality]
            if found != expected.to_dict():
                yield f"{_at(place)}: {modality} is normalised by other numbers than those of its train clips"


def selection_is_by_dev(records: Records) -> Iterator[str]:
    """Epochs were judged on the dev side, and the kept one has the lowest dev loss."""
    for place, record in records.runs.items():
        yield from _foreign(records, place, "dev", "dev")
        history = records.histories[place]
        other = [name for name in map(str, history) if not name.startswith(("train_", "dev_"))]
        other = [name for name in other if name not in HISTORY]
        if other:
            yield f"{_at(place)}: its history holds {', '.join(other)}, which is neither of train nor of dev"
        best = int(history["epoch"].iloc[int(history["dev_loss"].to_numpy().argmin())])
        for name, kept in (("record", record), ("model", records.models[place])):
            if kept["best_epoch"] != best:
                yield f"{_at(place)}: its {name} is of epoch {kept['best_epoch']}, the lowest dev loss of epoch {best}"


def test_is_read_once(records: Records) -> Iterator[str]:
    """One model a system and split met the test clips, the one that was kept, and each clip once."""
    for system, predictions in records.predictions.items():
        for (split, modality), part in predictions.groupby(["split", "modality"]):
            clips = part["clip_id"]
            strangers = sorted(set(clips) - set(records.split(str(split)).test))
            if strangers:
                yield f"{system}, {split}: predicted {_some(strangers)}, not of its test side"
            if clips.duplicated().any():
                yield f"{system}, {split}: predicted {_some(clips[clips.duplicated()])} twice ({modality})"
    for place in records.runs:
        tried = list(dict.fromkeys(one["model"] for one in records.readings_of(place)))
        if not tried:
            yield f"{_at(place)}: nothing says which model read its test clips"
        elif len(tried) > 1:
            yield f"{_at(place)}: {len(tried)} models were scored on its test clips, one after the other"
        labels = {one["labels"] for one in records.readings_of(place) if "labels" in one}
        if len(labels) > 1:
            yield f"{_at(place)}: its test clips were scored by {len(labels)} tables of labels, one after the other"
        if tried and records.readings_of(place)[-1]["model"] != records.models[place]["sha256"]:
            yield f"{_at(place)}: its scores are of another model than the one that was kept"


def search_is_by_dev(records: Records) -> Iterator[str]:
    """Every trial was judged on dev, the best one's model was kept, and test clips were read after the last had ended."""
    for system, (search, tried) in records.searches.items():
        for split in records.splits:
            place, study = (system, split.name), search.study_of(split.name)
            own = [one for one in tried if one.trial.study == study and one.trial.trial < search.count]
            missing = sorted({*range(search.count)} - {one.trial.trial for one in own})
            if missing:
                yield f"{_at(place)}: {len(own)} of {search.count} trials are there; trial {missing[0]} is gone"
                continue
            for one in own:
                yield from _judged(records, place, one)
            try:
                chosen = best([one.trial for one in own], search.by)
            except AvemoError as error:
                yield f"{_at(place)}: {error}"
                continue
            of_split = chosen.splits.get(split.name)
            if of_split is None or of_split.model != records.models[place]["sha256"]:
                yield f"{_at(place)}: its model is not that of trial {chosen.trial}, which dev prefers"
            first = min((str(one["at"]) for one in records.readings_of(place) if "at" in one), default="")
            late = [one.trial.trial for one in own if first and one.trial.ended > first]
            if late:
                yield f"{_at(place)}: its test clips were read at {first}, before {_trials(late)} had ended"


def _judged(records: Records, place: Place, tried: Tried) -> Iterator[str]:
    """Whether a trial was trained on train and judged on dev, and says of dev what its history does."""
    trial, split = tried.trial, place[1]
    of = f", trial {trial.trial}"
    if split not in trial.splits:
        if not trial.failed:
            yield f"{_at(place)}{of}: it says nothing of this split"
        return
    for use, side in (("statistics", "train"), ("train", "train"), ("dev", "dev")):
        yield from _foreign(records, place, use, side, tried.runs[split], of)
    history = tried.histories[split]
    best_row = int(history["dev_loss"].to_numpy().argmin())
    found = [history[f"dev_{name}"].to_numpy()[best_row] for name in ("loss", trial.metric)]
    told = [trial.splits[split].loss, trial.splits[split].score]
    if not np.allclose(found, told, rtol=0, atol=SAME, equal_nan=True):
        yield f"{_at(place)}{of}: its loss and {trial.metric} are not those of its best epoch on dev"


def _trials(numbers: Sequence[int]) -> str:
    return f"trial {numbers[0]}" + (f" and {len(numbers) - 1} more" if len(numbers) > 1 else "")


def _of_searches(records: Records) -> Iterator[str]:
    """What is to be known of searches that offends nothing."""
    seen = _tested_on_dev(records.splits)
    for system, count in records.trials_before.items():
        yield f"{system}: {count} trials lie here that no search has any more, and count as tried"
    for system, (search, _) in records.searches.items():
        if search.studies == ALL and seen:
            yield (
                f"{system}: its settings were chosen for all splits at once, and {len(seen)} test clips are dev clips of "
                "other splits; studies: each chooses without them"
            )


def _tested_on_dev(splits: Sequence[Split]) -> set[str]:
    """Test clips of a split that are dev clips of another."""
    return {clip for one in splits for other in splits for clip in {*one.test} & {*other.dev}}


def splits_are_shared(records: Records) -> Iterator[str]:
    """Every system was trained on each split's train side, and scored on the same clips."""
    wanted = {split.name for split in records.splits}
    for system in dict.fromkeys(system for system, _ in records.runs):
        found = {split for name, split in records.runs if name == system}
        if found != wanted:
            yield f"{system}: trained on {', '.join(sorted(found))}, the splits are {', '.join(sorted(wanted))}"
    for place in records.runs:
        yield from _foreign(records, place, "train", "train")
    first: dict[Any, tuple[str, set[str]]] = {}
    for system, predictions in records.predictions.items():
        for (split, _), part in predictions.groupby(["split", "modality"]):
            clips = set(part["clip_id"])
            other, expected = first.setdefault(split, (system, clips))
            if clips != expected:
                yield f"{system}, {split}: scored on other clips than {other}: {_some(sorted(clips ^ expected))}"


def features_are_shared(records: Records) -> Iterator[str]:
    """Every system saw features of the same keys, in training and in evaluation, and the cache still has them."""
    expected = next(iter(records.runs.values()))["inputs"] if records.runs else {}
    for place, record in records.runs.items():
        scored = [one["inputs"] for one in records.readings_of(place)[-1:]]
        for what, found in zip(("trained", "scored"), (record["inputs"], *scored), strict=False):
            if found != expected:
                yield f"{_at(place)}: {what} on features {_short(found)}, the first system on {_short(expected)}"
    for modality, now in records.features.items():
        if now != expected.get(modality):
            yield f"{modality}: the cache has {now[:8]} now, the systems saw {expected.get(modality, 'none')[:8]}"


def linear_is_fair(records: Records) -> Iterator[str]:
    """The linear baseline was scaled and fitted on train, chosen on dev, with the systems' splits and features."""
    expected = next(iter(records.runs.values()))["inputs"] if records.runs else {}
    for split in records.splits if records.linear else ():
        found = records.linear.get(split.name)
        if found is None:
            yield f"linear baseline: expected a record of {split.name}, found none"
            continue
        for use, side in (("statistics", split.train), ("train", split.train), ("dev", split.dev)):
            clips = [clip for clip in side if clip not in found["left_out"]]
            if found["read"][use] != account_of(clips):
                count = found["read"][use]["clips"]
                yield f"linear baseline, {split.name}: for {use} it read {count} clips, not the {len(clips)} of its side"
        if found["inputs"] != expected:
            yield f"linear baseline, {split.name}: fitted on features {_short(found['inputs'])}, the systems on {_short(expected)}"


def _foreign(
    records: Records, place: Place, use: str, side: str, record: Mapping[str, Any] | None = None, of: str = ""
) -> Iterator[str]:
    """Whether other clips were read than those of the side; ``record`` and name ``of`` a trial's training."""
    found, at = (record or records.runs[place]).get("read", {}).get(use), _at(place) + of
    expected = account_of(records.kept(place, side, record))
    # A training resumed after its last epoch reads no clip again.
    resumed = found is not None and not found["clips"] and use != "statistics"
    if found is None:
        yield f"{at}: its record does not say which clips it read for {use}; train it again"
    elif expected not in (found, found.get("drawn_from")) and not resumed:
        yield f"{at}: for {use} it read {found['clips']} clips, not the {expected['clips']} of its {side} side"


def _at(place: Place) -> str:
    return ", ".join(place)


def _some(clips: Iterable[str]) -> str:
    """Up to three of them."""
    named = list(dict.fromkeys(clips))
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")


def _short(inputs: Mapping[str, str]) -> str:
    return " and ".join(f"{modality} {key[:8]}" for modality, key in inputs.items()) or "none"


Check = Callable[[Records], Iterable[str]]

CHECKS: dict[str, tuple[str, Callable[[Records], str], Check]] = {
    "groups": (
        "No group is on two sides of a split",
        lambda r: f"{len(r.splits)} splits, {len(set(r.groups.values()))} groups",
        groups_are_disjoint,
    ),
    "speakers": (
        "No speaker is on two sides of a split",
        lambda r: f"{len(set(r.speakers.values()))} speakers",
        speakers_are_disjoint,
    ),
    "media": (
        "No file is on two sides under two ids",
        lambda r: (
            "not looked at, for want of the clip table"
            if r.same_media is None
            else f"{sum(map(len, r.same_media))} clips share media with another"
        ),
        media_are_disjoint,
    ),
    "statistics": (
        "Statistics come from train clips only",
        lambda r: (
            f"{len(r.runs)} models; "
            + ("made again" if r.statistics else "not made again, for want of the cache")
        ),
        statistics_are_of_train,
    ),
    "selection": (
        "Dev alone selects the epoch",
        lambda r: f"{sum(map(len, r.histories.values()))} epochs",
        selection_is_by_dev,
    ),
    "test": (
        "Test clips are read once, by the kept model",
        lambda r: f"{sum(map(len, r.readings.values()))} readings",
        test_is_read_once,
    ),
    "search": (
        "Searches were decided on dev, and had ended before test clips were read",
        lambda r: (
            f"{sum(len(tried) for _, tried in r.searches.values())} trials of {', '.join(r.searches)}"
            if r.searches
            else "no system was searched for"
        ),
        search_is_by_dev,
    ),
    "splits": (
        "All systems have the same splits",
        lambda r: f"{len(r.predictions)} systems",
        splits_are_shared,
    ),
    "linear": (
        "The linear baseline has the systems' splits and features",
        lambda r: f"{len(r.linear)} splits" if r.linear else "a run without it",
        linear_is_fair,
    ),
    "features": (
        "All systems see features of the same keys",
        lambda r: ", ".join(sorted({name for record in r.runs.values() for name in record["inputs"]})),
        features_are_shared,
    ),
    "made_of": (
        "Results were made of the labels, splits and models beside them",
        lambda r: f"{len(r.models)} models, {len(r.predictions)} tables of scores",
        lambda r: r.unmade,
    ),
}
"""By name: what it proves, what it looked at, and the check."""
