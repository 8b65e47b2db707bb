"""A finished run to carry elsewhere: what a prediction reads of its folder, the networks behind its features, and a card.

A bundle is a folder, or one zip, laid out as a run's folder is, so that the same code reads both::

    bundle.json                         what is in it, each file with its size and SHA-256
    config.json                         the run with one system, and no path of where it was made
    train/<system>/<split>/model.safetensors
    scores/<system>.csv                 with the temperatures
    encoders/<feature>-<field>/         weights of its extractors
    onnx/<split>/<modalities>.onnx      where it was asked for
    README.md                           the card

Nothing in it is unpickled or run.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import ValidationError

import avemo
from avemo.base.atomic import aside, aside_folder
from avemo.base.contracts import AvemoError, Section
from avemo.base.file_hashes import sha256_of
from avemo.evaluation.card import card
from avemo.evaluation.predictor import Predictor
from avemo.study.layout import CONFIG, MODEL, scores_file, training_folder
from avemo.study.run import Run
from avemo.study.specs import Places
from avemo.study.study import read_run
from avemo.weights.find import locate, random_seed
from avemo.weights.hashes import parts_of
from avemo.weights.hub import hub_name
from avemo.weights.known import KNOWN

LAYOUT = "avemo-bundle/1"
MANIFEST, CARD, ENCODERS = "bundle.json", "README.md", "encoders"
ONNX = "onnx"
ZIP = ".zip"
MANIFEST_BYTES = 10_000_000
CHUNK = 1 << 20
OLDEST = (1980, 1, 1, 0, 0, 0)
"""A time for every file of a zip, so that the same content gives the same bytes."""
REMEDY = "copy the bundle again, or make it anew with `avemo bundle`"


class BundleFile(Section):
    """A file of a bundle."""

    bytes: int
    sha256: str


class Manifest(Section):
    """What a bundle is, and every file of it but this one, by its path in it."""

    layout: Literal["avemo-bundle/1"]
    avemo: str
    run: str
    system: str
    splits: tuple[str, ...]
    encoders: Literal["carried", "named"]
    """Whether the extractors' weights are in it, or have to be there already."""
    cautions: tuple[str, ...]
    """What makes its answers less than real: random weights, a synthetic corpus."""
    files: dict[str, BundleFile]


@contextmanager
def opened(place: Path) -> Iterator[tuple[Path, Run]]:
    """The folder of a run, or of a bundle that is one or is zipped, and its run, as long as the block lasts.

    Raises `AvemoError` for what is neither, and naming the file of a bundle that is missing, surplus or other than its
    manifest says.
    """
    if not place.is_file():
        if (place / MANIFEST).is_file():
            check(place)
        yield place, portable_run(place)
        return
    with TemporaryDirectory(prefix="avemo-bundle-") as temporary:
        folder = Path(temporary)
        _unzip(place, folder)
        yield folder, portable_run(folder)


def portable_run(folder: Path) -> Run:
    """The run of a folder; of a bundle's, with the weights that lie in it."""
    run = read_run(folder)
    if not (folder / MANIFEST).is_file():
        return run
    features = {
        name: one.model_copy(update={"places": _placed(one.places, folder)})
        for name, one in run.features.items()
    }
    return run.model_copy(update={"features": features})


def read_manifest(path: Path, content: bytes) -> Manifest:
    """Raises `AvemoError` naming what is wrong."""
    try:
        found = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise AvemoError(
            f"{path}: expected the manifest of a bundle, {LAYOUT}, found {error.errors()[0]['msg']}; {REMEDY}"
        ) from error
    for name in found.files:
        if not is_inside(name):
            raise AvemoError(f"{path}: expected paths inside the bundle, found {name[:300]!r}; {REMEDY}")
    needed = [CONFIG, *(_model(found.system, split) for split in found.splits)]
    for name in needed:
        if name not in found.files:
            raise AvemoError(f"{path}: expected {name} among its files, found it not; {REMEDY}")
    return found


def is_inside(name: str) -> bool:
    """Whether a file's name leads nowhere but into the bundle.

    >>> [is_inside(name) for name in ("a/b.json", "../b", "/b", "a//b", "a\\\\b", "")]
    [True, False, False, False, False, False]
    """
    path = PurePosixPath(name)
    fine = bool(name) and not path.is_absolute() and path.as_posix() == name and name.isprintable()
    return fine and ".." not in path.parts and "\\" not in name and ":" not in name and name != "."


def check(folder: Path) -> Manifest:
    """The manifest of a bundle's folder, every file compared with it; raises `AvemoError` naming the first that differs."""
    manifest = read_manifest(folder / MANIFEST, (folder / MANIFEST).read_bytes())
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if (path.is_file() or path.is_symlink()) and not path.name.startswith(".")
    }
    _compare(folder, manifest, there - {MANIFEST})
    for name, file in manifest.files.items():
        path = folder / name
        if path.resolve() != (folder.resolve() / name):
            raise AvemoError(f"{path}: expected a file, found a link; {REMEDY}")
        _same(path, file, path.stat().st_size, sha256_of(path))
    return manifest


def _compare(place: Path, manifest: Manifest, there: set[str]) -> None:
    missing, surplus = sorted(manifest.files.keys() - there), sorted(there - manifest.files.keys())
    if missing:
        raise AvemoError(f"{place}: expected {missing[0]}, found no such file; {REMEDY}")
    if surplus:
        raise AvemoError(
            f"{place}: expected the files of its manifest alone, found {surplus[0][:300]!r} too; "
            f"take it away, or {REMEDY}"
        )


def _same(path: Path, file: BundleFile, size: int, sha256: str) -> None:
    if (size, sha256) != (file.bytes, file.sha256):
        raise AvemoError(
            f"{path}: expected {file.bytes} bytes with SHA-256 {file.sha256[:12]}, found {size} with "
            f"{sha256[:12]}; {REMEDY}"
        )


def _unzip(place: Path, folder: Path) -> None:
    """Write a zip's files, those of its manifest alone, and no more bytes than it says."""
    try:
        with zipfile.ZipFile(place) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if names.count(MANIFEST) != 1 or archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
                raise AvemoError(f"{place}: expected one {MANIFEST} in it, found another zip; {REMEDY}")
            if len(set(names)) < len(names):
                raise AvemoError(f"{place}: expected each file once, found one several times; {REMEDY}")
            content = archive.read(MANIFEST)
            manifest = read_manifest(place, content)
            _compare(place, manifest, set(names) - {MANIFEST})
            (folder / MANIFEST).write_bytes(content)
            for name, file in manifest.files.items():
                if archive.getinfo(name).file_size != file.bytes:
                    _same(place / name, file, archive.getinfo(name).file_size, "")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
                _same(place / name, file, (folder / name).stat().st_size, sha256_of(folder / name))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError) as error:
        # An encrypted file is a RuntimeError to zipfile, an unknown compression a NotImplementedError.
        raise AvemoError(
            f"{place}: expected a run's folder, or a bundle, found neither ({error}); {REMEDY}"
        ) from error


def write_bundle(
    source: Path,
    run: Run,
    system: str,
    predictor: Predictor,
    out: Path,
    encoders: bool = True,
    onnx: bool = False,
) -> Manifest:
    """Write a bundle of a run's system, the models and temperatures of ``predictor``, to a folder, or to a zip by ``out``'s
    name. Raises `AvemoError` for weights that are not there, and with ``onnx`` as `avemo.evaluation.onnx_export.export`."""
    if (source / MANIFEST).is_file():
        raise AvemoError(f"{source}: expected a run's folder, found a bundle; copy it as it is")
    if out.exists() and not (out.suffix == ZIP and out.is_file()):
        raise AvemoError(f"--out {out}: expected a free name, found something there; take another name")
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    if out.suffix != ZIP:
        with aside_folder(out, new=True) as folder:
            return _fill(folder, source, run, system, predictor, encoders, onnx)
    with TemporaryDirectory(prefix=".avemo-bundle-", dir=out.absolute().parent) as temporary:
        folder = Path(temporary)
        manifest = _fill(folder, source, run, system, predictor, encoders, onnx)
        with aside(out) as path, zipfile.ZipFile(path, "w") as archive:
            for name in (MANIFEST, *manifest.files):
                with (
                    (folder / name).open("rb") as given,
                    archive.open(_info(name), "w", force_zip64=True) as taken,
                ):
                    shutil.copyfileobj(given, taken, CHUNK)
    return manifest


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, OLDEST)
    info.external_attr = 0o644 << 16
    return info


def _fill(
    folder: Path,
    source: Path,
    run: Run,
    system: str,
    predictor: Predictor,
    encoders: bool,
    onnx: bool,
) -> Manifest:
    for split, model in predictor.models.items():
        _copy(model, folder / _model(system, split))
    if scores_file(source, system).is_file():
        _copy(scores_file(source, system), scores_file(folder, system))
    places = {
        name: _carried(name, one.places, folder) if encoders else _named(name, one.places)
        for name, one in run.features.items()
        if not one.imported
    }
    carried = without_paths(run, system, places)
    _write(folder / CONFIG, json.dumps(carried.record(), indent=1))
    if onnx:
        from avemo.evaluation.onnx_export import export

        export(predictor, folder / ONNX)
    _write(folder / CARD, card(source, run, system, predictor))
    files = {
        path.relative_to(folder).as_posix(): BundleFile(bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = Manifest(
        **{"layout": LAYOUT, "avemo": avemo.__version__, "run": run.run, "system": system},
        splits=tuple(predictor.models),
        encoders="carried" if encoders else "named",
        cautions=tuple(predictor.cautions),
        files=files,
    )
    _write(folder / MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=1))
    return manifest


def without_paths(run: Run, system: str, places: Mapping[str, Places]) -> Run:
    """A run with one system and nothing that says where it was made."""
    corpora = {"corpora": run.corpus.config["corpora"]} if run.corpus.parts else {}
    features = {
        name: one.model_copy(update={"places": places.get(name, {})}) for name, one in run.features.items()
    }
    return run.model_copy(
        update={
            **{"cache": "cache", "results": "results", "features": features},
            "corpus": run.corpus.model_copy(update={"config": corpora, "speed": {}}),
            "splits": run.splits.model_copy(
                update={"files": tuple(Path(one.name) for one in run.splits.files)}
            ),
            "systems": {system: run.systems[system].model_copy(update={"places": {}, "curve": None})},
        }
    )


def _carried(name: str, places: Places, folder: Path) -> Places:
    """Copies of the weights at these places, and where they lie in the bundle."""
    found: Places = {}
    for field, place in places.items():
        label = f"{name}-{field}"
        if isinstance(place, dict):
            found[field] = _carried(label, place, folder)
        elif place is None or random_seed(place) is not None:
            found[field] = place
        else:
            path = locate(place)
            parts = parts_of(path)
            if not parts:
                raise AvemoError(
                    f"{name}: expected the weights {place} at {path}, found nothing; put them there, or leave "
                    "them out with --without-encoders"
                )
            for part in parts:
                _copy(part, folder / ENCODERS / label / part.name)
            inside = PurePosixPath(ENCODERS, label)
            found[field] = str(inside / path.name if path.is_file() else inside)
    return found


def _named(name: str, places: Places) -> Places:
    """Places that mean the same on every machine; raises `AvemoError` for a path."""
    for field, place in places.items():
        if isinstance(place, dict):
            _named(f"{name}-{field}", place)
        elif place is not None and not (place in KNOWN or hub_name(place) or random_seed(place) is not None):
            raise AvemoError(
                f"{name}: expected weights by a name that another machine knows, found the path {place}; "
                "carry them, without --without-encoders"
            )
    return dict(places)


def _placed(places: Places, folder: Path) -> Places:
    """Those in the bundle by where it lies now."""
    found: dict[str, Any] = {}
    for field, place in places.items():
        if isinstance(place, dict):
            found[field] = _placed(place, folder)
        elif isinstance(place, str) and place.startswith(f"{ENCODERS}/"):
            if not is_inside(place):
                raise AvemoError(
                    f"{folder / CONFIG}: expected a path inside the bundle, found {place!r}; {REMEDY}"
                )
            found[field] = str(folder / place)
        else:
            found[field] = place
    return found


def _model(system: str, split: str) -> str:
    return training_folder(PurePosixPath(), system, split).joinpath(MODEL).as_posix()  # type: ignore[arg-type]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
