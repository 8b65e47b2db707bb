"""What compression and float16 cost and save, on the acoustic features of real clips.

Size on disk and CPU time to read every clip once, relative to float32 as it is.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.results import Row, publish

from avemo.base.contracts import AvemoError, Clip, Status
from avemo.cache.items import Item
from avemo.cache.shard import Shard
from avemo.cache.shard_layout import COMPRESSIONS
from avemo.cache.shard_writer import write_shard
from avemo.features.extraction import extract_audio
from avemo.features.opensmile_lld import CompareLLD

COLUMNS = ("dtype", "compression", "bytes a frame", "size", "read, CPU s", "times slower")
AGAINST = "What compression and float16 cost and save: {clips} clips of compare_lld, {frames} frames, of real clips."


def items_of(clips: Path, copies: int) -> list[Item]:
    """ComParE descriptors of real clips, each some times over."""
    extractor = CompareLLD(CompareLLD.Config())
    items = []
    for path in sorted(clips.glob("*.mp4")):
        found = extract_audio(extractor, Clip(path.stem, "?", "?", video_path=path))
        items += [Item(f"{path.stem}-{n}", "k", Status.ok, "", found.x, found.times_s) for n in range(copies)]
    return items


def read_s(path: Path, rounds: int = 5) -> float:
    """CPU seconds to read every clip, the best of some rounds."""
    found = []
    for _ in range(rounds):
        with Shard(path) as shard:
            begin = time.process_time()
            for name in shard.index:
                shard.read(name)
            found.append(time.process_time() - begin)
    return min(found)


def main(arguments: list[str] | None = None) -> None:
    """Print the rows and put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of .mp4 clips")
    parser.add_argument("--copies", type=int, default=20)
    asked = parser.parse_args(arguments)
    items = items_of(asked.clips, asked.copies)
    frames = sum(len(item.x) for item in items if item.x is not None)
    rows: list[Row] = []
    first: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("float32", "float16"):
            for compression in COMPRESSIONS:
                path = Path(folder) / f"{dtype}-{compression}.h5"
                try:
                    write_shard(path, items, {}, dtype, compression=compression)
                except AvemoError as error:
                    refused = str(error).partition(";")[0]
                    rows.append(row(dtype, compression, "refused", refused, "", ""))
                    continue
                size, seconds = path.stat().st_size, read_s(path)
                first = first or (size, seconds)
                ratios = size / first[0], seconds / first[1]
                rows.append(row(dtype, compression, round(size / frames), ratios[0], seconds, ratios[1]))
    publish("storage", AGAINST.format(clips=len(items), frames=frames), rows)


def row(*values: object) -> Row:
    """One way to store."""
    return dict(zip(COLUMNS, values, strict=True))


if __name__ == "__main__":
    main()
