"""The registry of weights: what a config may name, what is recorded, fetched, converted and refused."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from avemo.base.contracts import AvemoError
from avemo.features.efficientnet import EfficientNetB2, random_model
from avemo.weights import known as known_weights
from avemo.weights.convert import convert
from avemo.weights.fetch import fetch
from avemo.weights.find import find, quick_identity
from avemo.weights.hashes import LEDGER, recorded, remembered_sha256, sha256_path
from avemo.weights.known import KNOWN


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty weights folder."""
    monkeypatch.setenv("AVEMO_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize("name", KNOWN)
def test_every_entry_can_be_fetched_from_one_place_and_names_its_terms(name):
    known = KNOWN[name]
    assert bool(known.hub) != bool(known.url)
    assert not known.hub or (len(known.revision) == 40 and known.hub_files)
    assert known.licence
    assert known.paper
    assert known.layer
    assert known.page.startswith("https://")


# -- finding -------------------------------------------------------------------


def test_a_name_and_a_path_to_the_same_bytes_are_the_same_weights(folder, tmp_path):
    (folder / "vgg_face_dag.pth").write_bytes(b"abc")
    (tmp_path / "elsewhere.pth").write_bytes(b"abc")
    by_name, by_path = find("vgg_face_dag"), find(str(tmp_path / "elsewhere.pth"))
    assert by_name.identity == by_path.identity == sha256(b"abc")
    assert by_name.provenance() == {"weights": sha256(b"abc"), "random_weights": False}
    assert find("random-seed-4").provenance() == {"weights": "random-seed-4", "random_weights": True}


def test_the_hash_is_recorded_at_first_use_and_verified_ever_after(folder):
    path = folder / "vgg_face_dag.pth"
    path.write_bytes(b"first")
    find("vgg_face_dag")
    assert json.loads((folder / LEDGER).read_text()) == {"vgg_face_dag": sha256(b"first")}
    path.write_bytes(b"other")
    message = f"vgg_face_dag.pth.*expected sha-256 {sha256(b'first')}.*found {sha256(b'other')}"
    with pytest.raises(AvemoError, match=message):
        find("vgg_face_dag")


def test_a_pinned_hash_is_not_overruled_by_the_record(folder, monkeypatch):
    from dataclasses import replace

    monkeypatch.setitem(KNOWN, "vgg_face_dag", replace(KNOWN["vgg_face_dag"], sha256=sha256(b"right")))
    (folder / "vgg_face_dag.pth").write_bytes(b"wrong")
    with pytest.raises(AvemoError, match=rf"expected sha-256 {sha256(b'right')} \(published\)"):
        find("vgg_face_dag")
    assert recorded(folder) == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "enet_b2_8",
            r"expected .*enet_b2_8\.safetensors, found nothing; run `avemo weights fetch enet_b2_8`",
        ),
        ("enet_b28", r"expected a path or a registered name, found neither; did you mean 'enet_b2_8'\?"),
        ("nowhere/w.pt", r"nowhere/w\.pt: expected a file.* found nothing; .*random-seed-0"),
    ],
)
def test_what_is_not_there_is_named_with_the_remedy(folder, name, message):
    with pytest.raises(AvemoError, match=message):
        find(name)


def test_a_transformers_folder_is_known_by_its_configuration_and_tensors(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    lines = f"config.json {sha256(b'{}')}\nmodel.safetensors {sha256(b'abc')}\n"
    assert sha256_path(tmp_path) == sha256(lines.encode())
    (tmp_path / "README.md").write_text("not a number")
    assert sha256_path(tmp_path) == sha256(lines.encode())
    (tmp_path / "empty").mkdir()
    with pytest.raises(AvemoError, match=r"found no \.json or \.safetensors"):
        sha256_path(tmp_path / "empty")


def test_a_remembered_hash_follows_the_bytes_not_the_place(tmp_path):
    memory, path = tmp_path / ".avemo" / "weights.json", tmp_path / "w.pt"
    assert remembered_sha256(path, memory) is None
    assert quick_identity(str(path), memory) == str(path)
    path.write_bytes(b"abc")
    assert quick_identity(str(path), memory) == sha256(b"abc")
    path.rename(tmp_path / "moved.pt")
    assert quick_identity(str(tmp_path / "moved.pt"), memory) == sha256(b"abc")
    (tmp_path / "moved.pt").write_bytes(b"abcd")
    assert quick_identity(str(tmp_path / "moved.pt"), memory) == sha256(b"abcd")
    assert quick_identity("random-seed-1", memory) == "random-seed-1"


# -- converting ----------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return random_model(3)


@pytest.fixture(scope="module")
def pickled(network, tmp_path_factory):
    """A whole module with an eight-class classifier, saved as EmotiEffLib publishes ``enet_b2_8.pt``."""
    model = timm.create_model("tf_efficientnet_b2", num_classes=8)
    model.load_state_dict(
        network.state_dict() | {n: v for n, v in model.state_dict().items() if "classifier" in n}
    )
    path = tmp_path_factory.mktemp("emotiefflib") / "enet_b2_8.pt"
    torch.save(model, path)
    return path


def test_a_pickled_module_becomes_registered_weights_only_when_allowed(folder, pickled, network):
    out = folder / "enet_b2_8.safetensors"
    with pytest.raises(AvemoError, match="--allow-pickle"):
        convert(pickled, out)
    assert not out.exists()
    convert(pickled, out, allow_pickle=True)
    state = load_file(out)
    assert torch.equal(state["conv_head.weight"], network.state_dict()["conv_head.weight"])
    assert recorded(folder) == {"enet_b2_8": sha256(out.read_bytes())}
    ours = EfficientNetB2(EfficientNetB2.Config(weights="enet_b2_8", device="cpu"))
    assert ours.provenance()["weights"] == sha256(out.read_bytes())
    crop = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    random = EfficientNetB2(EfficientNetB2.Config(weights="random-seed-3", device="cpu"))
    np.testing.assert_array_equal(ours.extract([(0.0, crop)]).x, random.extract([(0.0, crop)]).x)


def test_conversion_is_deterministic_and_takes_state_dicts_too(tmp_path):
    state = {"b": torch.arange(3.0), "a": torch.ones(2, 2)}
    torch.save(state, tmp_path / "plain.pth")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "wrapped.pth")
    for number in range(2):
        assert convert(tmp_path / "plain.pth", tmp_path / f"{number}.safetensors") == 2
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    convert(tmp_path / "wrapped.pth", tmp_path / "w.safetensors", allow_pickle=True)
    assert all(
        torch.equal(load_file(tmp_path / "w.safetensors")[name], value) for name, value in state.items()
    )


def test_a_pickle_of_classes_that_are_not_here_is_named(tmp_path):
    import types

    module = types.ModuleType("elsewhere")
    module.Net = type("Net", (torch.nn.Linear,), {"__module__": "elsewhere"})
    sys.modules["elsewhere"] = module
    torch.save(module.Net(2, 2), tmp_path / "w.pt")
    del sys.modules["elsewhere"]
    with pytest.raises(AvemoError, match="libraries installed here, found one of others .*elsewhere"):
        convert(tmp_path / "w.pt", tmp_path / "w.safetensors", allow_pickle=True)


def test_moving_or_renaming_a_file_changes_no_key(tmp_path, network):
    save_file(dict(network.state_dict()), tmp_path / "a.safetensors")
    before = EfficientNetB2(EfficientNetB2.Config(weights=str(tmp_path / "a.safetensors"), device="cpu"))
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    after = EfficientNetB2(EfficientNetB2.Config(weights=str(tmp_path / "b.safetensors"), device="cpu"))
    assert before.key_part() == after.key_part()
    other = EfficientNetB2(EfficientNetB2.Config(weights="random-seed-3", device="cpu"))
    assert other.key_part() != after.key_part()


# -- fetching ------------------------------------------------------------------


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as a model hub does for the three files of one repository at one revision."""

    known = KNOWN["wav2vec2_large_robust"]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body: bool):
        prefix = f"/{self.known.hub}/resolve/{self.known.revision}/"
        file = self.path.removeprefix(prefix)
        found = self.path.startswith(prefix) and file in self.known.hub_files
        content = f"content of {file}".encode() if found else b"no"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.known.revision)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def avemo(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    code = "from avemo.cli import main; main()"
    env = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"} | environment
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env)


def test_fetch_brings_the_pinned_revision_from_a_hub(folder, hub, tmp_path):
    environment = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    done = avemo("weights", "fetch", "wav2vec2_large_robust", **environment)
    assert done.returncode == 0, done.stderr
    found = folder / "wav2vec2_large_robust"
    assert (found / "model.safetensors").read_bytes() == b"content of model.safetensors"
    assert recorded(folder) == {"wav2vec2_large_robust": sha256_path(found)}
    assert avemo("weights", "verify").returncode == 0
    (found / "model.safetensors").write_bytes(b"damaged")
    done = avemo("weights", "verify", "--json")
    assert done.returncode == 1
    assert "expected sha-256" in json.loads(done.stdout)[0]["detail"]


def test_without_a_network_fetch_says_so(folder, tmp_path):
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    done = avemo("weights", "fetch", "wav2vec2_large_robust", **nowhere)
    assert done.returncode == 1
    assert "facebook/wav2vec2-large-robust@fa15057" in done.stderr
    assert "go online" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_published_pickle_is_fetched_as_it_is_and_verified_again(folder, pickled, monkeypatch):
    from dataclasses import replace

    monkeypatch.setitem(KNOWN, "enet_b2_8", replace(KNOWN["enet_b2_8"], url=pickled.as_uri()))
    assert fetch("enet_b2_8") == folder / "enet_b2_8.pt"
    assert recorded(folder) == {"enet_b2_8.pt": sha256(pickled.read_bytes())}
    monkeypatch.setitem(
        KNOWN, "enet_b2_8", replace(KNOWN["enet_b2_8"], url=pickled.as_uri() + ".gone/enet_b2_8.pt")
    )
    with pytest.raises(AvemoError, match=r"enet_b2_8\.pt: expected to be fetched .*go online"):
        fetch("enet_b2_8")
    assert (folder / "enet_b2_8.pt").read_bytes() == pickled.read_bytes(), "the old file survives a failure"


def test_using_weights_never_goes_online(folder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("went online")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(AvemoError, match="found nothing"):
        EfficientNetB2(EfficientNetB2.Config(weights="enet_b2_8", device="cpu"))


def test_list_tells_programs_and_people_the_same(folder):
    (folder / "vgg_face_dag.pth").write_bytes(b"abc")
    rows = {row["name"]: row for row in json.loads(avemo("weights", "list", "--json").stdout)}
    assert rows.keys() == KNOWN.keys()
    assert [name for name, row in rows.items() if row["present"]] == ["vgg_face_dag"]
    assert rows["vgg_face_dag"]["mean"] == list(known_weights.VGG_FACE_MEAN)
    text = avemo("weights", "list").stdout
    assert "vgg_face_dag.pth: here" in text
    assert "CC BY-NC-SA 4.0" in text
