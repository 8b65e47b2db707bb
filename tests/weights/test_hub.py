"""Networks by their names on the hub, which a folder stands in for here."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from avemo.base.contracts import AvemoError, ConfigError
from avemo.cli.app import app
from avemo.weights.find import find, quick_identity
from avemo.weights.hub import fetch_hub, hub_name

NAME = "hub:lab/net@0123abc"
STATE = {"a.weight": torch.arange(6.0).view(2, 3)}


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """The files of ``lab/net``; what is downloaded comes from here, at revision 0123abc only."""
    files = tmp_path / "hub"
    files.mkdir()
    (files / "config.json").write_text('{"model_type": "wavlm"}')
    (files / "notes.txt").write_text("not for us")

    def check(repository, revision):
        if (repository, revision) != ("lab/net", "0123abc"):
            raise LocalEntryNotFoundError("404: no such revision")

    def listed(_, repository, revision):
        check(repository, revision)
        return [path.name for path in files.iterdir()]

    def download(repository, file, *, revision, local_dir):
        check(repository, revision)
        shutil.copy(files / file, Path(local_dir) / file)

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", listed)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setenv("AVEMO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    return files


def test_what_is_fetched_is_found_under_its_name_and_hashed(hub, tmp_path):
    save_file(STATE, hub / "model.safetensors")
    save_file(STATE, hub / "model.fp32-00001-of-00001.safetensors")
    assert quick_identity(NAME) == NAME, "what is not there yet is its name"
    done = CliRunner().invoke(app, ["weights", "fetch", NAME])
    assert done.exit_code == 0, done.output
    found = find(NAME)
    assert found.path == tmp_path / "weights" / "hub" / "lab--net@0123abc"
    assert sorted(path.name for path in found.path.iterdir()) == ["config.json", "model.safetensors"]
    ledger = json.loads((found.path.parent / "sha256.json").read_text())
    assert ledger == {NAME: found.identity}
    assert quick_identity(NAME) == found.identity
    assert not found.provenance()["random_weights"]


def test_other_bytes_than_at_first_are_refused(hub):
    save_file(STATE, hub / "model.safetensors")
    folder = fetch_hub(NAME)
    (folder / "config.json").write_text("{}")
    with pytest.raises(AvemoError, match=r"hub:lab/net@0123abc .*expected sha-256 .*recorded.* found"):
        find(NAME)
    done = CliRunner().invoke(app, ["weights", "verify", NAME])
    assert done.exit_code == 1


def test_two_who_fetch_at_once_both_have_what_came_first(hub, monkeypatch):
    save_file(STATE, hub / "model.safetensors")
    theirs, download = hub_name(NAME).folder, huggingface_hub.hf_hub_download

    def while_another_ends(*args, **kwargs):
        if not theirs.is_dir():
            shutil.copytree(hub, theirs)
        download(*args, **kwargs)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", while_another_ends)
    assert fetch_hub(NAME) == theirs
    assert (theirs / "notes.txt").is_file(), "it is still theirs"
    assert sorted(path.name for path in theirs.parent.iterdir()) == [theirs.name, "sha256.json"]


def test_tensors_in_several_files_come_with_their_list(hub):
    for number in (1, 2):
        save_file(STATE, hub / f"model-0000{number}-of-00002.safetensors")
    (hub / "model.safetensors.index.json").write_text("{}")
    assert len(list(fetch_hub(NAME).glob("*.safetensors"))) == 2


def test_pickled_tensors_become_safetensors_and_other_objects_are_refused(hub):
    torch.save(STATE, hub / "pytorch_model.bin")
    folder = fetch_hub(NAME)
    assert [path.name for path in folder.glob("*model*")] == ["model.safetensors"]
    assert torch.equal(load_file(folder / "model.safetensors")["a.weight"], STATE["a.weight"])
    shutil.rmtree(folder)
    torch.save(torch.nn.Linear(2, 2), hub / "pytorch_model.bin")
    with pytest.raises(AvemoError, match="pickled Python object"):
        fetch_hub(NAME)
    assert not folder.exists(), "nothing half fetched stays"


def test_what_is_not_there_is_named(hub):
    with pytest.raises(AvemoError, match=r"run `avemo weights fetch hub:lab/net@0123abc`"):
        find(NAME)
    with pytest.raises(
        AvemoError, match=r"expected model\.safetensors or pytorch_model\.bin, found config\.json"
    ):
        fetch_hub(NAME)
    with pytest.raises(AvemoError, match=r"hub:lab/net@ffff: expected to be fetched .*404.*go online"):
        fetch_hub("hub:lab/net@ffff")


@pytest.mark.parametrize(
    "name", ["hub:lab/net", "hub:lab/net@", "hub:../../x@1", "hub:a/b/c@1", "hub:a/b@x/../y"]
)
def test_a_name_without_revision_or_that_leaves_the_folder_is_refused(name):
    with pytest.raises(ConfigError, match=r"expected hub:owner/name@revision, found another form"):
        hub_name(name)


def test_anything_else_is_no_name_of_the_hub():
    assert hub_name("weights/hub") is None
