"""Files of tensors: exact, strict, never half-written."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from avemo.base.contracts import AvemoError
from avemo.training.checkpoint import (
    CHECKPOINT,
    SHA256,
    load_checkpoint,
    load_model,
    model_meta,
    save_checkpoint,
    save_model,
)

TENSORS = {
    "model": {"w.x": torch.randn(3, 2), "steps": torch.tensor(7)},
    "rng": {"global": torch.arange(9, dtype=torch.uint8)},
    "optimizer": {"0": {"exp_avg": torch.randn(2).double()}},
    "flag": torch.tensor([True, False]),
}


def test_nested_state_comes_back_exactly(tmp_path):
    meta = {"history": [{"loss": 0.1 + 0.2}], "best": float("inf")}
    save_checkpoint(tmp_path / "new" / "folder", TENSORS, meta)
    tensors, found = load_checkpoint(tmp_path / "new" / "folder")
    assert found == meta
    assert tensors.keys() == TENSORS.keys()
    assert torch.equal(tensors["model"]["w.x"], TENSORS["model"]["w.x"])
    assert torch.equal(tensors["model"]["steps"], TENSORS["model"]["steps"])
    assert tensors["rng"]["global"].dtype == torch.uint8
    assert torch.equal(tensors["optimizer"]["0"]["exp_avg"], TENSORS["optimizer"]["0"]["exp_avg"])
    assert torch.equal(tensors["flag"], TENSORS["flag"])


@settings(max_examples=50)
@given(st.floats(allow_nan=False))
def test_numbers_of_meta_come_back_to_the_bit(tmp_path_factory, number):
    folder = tmp_path_factory.getbasetemp() / "numbers"
    save_checkpoint(folder, {}, {"number": number})
    found = load_checkpoint(folder)[1]["number"]
    assert (found, str(found)) == (number, str(number))


def test_equal_content_makes_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, TENSORS, {"x": 1, "y": [2]})
    assert (tmp_path / "a" / CHECKPOINT).read_bytes() == (tmp_path / "b" / CHECKPOINT).read_bytes()


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x80\x04pickle" * 9]
)
def test_damaged_file_is_an_error_with_a_remedy(tmp_path, damage):
    save_checkpoint(tmp_path, TENSORS, {})
    path = tmp_path / CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(AvemoError, match=r"damaged or foreign file.*delete it and train again"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("which", range(8))
def test_a_flipped_bit_of_a_tensor_or_of_meta_is_another_file(tmp_path, which):
    """One that no format notices: a weight, a step, a loss of the history."""
    save_checkpoint(tmp_path, TENSORS, {"history": [{"loss": 0.25}], 7: (1, 2)})
    assert load_checkpoint(tmp_path)[1] == {"history": [{"loss": 0.25}], "7": [1, 2]}
    path = tmp_path / CHECKPOINT
    raw = bytearray(path.read_bytes())
    end = 8 + int.from_bytes(raw[:8], "little")
    places = [raw.index(b"0.25") + 3, *range(end, len(raw), (len(raw) - end) // 7)]
    raw[places[which]] ^= 1
    path.write_bytes(raw)
    with pytest.raises(AvemoError, match=r"checkpoint.safetensors: expected .* delete it and train again"):
        load_checkpoint(tmp_path)


def test_slash_in_a_name_is_refused(tmp_path):
    with pytest.raises(AvemoError, match="'a/b'"):
        save_checkpoint(tmp_path, {"a/b": torch.zeros(1)}, {})


def test_file_is_replaced_and_nothing_else_is_left(tmp_path):
    for epoch in (1, 2):
        save_checkpoint(tmp_path, TENSORS, {"epoch": epoch})
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert load_checkpoint(tmp_path)[1] == {"epoch": 2}


def test_meta_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    save_checkpoint(tmp_path, TENSORS, {"epoch": 1})
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, TENSORS, {"epoch": torch.tensor(2)})
    assert load_checkpoint(tmp_path)[1] == {"epoch": 1}


def test_model_round_trip_with_tied_weights(tmp_path):
    def tied():
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
        model[2].weight = model[0].weight
        return model

    model, fresh, path = tied(), tied(), tmp_path / "deep" / "model.safetensors"
    meta = {"model": "mlp", "config": {"width": 3}}
    save_model(path, model.state_dict(), meta)
    assert model_meta(path) == meta
    assert load_model(path, fresh) == meta
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)


def test_weights_of_another_model_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, {"a": torch.zeros(1), "weight": torch.zeros(2, 9)}, {})
    with pytest.raises(AvemoError) as caught:
        load_model(path, nn.Linear(3, 2))
    message = str(caught.value)
    for part in ("missing bias", "unexpected a", "weight: expected (2, 3), found (2, 9)"):
        assert part in message


def test_absent_model_is_an_error(tmp_path):
    with pytest.raises(AvemoError, match="found no file"):
        model_meta(tmp_path / "none.safetensors")


def test_header_is_plain_json(tmp_path):
    """The file opens without any of our code: 8 bytes of length, then JSON."""
    save_checkpoint(tmp_path, TENSORS, {"epoch": 3})
    raw = (tmp_path / CHECKPOINT).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    meta = json.loads(header["__metadata__"]["meta"])
    assert meta == {"epoch": 3, SHA256: meta[SHA256]}
    assert header["rng/global"]["dtype"] == "U8"
