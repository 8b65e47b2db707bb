"""Shard commands: face tracks, kept crops and features, and a contact sheet of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avemo.cli.options import (
    Cfg,
    GpuMb,
    Index,
    Out,
    Settings,
    Threads,
    as_mapping,
    as_spec,
    use_threads,
)
from avemo.cli.shard_work import Work, clips_at_once, fill_shard, note_keys, rows_of

if TYPE_CHECKING:
    from avemo.base.contracts import FeatureSequence
    from avemo.index.clip_table import Row
    from avemo.index.seen_media import SeenMedia
    from avemo.study.specs import ExtractSpec, TrackSpec

faces_app = typer.Typer(help="Face tracks and crops.", no_args_is_help=True)

Shard = Annotated[int, typer.Option(min=0, help="Which shard.")]
Shards = Annotated[int, typer.Option(min=1, help="Into how many shards the corpus is cut.")]
Store = Annotated[Path, typer.Option(help="Folder that keeps what has been computed, whatever happens.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for another writer of the store.")
]
Strict = Annotated[bool, typer.Option("--strict", help="A clip that fails stops the run.")]


def register(app: typer.Typer) -> None:
    app.add_typer(faces_app, name="faces")
    app.command()(extract)


@faces_app.command()
def track(
    cfg: Cfg,
    index: Index,
    shard: Shard,
    shards: Shards,
    store: Store,
    out: Out,
    settings: Settings = "{}",
    threads: Threads = 1,
    gpu_mb: GpuMb = 0,
    wait: Wait = 0,
    strict: Strict = False,
) -> None:
    """Track one face a clip in the shard's clips that have no track yet.

    Example: avemo faces track --cfg faces.json --index index.parquet --shard 0 --shards 4
    --store .store/faces/0000 --out 0000.h5
    """
    use_threads(threads)
    from avemo.base.keys import item_key
    from avemo.cache.store import ShardStore
    from avemo.faces.track import FaceTracker
    from avemo.features.extraction import track_clip
    from avemo.index.seen_media import SeenMedia
    from avemo.machine.gpus import use_gpu
    from avemo.study import specs
    from avemo.study.makings import component_code

    spec = as_spec(specs.TrackSpec, cfg)
    _require_libraries(spec, FaceTracker)
    given = as_spec(specs.Settings, settings, "--settings")
    fast = given.speed.get(spec.id, {})
    use_gpu(gpu_mb, fast.get("device", "auto"))
    tracker = FaceTracker(FaceTracker.Config(**spec.config, **fast))
    rows = rows_of(index, shard, shards)
    wanted = {name: item_key(row.media_key("visual"), tracker.key_part()) for name, row in rows.items()}
    code = component_code(spec, "faces")
    compute = SeenMedia(index).guarded("visual", lambda row: track_clip(tracker, row.clip))
    at_once = clips_at_once(tracker.work.gpu_mb, fast.get("device", "auto"), threads)
    work = Work(as_mapping(cfg), rows, wanted, compute, code, at_once=at_once)
    note_keys(store, "visual", tracker.key_part())
    fill_shard(partial(ShardStore, store, _info(spec, shards)), work, out, strict, wait, given.rerun_for_code)


@faces_app.command()
def crops(
    cfg: Cfg,
    index: Index,
    shard: Shard,
    shards: Shards,
    store: Store,
    out: Out,
    faces: Annotated[Path, typer.Option(help="The shard's face tracks.")],
    settings: Settings = "{}",
    threads: Threads = 1,
    wait: Wait = 0,
    strict: Strict = False,
) -> None:
    """Cut and keep the face crops of the shard's clips that have none yet.

    Example: avemo faces crops --cfg crops.json --index index.parquet --shard 0 --shards 4
    --faces faces/0000.h5 --store .store/crops/0000 --out 0000.h5
    """
    use_threads(threads)
    from avemo.cache.store import ShardStore
    from avemo.faces.jpeg import JpegCrops
    from avemo.features.extraction import keep_crops
    from avemo.index.seen_media import SeenMedia
    from avemo.study import specs
    from avemo.study.makings import component_code

    spec = as_spec(specs.CropsSpec, cfg)
    given = as_spec(specs.Settings, settings, "--settings")
    _require_libraries(spec, JpegCrops)
    keeper = JpegCrops(JpegCrops.Config(**spec.config))
    rows = rows_of(index, shard, shards)
    before = ("face tracking", spec.faces)
    work = _face_work(
        as_mapping(cfg),
        rows,
        keeper.key_part(),
        faces,
        before,
        SeenMedia(index).guarded("visual", lambda row, track: keep_crops(keeper, row.clip, track)),
        component_code(spec, "crops"),
    )
    note_keys(store, "visual", keeper.key_part(), spec.faces)
    held = partial(ShardStore, store, _info(spec, shards), "uint8")
    fill_shard(held, work, out, strict, wait, given.rerun_for_code)


def extract(
    cfg: Cfg,
    index: Index,
    shard: Shard,
    shards: Shards,
    store: Store,
    out: Out,
    faces: Annotated[
        Path | None, typer.Option(help="For visual features: the shard's face tracks, or its crops if kept.")
    ] = None,
    settings: Settings = "{}",
    threads: Threads = 1,
    gpu_mb: GpuMb = 0,
    wait: Wait = 0,
    strict: Strict = False,
) -> None:
    """Extract features of the shard's clips that have none yet.

    Example: avemo extract --cfg audio.json --index index.parquet --shard 0 --shards 4
    --store .store/audio/0000 --out 0000.h5
    """
    use_threads(threads)
    from avemo.cache.store import ShardStore
    from avemo.features import EXTRACTORS
    from avemo.index.seen_media import SeenMedia
    from avemo.machine.gpus import use_gpu
    from avemo.study import specs

    spec = as_spec(specs.ExtractSpec, cfg)
    extractor_class = EXTRACTORS.load(spec.extractor)
    _require_libraries(spec, extractor_class)
    given = as_spec(specs.Settings, settings, "--settings")
    fast, places = given.speed.get(spec.id, {}), spec.places | given.weights.get(spec.id, {})
    use_gpu(gpu_mb, fast.get("device", "auto"))
    extractor = extractor_class(extractor_class.Config(**spec.config, **places, **fast))
    _require_weights(spec, extractor.identity)
    rows, seen = rows_of(index, shard, shards), SeenMedia(index)
    works = {
        "faces": lambda: _visual_work(as_mapping(cfg), rows, seen, extractor, faces, spec),
        "sound": lambda: _media_work(as_mapping(cfg), rows, seen, extractor, spec),
        "frames": lambda: _media_work(as_mapping(cfg), rows, seen, extractor, spec),
        "table": lambda: _imported_work(as_mapping(cfg), rows, extractor, spec),
    }
    work = works[extractor.reads_of(extractor.config)]()
    work = replace(work, at_once=clips_at_once(extractor.work.gpu_mb, fast.get("device", "auto"), threads))
    if work.at_once > 1:
        extractor.share()
    info = _info(spec, shards) | {"provenance": extractor.provenance()}
    info |= {"parts": list(extractor.parts)} if extractor.parts else {}
    note_keys(store, extractor.modality, extractor.key_part(), spec.crops or spec.faces)
    held = partial(ShardStore, store, info, extractor.dtype, spec.compression)
    fill_shard(held, work, out, strict, wait, given.rerun_for_code)


def _info(spec: TrackSpec | ExtractSpec, shards: int) -> dict[str, Any]:
    """What a shard file says of itself; `avemo.cache.verify` compares it with the file's place."""
    place = {"corpus": spec.corpus, "component": spec.id, "shards": shards}
    return place | {"config": spec.config, "libraries": spec.libraries}


def _require_libraries(spec: TrackSpec | ExtractSpec, component: Any) -> None:
    """Raise `MachineError` where other versions are installed here than where the component's folder was named."""
    from avemo.base.contracts import MachineError

    here = component.versions()
    other = [f"{name} {version}" for name, version in spec.libraries.items() if here.get(name) != version]
    if other:
        found = ", ".join(f"{name} {version}" for name, version in here.items())
        raise MachineError(
            f"{spec.id}: expected {', '.join(other)}, as where the workflow was started, found {found}; "
            "install the same on every machine (envs/requirements.lock)"
        )


def _require_weights(spec: ExtractSpec, found: str | None) -> None:
    """Raise `MachineError` where other weights lie there than when the component's folder was named."""
    from avemo.base.contracts import MachineError

    if found and spec.weights and found not in spec.weights:
        raise MachineError(
            f"{spec.id}: expected weights, or a file, of {', '.join(spec.weights)}, as when the workflow was started, found {found}; "
            "put the file back, or run the workflow again, which computes with the new one"
        )


def _media_work(cfg: Any, rows: dict[str, Row], seen: SeenMedia, extractor: Any, spec: ExtractSpec) -> Work:
    """From sound, or from whole pictures."""
    from avemo.features.extraction import extract_audio, extract_frames

    modality = extractor.modality
    extracted = extract_audio if modality == "audio" else extract_frames
    compute = seen.guarded(modality, lambda row: extracted(extractor, row.clip))
    return _clip_work(cfg, rows, extractor, spec, compute)


def _imported_work(cfg: Any, rows: dict[str, Row], extractor: Any, spec: ExtractSpec) -> Work:
    return _clip_work(cfg, rows, extractor, spec, lambda row: extractor.read(row.clip_id))


def _clip_work(
    cfg: Any,
    rows: dict[str, Row],
    extractor: Any,
    spec: ExtractSpec,
    compute: Callable[[Row], FeatureSequence],
) -> Work:
    """What depends on the clip's media, and on no other component."""
    from avemo.base.keys import item_key
    from avemo.study.makings import component_code

    modality, key_part = extractor.modality, extractor.key_part()
    wanted = {name: item_key(row.media_key(modality), key_part) for name, row in rows.items()}
    return Work(
        cfg,
        rows,
        wanted,
        compute,
        component_code(spec, "imported" if extractor.reads_of(extractor.config) == "table" else modality),
    )


def _visual_work(
    cfg: Any, rows: dict[str, Row], seen: SeenMedia, extractor: Any, faces: Path | None, spec: ExtractSpec
) -> Work:
    """From crops if the spec names them, else from face tracks and the media."""
    from avemo.base.contracts import AvemoError
    from avemo.features.extraction import extract_kept, extract_visual
    from avemo.study.makings import component_code

    if faces is None:
        raise AvemoError(f"{extractor.name}: visual features need face tracks, or kept crops; give --faces")

    def of_kept(row: Row, kept: FeatureSequence) -> FeatureSequence:
        return extract_kept(extractor, row.clip_id, kept)

    decoded = seen.guarded("visual", lambda row, track: extract_visual(extractor, row.clip, track))
    compute = of_kept if spec.crops else decoded
    before = ("face crops", spec.crops) if spec.crops else ("face tracking", spec.faces)
    code = component_code(spec, "visual")
    return _face_work(cfg, rows, extractor.key_part(), faces, before, compute, code)


def _face_work(
    cfg: Any,
    rows: dict[str, Row],
    key_part: str,
    path: Path,
    before: tuple[str, str],
    compute: Callable[[Row, FeatureSequence], FeatureSequence],
    code: dict[str, str],
) -> Work:
    """An item also depends on its clip's in ``path``, and fails where that failed; ``before`` are the stage and
    component of that shard."""
    from avemo.base.contracts import AvemoError, ClipFailure, FeatureSequence, Status
    from avemo.base.keys import item_key
    from avemo.cache.shard import Shard as ShardFile
    from avemo.cache.shard_layout import fingerprint

    stage, component = before
    with ShardFile(path) as shard:
        if shard.info.get("component") != component:
            raise AvemoError(
                f"{path}: expected a shard of {component}, found {shard.info.get('component')}; correct --faces"
            )
        items = {name: shard.item(name) for name in rows}
        found = fingerprint(shard.index.values())
    wanted = {
        name: item_key(row.media_key("visual"), key_part, [items[name].key]) for name, row in rows.items()
    }

    def compute_from(row: Row) -> FeatureSequence:
        item = items[row.clip_id]
        if item.x is None or item.times_s is None:
            raise ClipFailure(Status(item.status), row.clip_id, f"{stage} failed: {item.detail}")
        return compute(row, FeatureSequence(item.x, item.times_s))

    return Work(cfg, rows, wanted, compute_from, code, {"before": found})


@faces_app.command()
def sheet(
    index: Index,
    faces: Annotated[Path, typer.Option(help="Manifest of the face tracks.")],
    out: Out,
    quality: Annotated[Path, typer.Option(help="Table of `avemo cache quality`, the worst clips first.")],
    clips: Annotated[int, typer.Option(min=1, help="How many clips to show.")] = 12,
    columns: Annotated[int, typer.Option(min=1, help="How many crops of each.")] = 8,
) -> None:
    """Draw a contact sheet of face crops, those clips that have a face track in the order of their concerns.

    Example: avemo faces sheet --index index.parquet --faces manifest.json --quality quality.csv --out sheet.png
    """
    import cv2

    from avemo.base.contracts import AvemoError, ClipFailure
    from avemo.base.made_of import checked, read_of, write_made
    from avemo.base.result_tables import read_results
    from avemo.cache.manifest import FeatureSet
    from avemo.faces.crop import CropPolicy
    from avemo.faces.sheet import contact_sheet
    from avemo.features.extraction import has_face, sample_crops
    from avemo.index.clip_table import read_table

    rows = {row.clip_id: row for row in read_table(index)}
    cells = []
    with FeatureSet(faces) as tracks:
        fingerprint = tracks.fingerprint
        worst = [name for name in read_results(quality).clip_id if tracks.has(name)]
        for name in worst[:clips]:
            track = tracks.read(name)
            label = f"{name}\n{has_face(track).mean():.0%} of {len(track.x)} frames"
            try:
                pictures = sample_crops(rows[name].clip, track, columns, CropPolicy(size_px=96))
            except ClipFailure as failure:
                # The media may lie elsewhere by now; a track or kept crops need them no more.
                print(f"not drawn: {failure}", file=sys.stderr)
                pictures = []
            cells.append((label, pictures))
    encoded, png = cv2.imencode(".png", cv2.cvtColor(contact_sheet(cells), cv2.COLOR_RGB2BGR))
    if not encoded:
        raise AvemoError(f"{out}: the contact sheet could not be encoded as PNG")
    read = {"index": checked(index), "quality": checked(quality)} | read_of("faces", faces, fingerprint)
    write_made(out, lambda path: path.write_bytes(png.tobytes()), None, read)
