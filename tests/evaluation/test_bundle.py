"""A bundle predicts what its run predicts, wherever it lies, and is refused where a byte of it is another."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from avemo.base.contracts import AvemoError
from avemo.evaluation.bundle import CARD, MANIFEST, MANIFEST_BYTES, opened
from avemo.evaluation.bundle_writing import write_bundle
from avemo.evaluation.clip_list import Asked
from avemo.evaluation.predictor import Predictor, open_predictor, predict_clip
from avemo.study.layout import CONFIG, MODEL, training_folder
from avemo.study.study import read_run
from avemo.training import checkpoint
from made_run import TEMPERATURES, make_run
from media_factory import write_wav

SOUND = 0.3 * np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000)


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "here", "file")


@pytest.fixture
def sound(tmp_path) -> Asked:
    return Asked("s", write_wav(tmp_path / "s.wav", SOUND))


def bundled(run: Path, out: Path, **options) -> Path:
    predictor = open_predictor(run, read_run(run), "a")
    write_bundle(run, read_run(run), "a", predictor, out, **options)
    return out


def values(place: Path, sound: Asked) -> tuple[dict[str, float], str]:
    with opened(place) as (folder, config):
        predictor = open_predictor(folder, config, "a")
        return predictor.predict(sound.clip()).values, predictor.identity


def moved(tmp_path: Path, bundle: Path) -> Path:
    """Where nothing of the place it was made in is left."""
    there = tmp_path / "there" / bundle.name
    there.parent.mkdir()
    shutil.move(bundle, there)
    shutil.rmtree(tmp_path / "here")
    return there


@pytest.mark.parametrize("name", ["b", "b.zip"])
def test_a_bundle_answers_elsewhere_as_its_run_does(tmp_path, run, sound, name):
    expected = values(run, sound)
    there = moved(tmp_path, bundled(run, tmp_path / name))
    assert values(there, sound) == expected


def test_the_answer_is_the_mean_of_the_splits_models_each_at_its_temperature(run, sound):
    config = read_run(run)
    each = []
    for split, temperature in zip(config.split_names, TEMPERATURES, strict=True):
        p = predict_clip(sound.clip(), config, training_folder(run, "a", split) / MODEL).values
        # Of two classes a temperature divides the difference of the logits.
        each.append(expit(logit(p["calm"]) / temperature))
    assert values(run, sound)[0]["calm"] == pytest.approx(np.mean(each), abs=1e-9)


def test_of_attributes_no_temperature_is_taken(tmp_path, sound):
    run = make_run(tmp_path / "there", task="attributes")
    config = read_run(run)
    assert not open_predictor(run, config, "a").temperatures
    each = [
        predict_clip(sound.clip(), config, training_folder(run, "a", split) / MODEL).values["arousal"]
        for split in config.split_names
    ]
    assert values(run, sound)[0]["arousal"] == pytest.approx(np.mean(each), abs=1e-9)


def test_equal_runs_give_equal_bytes(tmp_path, run):
    first, second = (bundled(run, tmp_path / name).read_bytes() for name in ("1.zip", "2.zip"))
    assert first == second


def test_nothing_in_it_says_where_it_was_made(tmp_path, run):
    bundle = bundled(run, tmp_path / "b")
    texts = [path.read_text() for path in bundle.rglob("*") if path.suffix in (".json", ".md", ".csv")]
    assert len(texts) == 4
    assert not [text for text in texts if str(tmp_path) in text or "secret" in text]


def test_the_card_tells_what_the_records_say(tmp_path, run):
    card = (bundled(run, tmp_path / "b") / CARD).read_text()
    for told in (
        *("2 of 2 splits' models", "calm, loud", "2.000, 0.500", "1,234 parameters", "best epochs: 3, 4"),
        *("train clips: 70", "0.312 (0.265)", "1.0 minutes"),
    ):
        assert told in card
    assert "random" not in card


def test_random_weights_are_told_on_the_card_and_in_the_manifest(tmp_path):
    run = make_run(tmp_path / "here", "random-seed-3")
    bundle = bundled(run, tmp_path / "b")
    assert "random weights" in (bundle / CARD).read_text()
    assert "random weights" in json.loads((bundle / MANIFEST).read_text())["cautions"][0]
    with opened(bundle) as (folder, config):
        assert "random weights" in open_predictor(folder, config, "a").cautions[0]


def test_a_synthetic_corpus_is_told(tmp_path, run):
    text = json.loads((run / CONFIG).read_text())
    text["corpus"]["synthetic"] = True
    (run / CONFIG).write_text(json.dumps(text))
    bundle = bundled(run, tmp_path / "b.zip")
    with opened(bundle) as (folder, config):
        assert "synthetic corpus" in (folder / CARD).read_text()
        assert "synthetic corpus" in open_predictor(folder, config, "a").cautions[0]


def files_of(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != MANIFEST)


def test_each_file_is_compared_with_the_manifest(tmp_path, run):
    bundle = bundled(run, tmp_path / "b")
    assert len(files_of(bundle)) == 6
    for path in files_of(bundle):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(AvemoError, match=f"{path.name}: expected .* bytes with SHA-256"), opened(bundle):
            pass
        path.unlink()
        with pytest.raises(AvemoError, match=f"expected .*{path.name}, found no such file"), opened(bundle):
            pass
        path.write_bytes(content)
    (bundle / "scores" / "more.csv").write_text("x")
    with pytest.raises(AvemoError, match="found 'scores/more.csv' too"), opened(bundle):
        pass


def test_a_link_is_no_file_of_a_bundle(tmp_path, run):
    bundle = bundled(run, tmp_path / "b")
    outside = tmp_path / "card"
    shutil.move(bundle / CARD, outside)
    (bundle / CARD).symlink_to(outside)
    with pytest.raises(AvemoError, match="found a link"), opened(bundle):
        pass


def rezipped(bundle: Path, out: Path, change) -> Path:
    """A zip of the same files after ``change`` of its names and contents."""
    with zipfile.ZipFile(bundle) as given:
        files = {name: given.read(name) for name in given.namelist()}
    change(files)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as taken:
        for name, content in files.items():
            taken.writestr(name, content)
    return out


def outwards(files: dict[str, bytes]) -> None:
    manifest = json.loads(files[MANIFEST])
    manifest["files"]["../outside"] = manifest["files"][CARD]
    files["../outside"], files[MANIFEST] = files[CARD], json.dumps(manifest).encode()


def renamed(files: dict[str, bytes]) -> None:
    """A system whose folder would lie elsewhere."""
    changed(files, CONFIG, files[CONFIG].replace(b'"a": {', b'"../../a": {'))


def inflated(files: dict[str, bytes]) -> None:
    files[CARD] = bytes(50_000_000)


def newer(files: dict[str, bytes]) -> None:
    manifest = json.loads(files[MANIFEST])
    files[MANIFEST] = json.dumps({**manifest, "layout": "avemo-bundle/2", "avemo": "9.0"}).encode()


def changed(files: dict[str, bytes], name: str, content: bytes) -> None:
    """With a manifest that says so."""
    manifest = json.loads(files[MANIFEST])
    files[name] = content
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    files[MANIFEST] = json.dumps(manifest).encode()


def newer_config(files: dict[str, bytes]) -> None:
    manifest = json.loads(files[MANIFEST])
    files[MANIFEST] = json.dumps({**manifest, "avemo": "9.0"}).encode()
    changed(files, CONFIG, json.dumps({**json.loads(files[CONFIG]), "mood": 1}).encode())


def weights_of_this_machine(files: dict[str, bytes]) -> None:
    config = json.loads(files[CONFIG])
    config["features"]["audio"]["places"]["weights"] = "/etc/hostname"
    changed(files, CONFIG, json.dumps(config).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (outwards, "expected paths inside the bundle, found '../outside'"),
        (renamed, "config.json: expected the system 'a' alone, found '../../a'"),
        (inflated, "README.md: expected .* bytes .*, found 50000000"),
        (lambda files: files.pop(CARD), "expected README.md, found no such file"),
        (lambda files: files.update({"a.py": b"x"}), "found 'a.py' too"),
        (lambda files: files.pop(MANIFEST), "expected one bundle.json in it"),
        (lambda files: files.update({MANIFEST: b"{}"}), "expected the manifest of a bundle"),
        (lambda files: files.update({MANIFEST: b"[" * 90_000}), "expected the manifest of a bundle"),
        (lambda files: files.update({MANIFEST: bytes(20_000_000)}), "expected one bundle.json in it"),
        (lambda files: changed(files, f"{CARD}/x", b"x"), "found 'README.md/x' below a file"),
        (lambda files: changed(files, 300 * "x", b"x"), "expected paths inside the bundle, found 'xxx"),
        (newer, "expected the layout avemo-bundle/1, found avemo-bundle/2; .*avemo 9.0.*install that one"),
        (newer_config, "(?s)mood.*written by avemo 9.0.*install that one"),
        (weights_of_this_machine, "expected weights in the bundle or by name, found '/etc/hostname'"),
    ],
)
def test_a_zip_of_other_files_is_refused_by_name(tmp_path, run, change, said):
    bundle = rezipped(bundled(run, tmp_path / "b.zip"), tmp_path / "c.zip", change)
    with pytest.raises(AvemoError, match=said), opened(bundle):
        pass
    assert not (tmp_path / "outside").exists()


def test_a_link_in_a_zip_becomes_no_link(tmp_path, run):
    bundled(run, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as given, zipfile.ZipFile(tmp_path / "c.zip", "w") as taken:
        files = {name: given.read(name) for name in given.namelist()}
        changed(files, CARD, b"/etc/hostname")
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            taken.writestr(info, content)
    with opened(tmp_path / "c.zip") as (folder, _):
        assert not (folder / CARD).is_symlink()
        assert (folder / CARD).read_text() == "/etc/hostname"


def test_a_manifest_that_holds_more_than_it_says_is_not_read_whole(tmp_path, run, monkeypatch):
    """Its length stands in the zip's list of contents, which whoever made the zip has written."""
    asked, real = [], zipfile.ZipExtFile.read

    def read(self, n=-1):
        asked.append(n)
        return real(self, n)

    bundle = bundled(run, tmp_path / "b.zip")
    monkeypatch.setattr(zipfile.ZipExtFile, "read", read)
    with opened(bundle):
        pass
    assert asked
    assert all(n is not None and 0 < n <= MANIFEST_BYTES for n in asked)


def test_models_of_other_answers_have_no_mean(run):
    path = training_folder(run, "a", "split01") / MODEL
    tensors, meta = checkpoint._read(path)
    checkpoint.save_model(path, tensors, {**meta, "outputs": ["loud", "calm"]})
    with pytest.raises(AvemoError, match="split01.*expected outputs as in .*split00.*'calm', 'loud'"):
        open_predictor(run, read_run(run), "a")
    assert open_predictor(run, read_run(run), "a", "split01").task.names == ("loud", "calm")


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "b.zip").write_bytes(b"something else")
    with pytest.raises(AvemoError, match="expected a run's folder, or a bundle"), opened(tmp_path / "b.zip"):
        pass


def test_weights_that_are_not_there_are_named(tmp_path, run):
    shutil.rmtree(tmp_path / "here" / "lab")
    with pytest.raises(AvemoError, match="audio: expected the weights .*network.safetensors"):
        bundled(run, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_weights_without_a_name_are_not_left_out(tmp_path, run):
    with pytest.raises(AvemoError, match="expected weights by a name that another machine knows"):
        bundled(run, tmp_path / "b", encoders=False)


def test_a_name_that_is_taken_is_not_written_over(tmp_path, run):
    for name in ("b", "b.zip"):
        bundle = bundled(run, tmp_path / name)
        with pytest.raises(AvemoError, match="expected a free name"):
            bundled(run, bundle)


def test_names_that_are_none_are_told(run):
    config = read_run(run)
    with pytest.raises(AvemoError, match="no system 'c'"):
        open_predictor(run, config, "c")
    with pytest.raises(AvemoError, match="no split 'split7'; did you mean"):
        open_predictor(run, config, "a", "split7")
    shutil.rmtree(run / "train" / "b")
    with pytest.raises(AvemoError, match="train the system first"):
        open_predictor(run, config, "b")


def test_the_identity_is_that_of_models_and_temperatures(run):
    config = read_run(run)
    found = [
        open_predictor(run, config, "a"),
        open_predictor(run, config, "b"),
        open_predictor(run, config, "a", "split00"),
        open_predictor(run, config, "a", temperature=False),
    ]
    assert len({one.identity for one in found}) == 4
    assert open_predictor(run, config, "a").identity == found[0].identity


def test_another_release_of_an_extractor_is_told(run):
    config = read_run(run)
    feature = config.features["audio"].model_copy(update={"libraries": {"torch": "0.1"}})
    other = config.model_copy(update={"features": {"audio": feature}})
    assert not open_predictor(run, config, "a").cautions
    cautions = Predictor(other, open_predictor(run, config, "a").models).cautions
    assert f"audio: trained with torch 0.1, here {version('torch')}" in cautions[0]
