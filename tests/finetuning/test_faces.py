"""Fine-tuning VGG-Face: from an image list to weights that the extractor reads, in small."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import classification_report

from avemo.base.contracts import AvemoError
from avemo.features.vgg_face import VGGFaceAffectNet
from avemo.features.vgg_network import CONVS, Shape, VGGFace
from avemo.finetuning.faces import (
    AFFECTNET_7,
    FaceSides,
    FaceTuning,
    class_report,
    read_pictures,
    start_network,
)
from avemo.weights.find import find

SMALL = {"classes": ["happiness", "sadness"], "width": 4, "px": 32, "hidden": 16, "device": "cpu"}
TINY = {**SMALL, "weights": "random-seed-0", "epochs": 8, "batch_size": 8, "lr": 0.003, "dropout": 0.0}


class TinyAffectNet(VGGFaceAffectNet):
    shape, dim = Shape(width=4, px=32, hidden=16), 16


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Happy faces are brighter above, sad ones below; a third of the images has a box."""
    folder = tmp_path_factory.mktemp("affectnet")
    rng = np.random.default_rng(0)
    rows = [("path", "label", "split", "x0", "y0", "x1", "y1")]
    for number in range(48):
        label = ("happiness", "sadness")[number % 2]
        image = rng.integers(0, 90, (48, 48, 3), np.uint8)
        half = slice(0, 24) if label == "happiness" else slice(24, 48)
        image[half] += 120
        cv2.imwrite(str(folder / f"{number}.png"), image)
        box = (4, 4, 44, 44) if number % 3 == 0 else ("", "", "", "")
        rows.append(
            (f"{number}.png", label, "train" if number < 32 else "dev" if number < 44 else "test", *box)
        )
    (folder / "missing_is_fine_on_the_test_side.png").touch()
    with (folder / "faces.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "faces.csv"


def test_the_papers_numbers_are_the_defaults():
    config = FaceTuning(weights="vgg_face_dag")
    assert (config.epochs, config.lr, len(config.classes), config.background) == (50, 7.5e-5, 7, "masked")
    assert config.shape == Shape()
    assert set(AFFECTNET_7) == {"neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"}


def test_the_test_side_is_not_read_and_boxes_are(table):
    sides = read_pictures(table, ("happiness", "sadness"))
    assert {side: len(pictures) for side, pictures in sides.items()} == {"train": 32, "dev": 12}
    assert sides["train"][0].box == (4.0, 4.0, 44.0, 44.0)
    assert sides["train"][1].box is None
    assert [picture.label for picture in sides["dev"][:3]] == [0, 1, 0]


def test_pictures_are_seen_as_the_extractor_sees_them(table):
    """RGB, masked to the ellipse of the box, in [-1, 1]."""
    config = FaceTuning(**TINY)
    sides = FaceSides(read_pictures(table, config.classes), config)
    batch = next(iter(sides.dev()))
    image = cv2.imread(str(table.parent / "32.png"))[..., ::-1]
    seen = cv2.resize(np.ascontiguousarray(image), (32, 32), interpolation=cv2.INTER_AREA)
    inner = slice(10, 22)
    np.testing.assert_allclose(
        batch.inputs[0][0].permute(1, 2, 0)[inner, inner].numpy(), seen[inner, inner] / 127.5 - 1, atol=1e-6
    )
    assert (batch.inputs[0][:, :, 0, 0] == -1).all(), "corners are black"
    assert batch.names[:2] == ("32.png", "33.png")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "a.png,happyness,train",
            r"line 2: label: expected one of .*found 'happyness'; did you mean 'happiness'",
        ),
        ("a.png,happiness,valid", r"line 2: split: expected one of train, dev, test, found 'valid'"),
        ("a.png,happiness,train,5,5,4,9", r"line 2: expected a box x0 < x1"),
        ("a.png,happiness,train", r"expected rows with split dev, found none"),
    ],
)
def test_a_wrong_list_is_named_by_its_line(tmp_path, line, message):
    (tmp_path / "t.csv").write_text(f"path,label,split,x0,y0,x1,y1\n{line}\n")
    with pytest.raises(AvemoError, match=message):
        read_pictures(tmp_path / "t.csv", AFFECTNET_7)


def test_a_list_of_other_columns_and_a_file_that_is_no_image_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("file,label\na,b\n")
    with pytest.raises(AvemoError, match=r"with columns \['path', 'split'\]"):
        read_pictures(tmp_path / "t.csv", AFFECTNET_7)
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "t.csv").write_text("path,label,split\nbad.png,fear,train\nbad.png,fear,dev\n")
    config = FaceTuning(**(TINY | {"classes": AFFECTNET_7}))
    with pytest.raises(AvemoError, match=r"bad\.png: expected an image, found no image"):
        list(FaceSides(read_pictures(tmp_path / "t.csv", AFFECTNET_7), config).dev())


def test_it_starts_from_published_convolutions_and_new_layers(tmp_path):
    torch.manual_seed(0)
    published = VGGFace(Shape(width=4, px=32, hidden=9), "fc6")
    state = {name.removeprefix("layers."): value for name, value in published.state_dict().items()}
    save_file(state, tmp_path / "vgg.safetensors")
    config = FaceTuning(
        **(TINY | {"weights": str(tmp_path / "vgg.safetensors"), "freeze_convolutions": True})
    )
    model = start_network(find(config.weights), config)
    assert all(torch.equal(model.trunk.layers.get_submodule(c).weight, state[f"{c}.weight"]) for c in CONVS)
    assert model.trunk.layers.fc1.weight.shape == (16, 32)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {
        f"{layer}.{k}" for layer in ("trunk.layers.fc1", "head.fc2", "head.fc3") for k in ("weight", "bias")
    }


def test_the_class_report_is_scikit_learns():
    rng = np.random.default_rng(2)
    logits, truth = torch.from_numpy(rng.normal(size=(60, 3))), torch.from_numpy(rng.integers(0, 3, 60))
    found = class_report(logits, truth, ("a", "b", "c"))
    expected = classification_report(truth, logits.argmax(-1), output_dict=True)
    for number in range(3):
        row = {name: values[number] for name, values in found["classes"].items()}
        sklearn = expected[str(number)]
        assert row["f1"] == pytest.approx(sklearn["f1-score"])
        assert (row["precision"], row["recall"]) == pytest.approx((sklearn["precision"], sklearn["recall"]))
        assert row["count"] == sklearn["support"]
    assert np.sum(found["confusion"]) == 60


def run_rule(repository: Path, folder: Path, section: dict) -> str:
    """Run the fine-tuning workflow in ``folder``; the log of what it did."""
    (folder / "config.yaml").write_text(json.dumps({"faces": section}))
    files = ["--snakefile", str(repository / "workflow" / "finetuning.smk"), "--configfile", "config.yaml"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", *files, "--cores", "1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / f"{section['out']}.log").read_text()


def test_the_rule_ends_in_weights_that_the_extractor_reads(repository, table, tmp_path):
    log = run_rule(repository, tmp_path, {"table": str(table), "out": "weights/tuned", "config": TINY})
    assert "epoch 8 of 8" in log
    out = tmp_path / "weights" / "tuned"
    report = json.loads((out / "tuning" / "classes.json").read_text())
    assert np.trace(report["confusion"]) >= 10, "of 12 dev pictures"
    rows = list(csv.DictReader((out / "tuning" / "classes.csv").open()))
    assert [(row["class"], float(row["count"])) for row in rows] == [("happiness", 6), ("sadness", 6)]
    history = list(csv.DictReader((out / "tuning" / "history.csv").open()))
    record = json.loads((out / "tuning" / "run.json").read_text())
    best = min(range(8), key=lambda epoch: float(history[epoch]["dev_loss"]))
    assert record["best_epoch"] == best + 1
    state = load_file(out / "model.safetensors")
    assert {name.rsplit(".", 1)[0] for name in state} == {*CONVS, "fc1", "fc2", "fc3"}
    ours = TinyAffectNet(TinyAffectNet.Config(weights=str(out), device="cpu"))
    with pytest.raises(
        AvemoError, match="expected a network tuned on faces with their background kept, found masked"
    ):
        TinyAffectNet(TinyAffectNet.Config(weights=str(out), background="kept", device="cpu"))
    bright = np.full((32, 32, 3), 90, np.uint8)
    above, below = bright.copy(), bright.copy()
    above[:16], below[16:] = 210, 210
    x = ours.extract([(0.0, above), (0.1, below)]).x
    hidden = torch.relu(torch.from_numpy(x) @ state["fc2.weight"].T + state["fc2.bias"])
    assert (hidden @ state["fc3.weight"].T + state["fc3.bias"]).argmax(-1).tolist() == [0, 1]


def test_reading_ahead_changes_nothing(table, tmp_path):
    config = FaceTuning(**TINY)
    sides = read_pictures(table, config.classes)
    ahead = FaceSides(sides, config.model_copy(update={"workers": 1}))
    for one, other in zip(FaceSides(sides, config).dev(), ahead.dev(), strict=True):
        assert torch.equal(one.inputs[0], other.inputs[0])
        assert one.names == other.names
