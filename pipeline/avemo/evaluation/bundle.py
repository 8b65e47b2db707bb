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
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import ValidationError

import avemo
from avemo.base.contracts import AvemoError, Section
from avemo.base.file_hashes import sha256_of
from avemo.base.paths import LONGEST_NAME, LONGEST_PATH
from avemo.study.layout import CONFIG, MODEL, training_folder
from avemo.study.run import Run
from avemo.study.specs import Places
from avemo.study.study import read_run
from avemo.weights.find import random_seed
from avemo.weights.hub import hub_name
from avemo.weights.known import KNOWN

FAMILY = "avemo-bundle/"
LAYOUT: Literal["avemo-bundle/1"] = "avemo-bundle/1"
MANIFEST, CARD, ENCODERS = "bundle.json", "README.md", "encoders"
MANIFEST_BYTES = 10_000_000
CHUNK = 1 << 20
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
        manifest = check(place) if (place / MANIFEST).is_file() else None
        yield place, portable_run(place, place, manifest) if manifest else read_run(place)
        return
    with TemporaryDirectory(prefix="avemo-bundle-") as temporary:
        folder = Path(temporary)
        yield folder, portable_run(place, folder, _unzip(place, folder))


def portable_run(place: Path, folder: Path, manifest: Manifest) -> Run:
    """The run of the bundle at ``place`` whose files lie in ``folder``, with the weights that are among them.

    Raises `AvemoError` where it is not the manifest's, or wants weights of this machine by their path.
    """
    try:
        run = read_run(folder)
    except AvemoError as error:
        told = str(error).replace(str(folder), str(place))
        by = "" if manifest.avemo == avemo.__version__ else f"; {_other_release(manifest.avemo)}"
        raise AvemoError(f"{told}{by}") from error
    if list(run.systems) != [manifest.system]:
        raise AvemoError(
            f"{place / CONFIG}: expected the system {manifest.system!r} alone, found "
            f"{', '.join(run.systems)[:300]!r}; {REMEDY}"
        )
    features = {
        name: one.model_copy(update={"places": _placed(one.places, place, folder)})
        for name, one in run.features.items()
    }
    return run.model_copy(update={"features": features})


def _other_release(version: str) -> str:
    return (
        f"the bundle was written by avemo {version[:30]}, and this is {avemo.__version__}: install that one"
    )


def read_manifest(path: Path, content: bytes) -> Manifest:
    """Raises `AvemoError` naming what is wrong."""
    try:
        raw = json.loads(content)
        layout = raw["layout"]
        if str(layout).startswith(FAMILY) and layout != LAYOUT:
            raise AvemoError(
                f"{path}: expected the layout {LAYOUT}, found {layout[:30]}; {_other_release(str(raw.get('avemo')))}"
            )
        found = Manifest.model_validate_json(content)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "other text"
        raise AvemoError(
            f"{path}: expected the manifest of a bundle, {LAYOUT}, found {told}; {REMEDY}"
        ) from error
    for name in found.files:
        if not is_inside(name):
            raise AvemoError(f"{path}: expected paths inside the bundle, found {name[:300]!r}; {REMEDY}")
        if not found.files.keys().isdisjoint(map(str, PurePosixPath(name).parents)):
            raise AvemoError(
                f"{path}: expected files and folders, found {name[:300]!r} below a file; {REMEDY}"
            )
    needed = [CONFIG, *(model_name(found.system, split) for split in found.splits)]
    for name in needed:
        if name not in found.files:
            raise AvemoError(f"{path}: expected {name} among its files, found it not; {REMEDY}")
    return found


def is_inside(name: str) -> bool:
    """Whether a file's name leads nowhere but into the bundle.

    >>> [is_inside(name) for name in ("a/b.json", "../b", "/b", "a//b", "a\\\\b", "", "\\ud800")]
    [True, False, False, False, False, False, False]
    """
    path = PurePosixPath(name)
    if not name.isprintable() or len(name) > LONGEST_PATH or name in ("", "."):
        return False
    plain = not path.is_absolute() and path.as_posix() == name and ".." not in path.parts
    short = all(len(part.encode()) <= LONGEST_NAME for part in path.parts)
    return plain and short and "\\" not in name and ":" not in name


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


def _unzip(place: Path, folder: Path) -> Manifest:
    """Write a zip's files, those of its manifest alone, and no more bytes than it says."""
    try:
        with zipfile.ZipFile(place) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if names.count(MANIFEST) != 1 or archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
                raise AvemoError(f"{place}: expected one {MANIFEST} in it, found another zip; {REMEDY}")
            if len(set(names)) < len(names):
                raise AvemoError(f"{place}: expected each file once, found one several times; {REMEDY}")
            with archive.open(MANIFEST) as found:
                # In bounds: what is said of its size need not be so.
                content = found.read(MANIFEST_BYTES)
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
            return manifest
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        # An encrypted file is a RuntimeError to zipfile, an unknown compression a NotImplementedError.
        raise AvemoError(
            f"{place}: expected a run's folder, or a bundle, found neither ({error}); {REMEDY}"
        ) from error


def is_name(weights: str) -> bool:
    """Whether weights are called the same on every machine."""
    return weights in KNOWN or hub_name(weights) is not None or random_seed(weights) is not None


def _placed(places: Places, place: Path, folder: Path) -> Places:
    """Those in the bundle by where it lies now; others must be names, as a path would be one of this machine."""
    found: dict[str, Any] = {}
    for field, one in places.items():
        if isinstance(one, dict):
            found[field] = _placed(one, place, folder)
        elif one is None or (isinstance(one, str) and is_name(one)):
            found[field] = one
        elif isinstance(one, str) and one.startswith(f"{ENCODERS}/") and is_inside(one):
            found[field] = str(folder / one)
        else:
            raise AvemoError(
                f"{place / CONFIG}: expected weights in the bundle or by name, found {str(one)[:300]!r}; {REMEDY}"
            )
    return found


def model_name(system: str, split: str) -> str:
    """A model's path in a bundle."""
    return training_folder(PurePosixPath(), system, split).joinpath(MODEL).as_posix()  # type: ignore[arg-type]
