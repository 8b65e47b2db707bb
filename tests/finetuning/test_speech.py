"""Fine-tuning of wav2vec 2.0: its parts by hand computation, and the whole command on generated tones."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model
from typer.testing import CliRunner

from avemo.base import metrics
from avemo.base.contracts import AvemoError, Clip
from avemo.cli.app import app
from avemo.features.extraction import extract_audio
from avemo.features.wav2vec2 import Wav2Vec2
from avemo.finetuning.speech import (
    SpeechTuning,
    Turns,
    ccc_loss,
    ccc_scores,
    read_turns,
    start_network,
)
from avemo.weights.find import find
from media_factory import write_wav

RATE_HZ = 16_000
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (24,) * 7,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config(**SMALL)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """40 tones of 0.3 to 0.6 s: the higher, the more aroused; noise goes with low valence."""
    folder = tmp_path_factory.mktemp("turns")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        arousal, valence = rng.uniform(size=2)
        samples = rng.integers(4_800, 9_600)
        wave = np.sin(2 * np.pi * 200 * 8**arousal * np.arange(samples) / RATE_HZ)
        write_wav(
            folder / f"t{number:02}.wav", 0.3 * wave + 0.2 * (1 - valence) * rng.standard_normal(samples)
        )
        side = "train" if number < 28 else "dev" if number < 38 else "test"
        rows.append([f"t{number:02}.wav", arousal, valence, (arousal + valence) / 2, side])
    write_table(folder / "turns.csv", rows)
    return folder / "turns.csv"


def write_table(path, rows, header=("path", "arousal", "valence", "dominance", "split")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def tuning(network, **changes) -> SpeechTuning:
    small = {"layers": 2, "hidden": 16, "batch_size": 14, "lr": 1e-3, "dropout": 0.1, "device": "cpu"}
    return SpeechTuning(weights=str(network), **(small | changes))


def test_the_defaults_are_the_papers():
    config = SpeechTuning(weights="random-seed-0")
    assert (config.epochs, config.batch_size, config.lr, config.layers) == (10, 32, 1e-4, 12)
    assert (config.hidden, config.dropout) == (1024, 0.5)


# -- loss ----------------------------------------------------------------------


def test_the_loss_is_one_minus_ccc_summed_over_attributes():
    generator = torch.Generator().manual_seed(0)
    outputs, targets = (torch.rand(20, 3, generator=generator) for _ in range(2))
    expected = sum(1 - metrics.ccc(targets[:, k].numpy(), outputs[:, k].numpy()) for k in range(3))
    assert float(ccc_loss(outputs, targets)) == pytest.approx(expected, abs=1e-5)
    assert list(ccc_scores(outputs, targets)) == ["ccc_arousal", "ccc_valence", "ccc_dominance"]


def test_the_loss_of_known_cases():
    x = torch.tensor([[0.0], [1.0], [2.0]])
    assert float(ccc_loss(x, x)) == pytest.approx(0, abs=1e-6)
    assert float(ccc_loss(2 - x, x)) == pytest.approx(2, abs=1e-6)
    assert float(ccc_loss(x + 1, x)) == pytest.approx(1 - 4 / 7, abs=1e-6), "2s²/(2s²+c²), s² = 2/3, c = 1"
    constant = torch.ones(3, 1, requires_grad=True)
    ccc_loss(constant, x).backward()
    assert torch.isfinite(constant.grad).all()


# -- network -------------------------------------------------------------------


def test_the_pool_is_the_mean_of_the_extractors_frames(network, table):
    """Also in a padded batch: the head is left out to see what enters it."""
    config = tuning(network)
    model = start_network(find(str(network)), config).eval()
    model.head = torch.nn.Identity()
    extractor = Wav2Vec2(Wav2Vec2.Config(weights=str(network), layers=2, device="cpu"))
    (first, *_) = Turns(read_turns(table), config).dev()
    assert len(set(first.inputs[1].tolist())) > 1, "lengths differ"
    with torch.no_grad():
        pooled = model(*first.inputs).numpy()
    for name, found in zip(first.names, pooled, strict=True):
        frames = extract_audio(extractor, Clip(name, "s", "g", audio_path=table.parent / name)).x
        np.testing.assert_allclose(found, frames.mean(axis=0), atol=1e-5)


def test_the_head_is_two_layers_with_norm_relu_and_dropout(network):
    kinds = [type(layer).__name__ for layer in start_network(find(str(network)), tuning(network)).head]
    assert kinds == [*("Linear", "LayerNorm", "ReLU", "Dropout") * 2, "Linear"]


@pytest.mark.parametrize("freeze", [True, False])
def test_convolutions_are_frozen_by_choice(network, freeze):
    model = start_network(find(str(network)), tuning(network, freeze_convolutions=freeze))
    trained = {name for name, weights in model.named_parameters() if weights.requires_grad}
    assert any("feature_extractor" in name for name in trained) != freeze
    assert any("encoder.layers.1." in name for name in trained)


def test_long_turns_are_cut(network, table):
    (batch, *_) = Turns(read_turns(table), tuning(network, longest_s=0.1)).dev()
    assert batch.inputs[1].tolist() == [1_360] * 10, "0.1 s is four frames, which see 1360 samples"


# -- table ---------------------------------------------------------------------


def test_test_rows_are_not_handed_out(table):
    sides = read_turns(table)
    assert {side: len(turns) for side, turns in sides.items()} == {"train": 28, "dev": 10}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["a.wav", 1, 2, 3, "Train"]], r"line 2: expected split train, dev or test, found 'Train'"),
        ([["a.wav", 1, "", 3, "train"]], r"line 2: expected a number each, found .*'valence': ''"),
        ([["a.wav", 1, "nan", 3, "train"]], r"expected a number each"),
        ([["a.wav", 1, 2, 3, "train"]], r"expected rows with split dev, found none"),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, words):
    write_table(tmp_path / "t.csv", rows)
    with pytest.raises(AvemoError, match=words):
        read_turns(tmp_path / "t.csv")


def test_other_tables_are_refused(tmp_path):
    write_table(tmp_path / "t.csv", [], header=("path", "arousal", "split"))
    with pytest.raises(AvemoError, match=r"with columns \['valence', 'dominance'\]"):
        read_turns(tmp_path / "t.csv")
    with pytest.raises(AvemoError, match="found no file"):
        read_turns(tmp_path / "none.csv")


# -- the whole -----------------------------------------------------------------


def command(network, table, folder, **changes):
    cfg = json.dumps(tuning(network, **changes).model_dump(mode="json"))
    options = ["--cfg", cfg, "--table", table, "--resume", folder / "resume", "--out", folder / "tuned"]
    return CliRunner().invoke(app, ["finetune", "speech", *map(str, options)])


def test_the_command_learns_and_its_folder_loads_in_the_extractor(network, table, tmp_path):
    settings = {"epochs": 8, "freeze_convolutions": False}
    done = command(network, table, tmp_path, **settings)
    assert done.exit_code == 0, done.output
    assert "28 turns to train on, 10 to choose the epoch by" in done.output
    history = pd.read_csv(tmp_path / "tuned" / "tuning" / "history.csv")
    assert list(history.epoch) == list(range(1, 9))
    record = json.loads((tmp_path / "tuned" / "tuning" / "run.json").read_text())
    assert record["best"]["dev_loss"] == pytest.approx(history.dev_loss.min())
    assert record["best"]["dev_ccc_arousal"] > 0.5, "pitch is easy"
    assert record["inputs"]["weights"] == find(str(network)).identity
    tuned, start = (
        Wav2Vec2(Wav2Vec2.Config(weights=str(folder), layers=2, device="cpu"))
        for folder in (tmp_path / "tuned", network)
    )
    assert tuned.provenance()["random_weights"] is False
    signal = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    found = tuned.extract(signal).x
    assert np.abs(found - start.extract(signal).x).max() > 1e-2
    theirs = Wav2Vec2Model.from_pretrained(tmp_path / "tuned").eval()
    normal = torch.from_numpy((signal - signal.mean()) / signal.std())
    with torch.no_grad():
        np.testing.assert_allclose(found, theirs(normal[None]).last_hidden_state[0], atol=1e-4)
    again = command(network, table, tmp_path, **settings)
    assert again.exit_code == 0, again.output
    assert "epoch 1 of" not in again.output, "all epochs are in the checkpoint"


def test_a_foreign_folder_is_not_overwritten(network, table, tmp_path):
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "thesis.txt").write_text("mine")
    done = command(network, table, tmp_path)
    assert isinstance(done.exception, AvemoError)
    assert "give --out a name of its own" in str(done.exception)
    assert (tmp_path / "tuned" / "thesis.txt").exists()


def test_the_rule_calls_the_command(repository, network, table, tmp_path):
    section = {
        "table": str(table),
        "out": "w/tuned",
        "config": tuning(network, epochs=1).model_dump(mode="json"),
    }
    (tmp_path / "config.yaml").write_text(json.dumps({"speech": section}))
    files = [
        "--snakefile",
        repository / "workflow" / "finetuning.smk",
        "--configfile",
        tmp_path / "config.yaml",
    ]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, files), "--directory", str(tmp_path), "-n", "-p"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "avemo finetune speech --cfg '{" in done.stdout
    assert f"--table {table} --resume w/.tuned.resume --threads" in done.stdout
    assert "--out w/tuned > w/tuned.log" in done.stdout
