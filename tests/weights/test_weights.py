"""Weight files: what is read, and what is refused with which words."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from avemo.base.contracts import AvemoError
from avemo.weights.find import load_state_dict, random_seed
from avemo.weights.hashes import sha256_path

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([1], dtype=torch.int64)}


@given(st.integers(min_value=0))
def test_a_random_name_gives_its_seed(seed):
    assert random_seed(f"random-seed-{seed}") == seed


@pytest.mark.parametrize(
    "name", ["random-seed-", "random-seed--1", "random-seed-1.pt", "a/random-seed-1", ""]
)
def test_anything_else_is_a_path(name):
    assert random_seed(name) is None


def test_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_path(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_what_was_saved_is_loaded(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(STATE, path) if suffix == ".safetensors" else torch.save(STATE, path)
    loaded = load_state_dict(str(path))
    assert loaded.keys() == STATE.keys()
    for name, value in STATE.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)


@pytest.mark.parametrize("read", [sha256_path, load_state_dict])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(AvemoError, match=r"nowhere\.pt: expected a file.* found nothing; .*random-seed-0"):
        read(tmp_path / "nowhere.pt")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(AvemoError, match="found a folder"):
        load_state_dict(tmp_path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"version https://git-lfs.github.com/spec/v1\n"])
def test_damaged_files_are_refused(tmp_path, suffix, damage):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(damage)
    with pytest.raises(AvemoError, match=rf"bad{suffix}: expected .* found .*fetch it again"):
        load_state_dict(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_truncated_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    save_file(STATE, path) if suffix == ".safetensors" else torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AvemoError, match=r"expected .* found .*damaged"):
        load_state_dict(path)


def test_a_pickled_module_is_refused_with_the_way_to_convert_it(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "enet_b2_8.pt")
    with pytest.raises(
        AvemoError,
        match=r"pickled Python object .*EmotiEffLib.*avemo weights convert .*enet_b2_8\.pt --allow-pickle",
    ):
        load_state_dict(tmp_path / "enet_b2_8.pt")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 3, "a": torch.zeros(1)}, "other values under epoch"),
        ({}, "no tensors"),
        ([1, 2], "a list"),
        ({"state_dict": {"a": torch.zeros(1)}}, "other values under state_dict"),
    ],
)
def test_only_flat_state_dicts_are_accepted(tmp_path, content, found):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(AvemoError, match=f"found {found}; save the state dict alone"):
        load_state_dict(tmp_path / "w.pth")


def test_an_unknown_ending_is_refused(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"1")
    with pytest.raises(AvemoError, match=r"found \.bin"):
        load_state_dict(tmp_path / "weights.bin")
