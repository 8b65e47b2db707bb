"""The leakage audit: honest records pass every check; each kind of violation is found and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from avemo.cli.audit import _lines
from avemo.dataset.absences import Absence
from avemo.dataset.normalise import BY_TRAIN, ClipNormaliser, Normalise, Normaliser
from avemo.dataset.splits import Split
from avemo.evaluation.audit import CHECKS, COVERS, Records, Tried, audit
from avemo.evaluation.run_audit import trials_before
from avemo.study.layout import Layout
from avemo.training.search import Outcome, Search, Trial
from avemo.training.witness import account_of
from runs import run_of as run_of_systems

FRAMES = {clip: np.array([[number, 1.0]]) for number, clip in enumerate(["a1", "a2", "b1", "b2", "c1", "c2"])}
SPLITS = (
    Split("split00", ("a1", "a2"), ("b1", "b2"), ("c1", "c2")),
    Split("split01", ("b1", "b2"), ("c1", "c2"), ("a1", "a2")),
)
SYSTEMS = ("first", "second")
INPUTS = {"audio": "f0" * 16}
HARDWARE = {"processor": "EPYC, family 25, model 1, AVX2", "gpu": None}
NEWER = {"processor": "EPYC, family 25, model 17, AVX512, bfloat16 units", "gpu": None}


def statistics(clips: list[str], normalise: Normalise = BY_TRAIN) -> dict[str, Normaliser | ClipNormaliser]:
    if normalise.audio != "train":
        return {"audio": ClipNormaliser(2) if normalise.audio == "clip" else Normaliser.unchanged(2)}
    x = np.concatenate([FRAMES[clip] for clip in clips])
    return {"audio": Normaliser.from_moments(len(x), x.sum(0), (x**2).sum(0))}


def run_of(split: Split) -> dict:
    read = {"statistics": split.train, "train": split.train, "dev": split.dev}
    accounts = {use: account_of(clips) for use, clips in read.items()}
    record = {"inputs": INPUTS, "best_epoch": 2, "left_out": {}, "read": accounts}
    return record | {"config": {"training": {"train_share": 1.0}}, "hardware": HARDWARE}


def model_of(system: str, split: Split) -> dict:
    normalisers = {name: made.to_dict() for name, made in statistics(list(split.train)).items()}
    return {"sha256": f"{system}-{split.name}", "best_epoch": 2, "inputs": INPUTS, "normalisers": normalisers}


def predictions() -> pd.DataFrame:
    rows = [(s.name, m, clip) for s in SPLITS for m in ("av", "audio") for clip in s.test]
    return pd.DataFrame(rows, columns=["split", "modality", "clip_id"])


@pytest.fixture
def honest() -> Records:
    """A run of two systems on two splits of three speakers."""
    places = {(system, split.name): split for system in SYSTEMS for split in SPLITS}
    return Records(
        groups={clip: clip[0] for clip in FRAMES},
        splits=SPLITS,
        runs={place: run_of(split) for place, split in places.items()},
        models={place: model_of(place[0], split) for place, split in places.items()},
        histories={
            place: pd.DataFrame({"epoch": [1, 2, 3], "lr": 0.1, "train_av": 1.0, "dev_loss": [3.0, 1.0, 2.0]})
            for place in places
        },
        predictions={system: predictions() for system in SYSTEMS},
        readings={
            s: [{"split": p.name, "model": f"{s}-{p.name}", "inputs": INPUTS} for p in SPLITS]
            for s in SYSTEMS
        },
        features=INPUTS,
        statistics=statistics,
    )


def found(records: Records) -> dict[str, list[str]]:
    """Offences by check, those without left out."""
    return {finding.name: finding.offences for finding in audit(records) if not finding.passed}


def changed(records: Records, part: str, place: tuple[str, str], **values: object) -> Records:
    """``records`` in which one system's and split's entry of a part has other values."""
    entries = getattr(records, part)
    return replace(records, **{part: {**entries, place: {**entries[place], **values}}})


HERE = ("second", "split01")


def with_read(records: Records, use: str, clips: list[str]) -> Records:
    return changed(records, "runs", HERE, read=records.runs[HERE]["read"] | {use: account_of(clips)})


def test_honest_records_pass_every_check(honest):
    assert found(honest) == {}
    assert [finding.name for finding in audit(honest)] == [*CHECKS, "classes", "machines"]
    assert [finding.warnings for finding in audit(honest)] == [[]] * (len(CHECKS) + 2)


def test_trainings_on_several_kinds_of_machine_are_a_warning_and_no_leak(honest):
    """Two processors of one name are two kinds; a GPU node that trains and a CPU node that scores are no mixture."""
    (*_, last) = audit(changed(honest, "runs", HERE, hardware=NEWER))
    assert last.passed
    assert last.warnings == [
        "trained on EPYC, family 25, model 1, AVX2: 3 of 4",
        "trained on EPYC, family 25, model 17, AVX512, bfloat16 units: 1 of 4",
    ]
    scored = {s: [one | {"hardware": NEWER} for one in honest.readings[s]] for s in SYSTEMS}
    (*_, last) = audit(replace(honest, readings=scored))
    assert last.warnings == []
    assert last.examined.endswith("scored on EPYC, family 25, model 17, AVX512, bfloat16 units")


def test_a_record_from_before_the_kind_was_noted_has_its_processors_name(honest):
    old = {"cpu": "EPYC", "gpu": "H200"}
    (*_, last) = audit(replace(honest, runs={p: r | {"hardware": old} for p, r in honest.runs.items()}))
    assert last.examined == "trained on EPYC with H200"


def test_a_class_that_a_side_lacks_is_a_warning_and_no_leak(honest):
    *_, last, _ = audit(replace(honest, absences=[Absence("split01", "test", ("fear",))]))
    assert last.passed
    assert last.warnings == ["split01: no clip of fear on test"]
    assert "\n".join(_lines("run", [last])) == (
        f"run: nothing leaked\n  {COVERS}\n  !!  A side lacks a class, which means over classes count as 0 (2 splits)\n"
        "       split01: no clip of fear on test"
    )


def test_a_speaker_on_two_sides(honest):
    leaky = replace(SPLITS[0], dev=("b1",), test=("b2", "c1", "c2"))
    assert found(replace(honest, splits=(leaky, SPLITS[1])))["groups"] == [
        "split00: group b is on dev and test"
    ]


def test_a_clip_that_is_twice_in_a_split(honest):
    twice = replace(SPLITS[0], train=("a1", "a2", "a2"))
    assert found(replace(honest, splits=(twice, SPLITS[1])))["groups"] == [
        "split00: clip a2 is there 2 times"
    ]


def test_statistics_of_more_than_train(honest):
    (offence,) = found(with_read(honest, "statistics", list(FRAMES)))["statistics"]
    assert offence == "second, split01: for statistics it read 6 clips, not the 2 of its train side"


def test_statistics_whose_numbers_are_those_of_other_clips(honest):
    values = {"audio": statistics(list(FRAMES))["audio"].to_dict()}
    (offence,) = found(changed(honest, "models", HERE, normalisers=values))["statistics"]
    assert offence == "second, split01: audio is normalised by other numbers than those of its train clips"


@pytest.mark.parametrize("way", ["clip", "none"])
def test_a_system_whose_config_wants_no_train_statistics(honest, way):
    """What was kept must be what the config asks for, whatever it asks for."""
    asked = {"config": {"training": {"train_share": 1.0, "normalise": {"audio": way}}}}
    other = changed(honest, "runs", HERE, **asked)
    (offence,) = found(other)["statistics"]
    assert "audio is normalised by other numbers" in offence
    values = {name: made.to_dict() for name, made in statistics([], Normalise(audio=way)).items()}
    assert found(changed(other, "models", HERE, normalisers=values)) == {}


def test_epochs_judged_on_test_clips(honest):
    (offence,) = found(with_read(honest, "dev", ["a1", "a2"]))["selection"]
    assert offence == "second, split01: for dev it read 2 clips, not the 2 of its dev side"


def test_an_epoch_that_dev_did_not_choose(honest):
    (offence,) = found(changed(honest, "models", HERE, best_epoch=3))["selection"]
    assert offence == "second, split01: its model is of epoch 3, the lowest dev loss of epoch 2"


def test_a_history_with_test_scores(honest):
    histories = {**honest.histories, HERE: honest.histories[HERE].assign(test_loss=1.0)}
    (offence,) = found(replace(honest, histories=histories))["selection"]
    assert "its history holds test_loss" in offence


def test_two_models_scored_on_one_test_side(honest):
    tried = {"split": "split01", "model": "another", "inputs": INPUTS}
    readings = {**honest.readings, "second": [tried, *honest.readings["second"]]}
    assert found(replace(honest, readings=readings)) == {
        "test": ["second, split01: 2 models were scored on its test clips, one after the other"]
    }


def test_the_same_model_scored_again_is_no_second_look(honest):
    readings = {**honest.readings, "second": [*honest.readings["second"], *honest.readings["second"]]}
    assert found(replace(honest, readings=readings)) == {}


def test_scores_of_a_model_that_was_not_kept(honest):
    (offence,) = found(changed(honest, "models", HERE, sha256="another"))["test"]
    assert offence == "second, split01: its scores are of another model than the one that was kept"


def test_no_journal_of_test_readings(honest):
    offences = found(replace(honest, readings={}))["test"]
    assert offences[0] == "first, split00: nothing says which model read its test clips"


def test_predictions_of_clips_that_are_not_of_the_test_side(honest):
    frame = pd.concat([predictions(), pd.DataFrame([("split00", "av", "a1")], columns=predictions().columns)])
    offences = found(replace(honest, predictions={**honest.predictions, "second": frame}))
    assert offences["test"] == ["second, split00: predicted a1, not of its test side"]


def test_a_clip_predicted_twice(honest):
    frame = pd.concat([predictions(), predictions().head(1)])
    offences = found(replace(honest, predictions={**honest.predictions, "second": frame}))
    assert offences["test"] == ["second, split00: predicted c1 twice (av)"]


def test_a_system_trained_on_other_clips(honest):
    (offence,) = found(with_read(honest, "train", ["b1", "b2", "c1"]))["splits"]
    assert offence == "second, split01: for train it read 3 clips, not the 2 of its train side"


def test_a_system_scored_on_fewer_clips(honest):
    frame = predictions().query("clip_id != 'c1'")
    (*_, offence) = found(replace(honest, predictions={**honest.predictions, "second": frame}))["splits"]
    assert offence == "second, split00: scored on other clips than first: c1"


def test_a_system_with_splits_of_its_own(honest):
    runs = {place: run for place, run in honest.runs.items() if place != HERE}
    (offence,) = found(replace(honest, runs=runs))["splits"]
    assert offence == "second: trained on split00, the splits are split00, split01"


def test_features_of_other_keys(honest):
    (offence,) = found(changed(honest, "runs", HERE, inputs={"audio": "aa" * 16}))["features"]
    assert (
        offence == "second, split01: trained on features audio aaaaaaaa, the first system on audio f0f0f0f0"
    )


def test_a_system_scored_on_other_features_than_it_was_trained_on(honest):
    readings = {**honest.readings, "second": [one | {"inputs": {}} for one in honest.readings["second"]]}
    offences = found(replace(honest, readings=readings))["features"]
    assert offences[0] == "second, split00: scored on features none, the first system on audio f0f0f0f0"


def test_a_cache_that_has_changed_since(honest):
    (offence,) = found(replace(honest, features={"audio": "bb" * 16}))["features"]
    assert offence == "audio: the cache has bbbbbbbb now, the systems saw f0f0f0f0"


def test_results_that_were_made_of_something_else(honest):
    assert found(replace(honest, unmade=["scores/first.csv: labels changed"]))["made_of"] == [
        "scores/first.csv: labels changed"
    ]


def test_a_record_that_does_not_say_what_was_read(honest):
    offences = found(changed(honest, "runs", HERE, read={}))
    assert set(offences) == {"statistics", "selection", "splits"}
    assert "does not say which clips it read for dev; train it again" in offences["selection"][0]


def test_a_training_resumed_after_its_last_epoch_read_nothing_more(honest):
    assert found(with_read(with_read(honest, "train", []), "dev", [])) == {}
    assert set(found(with_read(honest, "statistics", []))) == {"statistics"}


def test_a_cut_line_of_the_journal_is_told_and_no_leak(honest):
    (told,) = [f for f in audit(replace(honest, cut=["mult.jsonl, line 3 is cut"])) if f.warnings]
    assert (told.name, told.passed, told.warnings) == ("test", True, ["mult.jsonl, line 3 is cut"])


def test_one_file_under_two_ids_on_two_sides_is_found(honest):
    found = {
        finding.name: finding for finding in audit(replace(honest, same_media=[["a1", "a2"], ["a1", "c1"]]))
    }
    assert found["media"].offences == [
        "split00: the same media are a1 on train, c1 on test",
        "split01: the same media are a1 on test, c1 on dev",
    ]
    assert found["media"].examined == "4 clips share media with another"
    assert audit(replace(honest, same_media=[["a1", "a2"]]))[1].passed
    unknown = {finding.name: finding for finding in audit(replace(honest, same_media=None))}["media"]
    assert unknown.examined == "not looked at, for want of the clip table"


def test_clips_drawn_with_replacement_are_the_train_sides_though_not_all(honest):
    place = ("first", "split00")
    read = dict(honest.runs[place]["read"])
    drawn = account_of(["a1"]) | {"drawn_from": account_of(["a1", "a2"])}

    def offences(train: dict) -> list[str]:
        runs = dict(honest.runs) | {place: dict(honest.runs[place]) | {"read": read | {"train": train}}}
        found = {finding.name: finding for finding in audit(replace(honest, runs=runs))}
        return found["splits"].offences

    assert not offences(drawn)
    assert offences(account_of(["a1"]))
    assert offences(account_of(["a1"]) | {"drawn_from": account_of(["a1", "c1"])})


def test_a_speaker_on_two_sides_is_found_where_groups_are_finer(honest):
    finer = replace(honest, groups={clip: clip for clip in FRAMES}, speakers=dict.fromkeys(FRAMES, "anna"))
    assert found(finer)["speakers"] == [
        f"split0{n}: speaker anna is on train and dev and test; groups are finer than speakers"
        for n in range(2)
    ]
    assert found(replace(honest, speakers={clip: clip[0] for clip in FRAMES})) == {}
    assert found(replace(honest, speakers=dict.fromkeys(FRAMES, "N/A"))) == {}, "no name is nobody's"


def test_a_system_that_looked_and_has_another_name_now_is_told(honest):
    (told,) = [finding for finding in audit(replace(honest, former={"old": 2})) if finding.warnings]
    assert told.name == "test"
    assert told.warnings == ["old: 2 models of this name read test clips too; the run has no such system now"]


def test_labels_that_changed_between_two_looks_are_found(honest):
    first = {"split": "split01", "model": "second-split01", "inputs": INPUTS, "labels": "l1"}
    twice = {**honest.readings, "second": [*honest.readings["second"], first, {**first, "labels": "l2"}]}
    assert found(replace(honest, readings=twice))["test"] == [
        "second, split01: its test clips were scored by 2 tables of labels, one after the other"
    ]


ENDED, READ = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"


def tried(number: int, split: Split, score: float, ended: str = ENDED) -> Tried:
    """A trial of one split, its kept epoch the second; the third trial's model is the one that was kept."""
    model = f"second-{split.name}" if number == 2 else f"trial {number}"
    outcome = Outcome(loss=1.0, score=score, model=model)
    common = {"values": {"training.lr": 0.1}, "metric": "uar", "ended": ended, "wall_s": 1.0}
    trial = Trial(study=split.name, trial=number, splits={split.name: outcome}, **common)
    history = pd.DataFrame({"epoch": [1, 2], "dev_loss": [3.0, 1.0], "dev_uar": [0.9, score]})
    return Tried(trial, {split.name: run_of(split)}, {split.name: history})


def with_search(records: Records, *more: Tried, **changes: object) -> Records:
    """The second system is searched for by three trials a split, the last of which is the best; ``more`` replace theirs."""
    search = Search.model_validate({"fields": {"training.lr": [1, 2, 3]}} | changes)
    made = {(n, s.name): tried(n, s, [0.5, 0.6, 0.7][n]) for s in SPLITS for n in range(3)}
    made |= {(one.trial.trial, one.trial.study): one for one in more}
    readings = {s: [one | {"at": READ} for one in honest_ones] for s, honest_ones in records.readings.items()}
    return replace(records, searches={"second": (search, list(made.values()))}, readings=readings)


def test_a_search_that_dev_decided_before_test_was_read(honest):
    records = with_search(honest)
    assert found(records) == {}
    assert "6 trials of second" in next(one.examined for one in audit(records) if one.name == "search")


def test_a_model_of_a_trial_that_dev_did_not_prefer(honest):
    """Such as one that is better on test."""
    offences = found(with_search(honest, tried(0, SPLITS[1], 0.8)))["search"]
    assert offences == ["second, split01: its model is not that of trial 0, which dev prefers"]


def test_a_search_that_went_on_after_test_was_read(honest):
    offences = found(with_search(honest, tried(1, SPLITS[1], 0.6, "2026-01-02T03:04:07Z")))["search"]
    assert offences == [f"second, split01: its test clips were read at {READ}, before trial 1 had ended"]


def test_a_trial_that_is_gone(honest):
    records = with_search(honest, fields={"training.lr": [1, 2, 3, 4]})
    assert found(records)["search"][0] == "second, split00: 3 of 4 trials are there; trial 3 is gone"


def warned(records: Records) -> list[str]:
    return next(one.warnings for one in audit(records) if one.name == "search")


def test_trials_that_no_search_has_any_more_count_as_tried(honest, tmp_path):
    """Of a larger one, of another study, of a search that is gone, of a system that is gone; whole or not."""
    search = Search.model_validate({"fields": {"training.lr": [1, 2]}})
    run = run_of_systems(("first", "second"), results=str(tmp_path), splits={"n": 2})
    systems = run.systems | {"second": run.systems["second"].model_copy(update={"search": search})}
    run = run.model_copy(update={"systems": systems})
    layout = Layout(run)
    for system, study, number in [
        *(("second", split.name, number) for split in SPLITS for number in range(3)),
        *(("second", "all", number) for number in range(2)),
        *(("first", "all", 0), ("gone", "split00", 7)),
    ]:
        path = layout.trial(system, study, number)
        path.parent.mkdir(parents=True)
        path.touch()
    before = trials_before(run, layout)
    assert before == {"first": 1, "gone": 1, "second": 4}
    records = replace(with_search(honest), trials_before=before)
    assert found(records) == {}
    assert warned(records) == [
        f"{system}: {count} trials lie here that no search has any more, and count as tried"
        for system, count in before.items()
    ]


def test_one_search_for_all_splits_that_test_each_others_dev_clips_is_told_of(honest):
    """Clips of c test the first split and are dev clips of the second."""
    both = {s.name: tried(2, s, 0.7) for s in SPLITS}
    trials = []
    for number in range(3):
        splits = {name: one.trial.splits[name] for name, one in both.items()}
        if number < 2:
            splits = {name: Outcome(loss=1.0, score=0.5, model="other") for name in both}
        runs = {name: one.runs[name] for name, one in both.items()}
        histories = {
            name: one.histories[name].assign(dev_uar=splits[name].score) for name, one in both.items()
        }
        trial = both["split00"].trial.model_copy(update={"study": "all", "trial": number, "splits": splits})
        trials.append(Tried(trial, runs, histories))
    records = with_search(honest, studies="all")
    records = replace(records, searches={"second": (records.searches["second"][0], trials)})
    assert found(records) == {}
    assert warned(records) == [
        "second: its settings were chosen for all splits at once, and 2 test clips are dev clips of other splits; "
        "studies: each chooses without them"
    ]
    lacking = [
        replace(one, trial=one.trial.model_copy(update={"splits": {"split00": one.trial.splits["split00"]}}))
        for one in trials
    ]
    records = replace(records, searches={"second": (records.searches["second"][0], lacking)})
    assert found(records)["search"] == [
        *(f"second, split01, trial {n}: it says nothing of this split" for n in range(3)),
        "second, split01: its model is not that of trial 2, which dev prefers",
    ]


def test_a_trial_that_was_judged_on_test(honest):
    one = tried(0, SPLITS[1], 0.5)
    read = run_of(SPLITS[1])["read"] | {"dev": account_of(SPLITS[1].test[:1])}
    other = replace(one, runs={"split01": run_of(SPLITS[1]) | {"read": read}})
    assert found(with_search(honest, other))["search"] == [
        "second, split01, trial 0: for dev it read 1 clips, not the 2 of its dev side"
    ]


def test_a_trial_that_says_other_numbers_than_dev_gave(honest):
    one = tried(0, SPLITS[1], 0.5)
    other = replace(one, histories={"split01": one.histories["split01"].assign(dev_uar=0.4)})
    assert found(with_search(honest, other))["search"] == [
        "second, split01, trial 0: its loss and uar are not those of its best epoch on dev"
    ]
