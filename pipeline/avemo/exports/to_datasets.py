"""A folder that Hugging Face's `datasets.load_dataset` reads: Parquet files of each side, and a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from avemo.cache.manifest import FeatureSet
from avemo.exports.exported import Exported

CALLED = {"train": "train", "dev": "validation", "test": "test"}
"""What the library's users call sides."""
FILE_BYTES, GROUP_BYTES = 2**29, 2**25
"""Of frames in one file, and in one row group, at most; a longer clip has its own."""


def write(given: Exported, folder: Path) -> None:
    """``data/<side>-<number>-of-<files>.parquet`` and ``README.md``.

    A row a clip: what is said of it (a class as a number that the library knows the name of), and of each feature its frames
    and ``<feature>_times_s``, null where the clip lacks it. A side without clips is left out: the library would load none of
    them then.
    """
    (folder / "data").mkdir()
    schema = _schema(given)
    for side, clips in given.sides.items():
        parts = list(given.parts(clips.clip_ids, FILE_BYTES))
        for number, part in enumerate(parts):
            path = folder / "data" / f"{CALLED[side]}-{number:05d}-of-{len(parts):05d}.parquet"
            with pq.ParquetWriter(path, schema) as writer:
                for group in given.parts(part, GROUP_BYTES):
                    writer.write_batch(_batch(given, group, schema))
    (folder / "README.md").write_text(_card(given))


def _schema(given: Exported) -> pa.Schema:
    """Columns and types; the library's own names of them are in the metadata, as it writes them itself."""
    fields, told = list[tuple[str, pa.DataType]](), dict[str, Any]()
    said = given.said(given.sides["train"].clip_ids)
    for name in map(str, said):
        number = pd.api.types.is_numeric_dtype(said[name])
        fields.append((name, pa.float64() if number else pa.string()))
        told[name] = {"dtype": "float64" if number else "string", "_type": "Value"}
        if name == "label":
            fields[-1] = name, pa.int64()
            told[name] = {"names": list(given.labels.task.names), "_type": "ClassLabel"}
    for name, features in given.features.items():
        number = pa.from_numpy_dtype(np.dtype(features.dtype))
        value = {"dtype": features.dtype, "_type": "Value"}
        frame = {"feature": value, "length": _width(features), "_type": "Sequence"}
        fields += [(name, pa.list_(pa.list_(number, _width(features))))]
        fields += [(f"{name}_times_s", pa.list_(pa.float64()))]
        told[name] = {"feature": frame, "_type": "Sequence"}
        told[f"{name}_times_s"] = {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "Sequence"}
    metadata = {"huggingface": json.dumps({"info": {"features": told}})}
    return pa.schema(fields, metadata=metadata)


def _width(features: FeatureSet) -> int:
    """Columns of a frame; 1 where no clip has a frame that would tell, as Arrow has no lists of none."""
    return max(features.dim, 1)


def _batch(given: Exported, clip_ids: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    said = given.said(clip_ids)
    if "label" in said:
        said["label"] = [given.labels.task.names.index(name) for name in said["label"]]
    columns = [pa.array(said[name], schema.field(name).type) for name in said]
    for name, features in given.features.items():
        found = [given.frames(name, clip_id) for clip_id in clip_ids]
        ends = pa.array(np.cumsum([0, *(len(x) for x, _ in found)]), pa.int32())
        lacking = pa.array([not len(x) for x, _ in found])
        x = np.concatenate([x for x, _ in found]).astype(features.dtype, copy=False)
        frames = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), _width(features))
        times_s = pa.array(np.concatenate([times_s for _, times_s in found]))
        columns += [pa.ListArray.from_arrays(ends, values, mask=lacking) for values in (frames, times_s)]
    return pa.record_batch(columns, schema=schema)


def _card(given: Exported) -> str:
    """Which files are which side, for the library, and what this is, for people."""
    sides = [CALLED[side] for side, clips in given.sides.items() if len(clips)]
    files = [f"  - split: {name}\n    path: data/{name}-*" for name in sides]
    features = [
        f"- `{name}`: {one.dim} columns a frame, of {one.name}" for name, one in given.features.items()
    ]
    notes = [f"- {note}" for note in given.notes] or ["- none"]
    return "\n".join(
        [
            *("---", "configs:", "- config_name: default", "  data_files:", *files, "---", ""),
            *(f"# {given.run}, {given.split}", ""),
            "Features and labels that avemo exported, a row a clip. `avemo.json` says what made them.",
            *("", *features, "", "What limits them:", "", *notes, ""),
        ]
    )
