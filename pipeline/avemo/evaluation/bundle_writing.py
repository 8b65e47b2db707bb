"""Writing of bundles (`avemo.evaluation.bundle`): what is copied, what is left out, and the card."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import avemo
from avemo.base.atomic import aside, aside_folder
from avemo.base.contracts import AvemoError
from avemo.base.file_hashes import sha256_of
from avemo.evaluation.bundle import (
    CARD,
    CHUNK,
    ENCODERS,
    LAYOUT,
    MANIFEST,
    BundleFile,
    Manifest,
    is_name,
    model_name,
)
from avemo.evaluation.card import card
from avemo.evaluation.predictor import Predictor
from avemo.study.layout import CONFIG, scores_file
from avemo.study.run import Run
from avemo.study.specs import Places
from avemo.weights.find import locate, random_seed
from avemo.weights.hashes import parts_of

ONNX, ZIP = "onnx", ".zip"
OLDEST = (1980, 1, 1, 0, 0, 0)
"""A time for every file of a zip, so that the same content gives the same bytes."""


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
    if out.exists():
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
        _copy(model, folder / model_name(system, split))
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
        layout=LAYOUT,
        avemo=avemo.__version__,
        run=run.run,
        system=system,
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
        elif place is not None and not is_name(place):
            raise AvemoError(
                f"{name}: expected weights by a name that another machine knows, found the path {place}; "
                "carry them, without --without-encoders"
            )
    return dict(places)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
