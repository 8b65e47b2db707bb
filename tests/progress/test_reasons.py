"""Snakemake's reasons in our words, from its own class of them and hand-made records."""

import json
from types import SimpleNamespace

import pytest
from snakemake.jobs import Reason
from snakemake.persistence import ParamsChange

from avemo.base.made_of import note
from avemo.cache.shard_writer import write_shard
from avemo.progress.reasons import CAUSES, reasons
from avemo.study import changed
from cache_factory import item_of


def command(**cfg):
    return f"avemo extract --cfg '{json.dumps(cfg)}' --out y"


def shard_job(output, rule="audio_features", **cfg):
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule),
        output=[output],
        wildcards_dict={"shard": "0001"} if rule != "index" else {},
        shellcmd=command(**cfg),
    )


def because(**causes):
    reason = Reason()
    for name, value in causes.items():
        getattr(reason, name).add(value) if isinstance(value, str) else setattr(reason, name, value)
    return reason


CHANGED = ParamsChange(only_old={"a"}, only_new={"b"}, files={"out"})


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_is_one_that_snakemake_knows_and_has_its_words(cause):
    reason = because(**{cause: "file" if isinstance(getattr(Reason(), cause), set) else True})
    assert reasons(shard_job("out"), reason, {}.get) == [CAUSES[cause]]


def test_inputs_that_another_job_makes_are_not_also_called_newer():
    reason = because(updated_input="a", updated_input_run="a")
    assert reasons(shard_job("out"), reason, {}.get) == ["its inputs are made anew"]


def test_settings_without_a_record_are_said_to_have_none():
    told = reasons(shard_job("out"), because(params_changed=CHANGED), {}.get)
    assert told == ["its settings have changed (the old ones are not recorded)"]


def test_a_changed_setting_is_told_with_both_values():
    recorded = {"out": command(window=60)}.get
    changed = because(params_changed=CHANGED)
    assert reasons(shard_job("out", window=40), changed, recorded) == ["window: 60 → 40"]
    assert reasons(shard_job("out", window=60), changed, recorded) == ["its parameters have changed"]


def test_a_new_setting_is_told_against_the_component_cached_before(tmp_path):
    (tmp_path / "lld-old").mkdir()
    old, new = tmp_path / "lld-old" / "0001.h5", tmp_path / "lld-new" / "0001.h5"
    write_shard(old, [item_of("clip00")], {})
    note(old, {"id": "lld-old", "window": 60, "weights": ["a"]}, {})
    job = shard_job(new, id="lld-new", window=40, weights=["b"])
    told = reasons(job, because(missing_output="out"), {}.get)
    assert told == ['differs from lld-old: window: 60 → 40, weights: ["a"] → ["b"]']


def test_what_the_records_tell_is_told_instead_of_newer_inputs(monkeypatch):
    monkeypatch.setitem(changed.TOLD, "out", ["window: 60 → 40", "clips changed"])
    reason = because(updated_input=str(changed.CHANGED))
    assert reasons(shard_job("out"), reason, {}.get) == ["window: 60 → 40", "clips changed"]
