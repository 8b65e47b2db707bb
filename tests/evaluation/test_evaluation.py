"""Predictions, scores and baselines."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from avemo.base.contracts import AvemoError, FeatureSequence
from avemo.cli.app import app
from avemo.dataset.loading import ClipData
from avemo.dataset.normalise import Normalise
from avemo.dataset.tasks import Attributes, Bits, Classes
from avemo.evaluation.scoring import Scored, load_system, predict
from avemo.models import build_model
from avemo.training.checkpoint import save_model
from avemo.training.loop import train
from avemo.training.recipe import TrainingConfig
from avemo.training.seeding import build_seeded
from training_standins import AUDIO_DIM, CLASSES, TASK, VISUAL_DIM, Towers, ToyData, ToySplit, fresh, run_tiny

TEST = ToySplit().test


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model, result = run_tiny(tmp_path_factory.mktemp("trained"))
    model.load_state_dict(result.best_state)
    return model


def test_table_has_a_row_a_clip_in_order(trained):
    table = predict(trained, ToyData(), TEST, TASK, batch_size=5)
    assert list(table.columns) == ["clip_id", "target", "prediction", "p_0", "p_1", "p_2"]
    assert tuple(table["clip_id"]) == TEST
    assert list(table["target"]) == [int(clip.removeprefix("clip")) % CLASSES for clip in TEST]
    p = table[["p_0", "p_1", "p_2"]].to_numpy()
    assert p.sum(1) == pytest.approx(np.ones(len(TEST)), abs=1e-12)
    assert (p.argmax(1) == table["prediction"]).all()


def test_equal_seeds_give_equal_bytes_of_predictions(tmp_path):
    tables = []
    for name in ("a", "b"):
        model, result = run_tiny(tmp_path / name)
        model.load_state_dict(result.best_state)
        tables.append(predict(model, ToyData(), TEST, TASK, batch_size=5))
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    files = []
    for number, table in enumerate(tables):
        table.to_parquet(tmp_path / f"{number}.parquet")
        files.append((tmp_path / f"{number}.parquet").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("modality", "zeroed"), [("audio", "visual_BTD"), ("visual", "audio_BTD"), ("av", None)]
)
def test_modality_is_all_the_system_sees(trained, modality, zeroed):
    seen = []
    hook = trained.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    predict(trained, ToyData(), TEST, TASK, modality=modality)
    hook.remove()
    for batch in seen:
        for name in ("audio_BTD", "visual_BTD"):
            assert bool(getattr(batch, name).any()) == (name != zeroed)


def test_prediction_changes_nothing_in_the_system(trained):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.train()
    first = predict(trained, ToyData(), TEST, TASK)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    pd.testing.assert_frame_equal(first, predict(trained, ToyData(), TEST, TASK), check_exact=True)


def test_batch_size_is_of_no_consequence(trained):
    one, all_at_once = (predict(trained, ToyData(), TEST, TASK, batch_size=size) for size in (1, 100))
    pd.testing.assert_frame_equal(one, all_at_once, atol=1e-6)


def test_wrong_requests_are_errors(trained):
    with pytest.raises(AvemoError, match="expected one of av, audio, visual, found 'both'"):
        predict(trained, ToyData(), TEST, TASK, modality="both")
    with pytest.raises(AvemoError, match="expected clips, found none"):
        predict(trained, ToyData(), [], TASK)
    with pytest.raises(AvemoError, match="clips clip43: expected finite logits"):
        predict(trained, ToyData(poison="clip43"), TEST, TASK)


def test_systems_that_represent_both_modalities_alike_tell_their_distance():
    """1 - cos(r_a, r_v) a clip, as Fig. 2 of VAVL needs it; none when one modality is away."""
    sizes = {"width": 8, "heads": 2, "layers": 1, "shared_layers": 1, "depthwise_kernel": 3}
    model = build_model("vavl", audio_dim=AUDIO_DIM, visual_dim=VISUAL_DIM, outputs=CLASSES, **sizes)
    table = predict(model, ToyData(), TEST[:3], TASK)
    with torch.no_grad():
        r = model.eval()(ToyData().batch(list(TEST[:3]))).representations
    expected = 1 - torch.cosine_similarity(r["audio"], r["visual"])
    assert table["cosine_distance"].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert "cosine_distance" not in predict(model, ToyData(), TEST[:3], TASK, modality="audio")


class Source:
    """Features of ``dim`` dimensions, drawn per clip."""

    dtype = "float32"

    def __init__(self, dim):
        self.dim = dim

    def has(self, clip_id):
        return True

    def length(self, clip_id):
        return 6

    def read(self, clip_id):
        rng = np.random.default_rng([self.dim, *clip_id.encode()])
        return FeatureSequence(rng.standard_normal((6, self.dim)).astype(np.float32), np.arange(6.0))

    def read_into(self, clip_id, out):
        out[...] = self.read(clip_id).x[: len(out)]

    def moments(self, clip_ids):
        x = np.concatenate([self.read(clip_id).x for clip_id in clip_ids]).astype(np.float64)
        return SimpleNamespace(count=len(x), sum=x.sum(0), squares=(x**2).sum(0))


def real_data(audio_dim=5):
    targets = {clip: int(clip.removeprefix("clip")) % CLASSES for clip in (*ToySplit().train, *TEST)}
    return ClipData(Source(audio_dim), Source(7), targets)


@pytest.mark.parametrize("way", ["train", "clip", "none"])
def test_saved_system_predicts_as_before_with_its_train_statistics(tmp_path, way):
    data, dims = real_data(), {"audio_dim": 5, "visual_dim": 7, "outputs": CLASSES}
    normalisers = data.fit(ToySplit().train, Normalise(audio=way))
    config = {"width": 10, "heads": 2, "layers": 1}
    model = build_model("mult", **dims, **config)
    meta = {"model": "mult", "config": config, "dims": dims, "task": TASK.kind, "outputs": list(TASK.names)}
    meta["normalisers"] = {name: made.to_dict() for name, made in normalisers.items()}
    save_model(tmp_path / "m.safetensors", model.state_dict(), meta)
    fresh = real_data()
    loaded, found = load_system(tmp_path / "m.safetensors", fresh)
    assert found == meta
    pd.testing.assert_frame_equal(
        predict(loaded, fresh, TEST, TASK), predict(model, data, TEST, TASK), check_exact=True
    )
    with pytest.raises(
        AvemoError, match="expected a system for classes sad, found one for classes calm, glad"
    ):
        load_system(tmp_path / "m.safetensors", fresh, Classes(["sad"]))
    with pytest.raises(AvemoError, match=r"expected features of .*'audio_dim': 5.*found .*'audio_dim': 6"):
        load_system(tmp_path / "m.safetensors", real_data(audio_dim=6))


class NumberData(ToyData):
    """The toy clips with numbers for labels: an attribute, or a bit for each step up."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def batch(self, ids):
        made = super().batch(ids)
        number = made.targets[:, None].float()
        made.targets = number / 2 if self.kind == "attributes" else (number >= torch.arange(1, 3)).float()
        return made


class TwoTowers(Towers):
    outputs_of = {"attributes": 1, "bits": 2}

    def __init__(self, kind: str):
        super().__init__()
        outputs = self.outputs_of[kind]
        self.heads = nn.ModuleDict({name: nn.Linear(6, outputs) for name in ("audio", "visual")})
        self.fusion[-1] = nn.Linear(6, outputs)


@pytest.mark.parametrize("procedure", ["joint", "alternating", "sampled"])
@pytest.mark.parametrize(
    ("task", "least"),
    [(Attributes(["arousal"]), {"ccc": 0.7}), (Bits(["some", "much"]), {"mf1": 0.8, "wf1": 0.8})],
)
def test_numbers_are_learnt_and_scored_by_every_procedure(tmp_path, procedure, task, least):
    """Blind predictors reach a CCC of 0 and, with bits set in two and one third of the clips, an mF1 of 0.4."""
    config = TrainingConfig(procedure=procedure, epochs=30, batch_size=15, lr=0.02, device="cpu")
    model = build_seeded(lambda: TwoTowers(task.kind), 0, "split00")
    data = NumberData(task.kind)
    result = train(fresh(model, config, task), data, ToySplit(), run_id=task.kind, folder=tmp_path)
    assert f"dev_{task.headline[0]}" in result.history[0]
    model.load_state_dict(result.best_state)
    table = predict(model, data, TEST, task, batch_size=7)
    scores = task.score(table)
    assert all(scores[metric] > value for metric, value in least.items()), scores
    pd.testing.assert_frame_equal(table, predict(model, data, TEST, task, batch_size=100), atol=1e-5)


@pytest.mark.parametrize(
    ("gpu", "setting", "expected"),
    [
        (True, {}, "cuda"),
        (True, {"device": "cpu"}, "cpu"),
        (True, {"device": "cuda:1"}, "cuda:1"),
        (False, {}, "cpu"),
    ],
)
def test_the_test_side_is_scored_where_the_system_was_trained(tmp_path, monkeypatch, gpu, setting, expected):
    """On a GPU where there is one and the run's settings do not say otherwise, and in a share that it holds."""
    seen, held = [], []
    empty = Scored(pd.DataFrame({"clip_id": ["a"]}), pd.DataFrame({"system": ["s"]}))

    def score(*arguments):
        seen.append(str(arguments[-1]))
        return empty

    monkeypatch.setattr("avemo.evaluation.scoring.score_models", score)
    monkeypatch.setattr("avemo.base.made_of.checked", lambda path: "")
    monkeypatch.setattr("avemo.base.made_of.require_made_of", lambda *of: None)
    monkeypatch.setattr("avemo.base.made_of.write_made", lambda *written: None)
    monkeypatch.setattr("avemo.training.checkpoint.model_meta", lambda path: {"model": "mult"})
    monkeypatch.setattr("avemo.study.stage_code.score_code", lambda model: {})
    monkeypatch.setattr("avemo.dataset.labels.load_labels", lambda path: SimpleNamespace(targets={}))
    monkeypatch.setattr("avemo.machine.gpus.use_gpu", lambda *asked: held.append(asked))
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    threads = torch.get_num_threads()
    settings = json.dumps({"speed": {"run/s": setting}})
    options = ["--system", "s", "--run", "run", "--settings", settings, "--gpu-mb", "7"]
    for name in ("labels", "splits", "readings", "predictions", "scores"):
        options += [f"--{name}", str(tmp_path / name)]
    done = CliRunner().invoke(app, ["evaluate", *options, str(tmp_path / "model.safetensors")])
    torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    assert seen == [expected]
    assert held == [(7, setting.get("device", "auto"))]
