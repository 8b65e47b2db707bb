"""Features in files that other tools read, and back: ``avemo cache export`` and ``import``.

``numpy``::

    avemo.json           info, dtype, and one entry a clip: id, key, status, detail
    x/<clip>.npy         (frames, dim); of ids over 250 bytes `file_of` says the name
    times_s/<clip>.npy   (frames,) float64

``parquet``: one file a shard, one row a clip, which Hugging Face's
``datasets.load_dataset(folder)`` reads as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avemo.base.atomic import aside_folder
from avemo.base.contracts import AvemoError, Status, digest
from avemo.base.keys import checked_id, shard_of
from avemo.base.passing import is_passing
from avemo.cache.items import DTYPES, Item
from avemo.cache.manifest import FeatureSet, read_manifest
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import unread
from avemo.cache.store import ShardStore

LIST = "avemo.json"
METADATA = b"avemo"
LONG, LONGEST = "long-", 250
"""How the files of ids begin that have more bytes than a file's name may have."""


def export(manifest: Path, folder: Path, form: str) -> int:
    """Write all clips of a component to a new ``folder``, which appears whole; their number.

    ``form`` is one of `FORMS`. Raises `AvemoError` if the folder exists, and for features of several corpora together.
    """
    if folder.exists():
        raise AvemoError(f"{folder}: expected a new folder, found one; delete it or name another")
    if corpora := read_manifest(manifest).corpora:
        raise AvemoError(
            f"{manifest}: expected features of one corpus, found those of {', '.join(corpora)} together; "
            "export each corpus' own"
        )
    with FeatureSet(manifest) as features, aside_folder(folder, new=True) as temporary:
        FORMS[form](features, temporary)
        return len(features.entries())


def import_folder(folder: Path, corpus: Path, shards: int) -> tuple[int, int]:
    """Put exported clips into the stores of the corpus' cache; how many, and how many were there already.

    The next run takes those whose keys are the ones it wants. Raises
    `AvemoError` for anything that `export` does not write.
    """
    table = sorted(folder.glob("*.parquet"))
    try:
        described = _parquet_info(table[0]) if table else json.loads((folder / LIST).read_text())
        info, dtype = dict(described["info"]), str(described["dtype"])
        component = checked_id(info["component"])
        items = _parquet_items(table) if table else _numpy_items(folder, described["clips"])
        by_shard: dict[int, list[Item]] = {}
        for item in items:
            by_shard.setdefault(shard_of(item.clip_id, shards), []).append(item)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if is_passing(error):
            raise unread(folder, error) from error
        raise AvemoError(
            f"{folder}: expected an exported folder, found: {error!r}; export it again"
        ) from error
    if dtype not in DTYPES:
        raise AvemoError(f"{folder}: expected a dtype of {', '.join(DTYPES)}, found {dtype!r}")
    known = 0
    for shard, group in sorted(by_shard.items()):
        with ShardStore(corpus / ".store" / component / f"{shard:04d}", info, dtype) as store:
            missing = set(store.missing({item.clip_id: item.key for item in group}))
            store.append([item for item in group if item.clip_id in missing])
            known += len(group) - len(missing)
    return sum(map(len, by_shard.values())) - known, known


def _export_numpy(features: FeatureSet, folder: Path) -> None:
    for name in ("x", "times_s"):
        (folder / name).mkdir()
    clips = []
    for entry in features.entries():
        item = features.item(entry.clip_id)
        clips.append(
            {"clip_id": item.clip_id, "key": item.key, "status": str(item.status), "detail": item.detail}
        )
        if item.x is not None and item.times_s is not None:
            np.save(folder / "x" / file_of(item.clip_id), item.x, allow_pickle=False)
            np.save(folder / "times_s" / file_of(item.clip_id), item.times_s, allow_pickle=False)
    described = {"info": features.info, "dtype": features.dtype, "clips": clips}
    (folder / LIST).write_text(json.dumps(described, indent=1))


def file_of(clip_id: str) -> str:
    """A clip's file in ``x`` and in ``times_s``: its id, or a digest of one that is too long for a file's name."""
    if len(clip_id.encode()) > LONGEST or clip_id.startswith(LONG):
        return f"{LONG}{digest(clip_id)}.npy"
    return f"{clip_id}.npy"


def _numpy_items(folder: Path, clips: list[dict[str, str]]) -> Iterator[Item]:
    for clip in clips:
        name, status = checked_id(clip["clip_id"]), Status(clip["status"])
        arrays = [
            np.load(folder / kind / file_of(name), allow_pickle=False) if status is Status.ok else None
            for kind in ("x", "times_s")
        ]
        yield Item(name, clip["key"], status, clip["detail"], *arrays)


def _export_parquet(features: FeatureSet, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = pa.from_numpy_dtype(np.dtype(features.dtype))
    described = json.dumps({"info": features.info, "dtype": features.dtype}).encode()
    texts = [(name, pa.string()) for name in ("clip_id", "key", "status", "detail")]
    arrays = [("x", pa.list_(pa.list_(number, features.dim))), ("times_s", pa.list_(pa.float64()))]
    schema = pa.schema([*texts, *arrays], metadata={METADATA: described})
    for path in features.paths:
        with Shard(path) as shard, pq.ParquetWriter(folder / f"{path.stem}.parquet", schema) as writer:
            for clip_id in shard.index:
                writer.write_batch(_record(shard.item(clip_id), schema))


def _record(item: Item, schema: Any) -> Any:
    """One row. Frames go in as one flat buffer, not number by number."""
    import pyarrow as pa

    x, times_s = pa.array([None], schema.field("x").type), pa.array([None], schema.field("times_s").type)
    if item.x is not None and item.times_s is not None:
        ends = pa.array([0, len(item.x)], pa.int32())
        frames = pa.FixedSizeListArray.from_arrays(pa.array(item.x.ravel()), item.x.shape[1])
        x = pa.ListArray.from_arrays(ends, frames)
        times_s = pa.ListArray.from_arrays(ends, pa.array(item.times_s))
    texts = [pa.array([text]) for text in (item.clip_id, item.key, str(item.status), item.detail)]
    return pa.record_batch([*texts, x, times_s], schema=schema)


def _parquet_info(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    return json.loads((pq.read_schema(path).metadata or {})[METADATA])


def _parquet_items(paths: list[Path]) -> Iterator[Item]:
    import pyarrow.parquet as pq

    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64):
            for row in range(batch.num_rows):
                texts = [batch.column(name)[row].as_py() for name in ("clip_id", "key", "status", "detail")]
                x, times_s = (batch.column(name)[row].values for name in ("x", "times_s"))
                if x is not None:
                    x = np.array(x.flatten()).reshape(len(x), -1)
                    times_s = np.array(times_s)
                yield Item(texts[0], texts[1], Status(texts[2]), texts[3], x, times_s)


FORMS: dict[str, Callable[[FeatureSet, Path], None]] = {"numpy": _export_numpy, "parquet": _export_parquet}
