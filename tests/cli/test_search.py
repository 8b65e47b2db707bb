"""The best trial's files become a system's own: dev alone decides, and nothing that is not what it says is taken."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from avemo.base.contracts import AvemoError
from avemo.base.file_hashes import sha256_of
from avemo.base.made_of import made_of, note, record_path
from avemo.cli import search as command
from avemo.cli.training import Bench
from avemo.dataset.tasks import Classes
from avemo.models import MODELS
from avemo.study.searched import trial_spec
from avemo.study.specs import as_cfg
from avemo.training.recipe import TrainSpec
from avemo.training.search import Outcome, Search, Trial, read_trial
from avemo.training.watch import Diverged

DEV, TEST = (0.5, 0.7, 0.6), (0.6, 0.1, 0.9)
"""Scores of three trials."""
SPEC = TrainSpec.model_validate(
    {
        **{"model": "mult", "version": 1, "config": {}, "training": {}},
        "search": {"fields": {"training.lr": [0.1, 0.2, 0.3]}},
    }
)

SEARCHED = SPEC.model_copy(update={"config": MODELS.load("mult").Config().numbers()})
"""The same with all fields, as a rule hands it on."""


@pytest.fixture
def trials(tmp_path) -> list[Path]:
    """Three trials of one split, each better than another either on dev or on test, which only their models tell."""
    return [written(tmp_path / "search" / "split00", number) for number in range(3)]


def written(study: Path, number: int) -> Path:
    folder = study / f"{number:04d}" / "split00"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(f"scores {TEST[number]} on test")
    (folder / "history.csv").write_text(f"history {number}")
    (folder / "run.json").write_text(f"record {number}")
    note(folder / "model.safetensors", None, {"labels": "l", "audio": "a"})
    outcome = Outcome(loss=1.0, score=DEV[number], model=sha256_of(folder / "model.safetensors"))
    common = {"metric": "uar", "ended": "2026-01-01T00:00:00Z", "wall_s": 1.0}
    found = Trial(
        study="split00",
        trial=number,
        values={"training.lr": (number + 1) / 10},
        splits={"split00": outcome},
        **common,
    )
    path = folder.parent / "trial.json"
    path.write_text(found.model_dump_json())
    note(path, None, {})
    return path


def take_over(out: Path, files: list[Path]) -> None:
    command.take_over(SPEC, {"cfg": 1}, {"split00": out}, files)


def test_the_one_that_is_best_on_dev_is_taken_and_not_the_one_that_is_best_on_test(trials, tmp_path, capsys):
    out = tmp_path / "train" / "model.safetensors"
    take_over(out, trials)
    assert max(range(3), key=TEST.__getitem__) == 2
    assert out.read_text() == "scores 0.1 on test"
    assert out.with_name("history.csv").read_text() == "history 1"
    assert out.with_name("run.json").read_text() == "record 1"
    assert "split00: trial 1 of 3 by dev: lr 0.2" in capsys.readouterr().out
    read = made_of(out).read
    assert read == {"labels": "l", "audio": "a"} | {
        f"trial {n}": sha256_of(path) for n, path in enumerate(trials)
    }


def test_a_trials_record_has_no_place_for_a_score_on_test(trials):
    told = read_trial(trials[0]).model_dump()
    told["splits"]["split00"]["test_score"] = 0.9
    with pytest.raises(ValidationError, match="test_score"):
        Trial.model_validate(told)


def test_a_trial_that_is_missing_is_named(trials, tmp_path):
    with pytest.raises(AvemoError, match=r"search, split00: expected its 3 trials, found 0, 2"):
        take_over(tmp_path / "model.safetensors", [trials[0], trials[2]])


@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_model_that_its_trial_does_not_tell_of_is_not_taken(trials, tmp_path, change):
    model = trials[1].parent / "split00" / "model.safetensors"
    model.write_text("another") if change == "other" else model.unlink()
    with pytest.raises(
        AvemoError, match=r"0001/split00/model.safetensors: expected the model that trial.json tells of"
    ):
        take_over(tmp_path / "train" / "model.safetensors", trials)
    assert not (tmp_path / "train" / "model.safetensors").exists()


def test_a_model_tells_of_the_code_of_all_trials_that_it_was_chosen_from(trials, tmp_path):
    """As each may have a procedure of its own; and of both where one was made by other code."""
    codes = [{"joint.py": "a"}, {"joint.py": "a", "sampled.py": "b"}, {"joint.py": "old"}]
    for number, (path, code) in enumerate(zip(trials, codes, strict=True)):
        path.write_text(read_trial(path).model_copy(update={"code": code}).model_dump_json())
        note(path, None, {})
        out = tmp_path / f"{number}" / "model.safetensors"
        command.take_over(
            of_points(number + 1),
            {},
            {"split00": out},
            trials[: number + 1],
        )
        codes[number] = {
            file: made for file, made in made_of(out).code.items() if file in ("joint.py", "sampled.py")
        }
        assert "avemo/training/search.py" in made_of(out).code
    assert codes == [
        {"joint.py": "a"},
        {"joint.py": "a", "sampled.py": "b"},
        {"joint.py": "a old", "sampled.py": "b"},
    ]


def of_points(count: int) -> TrainSpec:
    fields = {"training.lr": [0.1, 0.2, 0.3][:count]}
    return SPEC.model_copy(update={"search": Search.model_validate({"fields": fields})})


def test_a_trial_that_did_not_train_the_split_is_not_taken(trials, tmp_path):
    found = read_trial(trials[1])
    path = trials[1]
    path.write_text(
        found.model_copy(update={"splits": {"split01": found.splits["split00"]}}).model_dump_json()
    )
    note(path, None, {})
    with pytest.raises(AvemoError, match=r"0001/split00/model.safetensors: expected the model .* \(none\)"):
        take_over(tmp_path / "model.safetensors", trials)


@pytest.fixture
def trainings(tmp_path, monkeypatch) -> list[float]:
    """Learning rates that trials were trained with; from 0.3 on a loss is no number."""
    found: list[float] = []

    def train_on(job, data, part, read, resume, tell):
        found.append(job.spec.training.lr)
        if found[-1] > 0.25:
            raise Diverged(f"loss inf at {found[-1]}")
        history = [{"epoch": 1, "dev_loss": 1.0, "dev_macro_f1": 0.5}]
        result = SimpleNamespace(history=history, best_epoch=1, best_state={"w": torch.zeros(1)})
        return SimpleNamespace(result=result, record={}, meta={})

    def bench_of(spec, *_):
        job = SimpleNamespace(system="net", spec=spec, known=SimpleNamespace(task=Classes(["no", "yes"])))
        return nullcontext(Bench(job, None, {"labels": "l"}, rerun_for_code=False))

    monkeypatch.setattr(command, "bench_of", bench_of)
    monkeypatch.setattr(command, "use_threads", lambda threads: None)
    monkeypatch.setattr("avemo.training.one_split.train_on", train_on)
    monkeypatch.setattr("avemo.dataset.splits.load_split", lambda path, name: None)
    return found


def tries(out: Path, number: int, cfg: str = "", splits: tuple[str, ...] = ("split00",)) -> Trial:
    place = (out.with_name("labels"), out.with_name("splits"), out.with_name("resume"), out)
    command.trial(cfg or as_cfg(trial_spec(SEARCHED, number)), "net", "split00", number, list(splits), *place)
    return read_trial(out)


def test_a_trial_that_is_there_is_not_made_again_whatever_a_workflow_thinks(trainings, tmp_path):
    """As of a job that was killed after its work: Snakemake deletes the record, its output, and runs it again."""
    out = tmp_path / "0001" / "trial.json"
    first, record = tries(out, 1), made_of(out)
    written_ns = out.stat().st_mtime_ns
    record_path(out).unlink()
    assert tries(out, 1) == first
    assert trainings == [0.2]
    assert made_of(out) == record
    assert out.stat().st_mtime_ns == written_ns


def test_another_trial_in_its_place_is_made(trainings, tmp_path):
    out = tmp_path / "0001" / "trial.json"
    tries(out, 1)
    tries(out, 0)
    assert trainings == [0.2, 0.1]


def test_a_trial_whose_loss_is_no_number_is_noted_and_no_error(trainings, tmp_path):
    found = tries(tmp_path / "0002" / "trial.json", 2)
    assert found.failed == "loss inf at 0.3"
    assert found.splits == {}
    assert not (tmp_path / "0002" / "split00").exists()


def test_by_hand_a_trial_is_of_its_own_number_and_the_one_that_a_workflow_makes(trainings, tmp_path):
    out = tmp_path / "0001" / "trial.json"
    found = tries(out, 1, as_cfg(SEARCHED))
    assert found.values == {"training.lr": 0.2}
    assert tries(out, 1) == found
    assert trainings == [0.2]
    with pytest.raises(AvemoError, match=r"trial 3: expected a number below 3"):
        tries(out, 3, as_cfg(SEARCHED))


def test_a_trial_of_fewer_splits_is_another(trainings, tmp_path):
    out = tmp_path / "0001" / "trial.json"
    tries(out, 1)
    assert set(tries(out, 1, splits=("split00", "split01")).splits) == {"split00", "split01"}
    assert trainings == [0.2, 0.2, 0.2]


def test_values_of_tpe_that_do_not_fit_each_other_are_noted_and_a_field_that_is_none_is_an_error(
    trainings, tmp_path
):
    """Width 6 fits 2 heads and not 4; width 8 fits both."""

    def spec(fields: dict) -> str:
        search = {"sampler": "tpe", "trials": 8, "fields": fields}
        return as_cfg(SEARCHED.model_copy(update={"search": Search.model_validate(search)}))

    cfg = spec({"config.width": [8, 6], "config.heads": [2, 4]})
    paths, found = [], []
    for number in range(8):
        out = tmp_path / f"{number:04d}" / "trial.json"
        place = (out.with_name("labels"), out.with_name("splits"), out.with_name("resume"), out)
        command.trial(cfg, "net", "split00", number, ["split00"], *place, trial=paths)
        paths, found = [*paths, out], [*found, read_trial(out)]
    unfit = [one.values == {"config.width": 6, "config.heads": 4} for one in found]
    assert any(unfit)
    assert [bool(one.failed) for one in found] == unfit
    assert all("width 6 is not a multiple of heads 4" in one.failed for one in found if one.failed)
    assert len(trainings) == unfit.count(False)
    with pytest.raises(AvemoError, match=r"unknown key 'systems.net.search.fields.config.widht'"):
        tries(tmp_path / "other" / "trial.json", 0, spec({"config.widht": [8]}))
