"""Each network alone, at each precision and compiled, and what a new shape costs it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from benchmarks.gpu.agreement import networks, opened, pictures
from benchmarks.gpu.ceilings import PRECISIONS
from benchmarks.gpu.kit import Kit

from avemo.base.arithmetic import arithmetic
from avemo.base.contracts import Clip
from avemo.faces.track import FaceTracker
from avemo.features import EXTRACTORS
from avemo.features.crop_network import CropNetwork
from avemo.media.pictures import iter_frames
from avemo.media.sound import read_audio


def throughput(kit: Kit) -> None:
    """Frames a second, or seconds of sound a second; the tracker by frames at once."""
    rows: list[dict[str, Any]] = []
    for name in networks(kit):
        for precision in PRECISIONS[:1] if kit.tiny else PRECISIONS:
            with kit.trying(f"throughput of {name} in {precision}"):
                extractor = opened(kit, name, kit.device, precision)
                crops = issubclass(EXTRACTORS.load(name), CropNetwork)
                row = (pictured if crops else heard)(kit, extractor) | kit.peak_gb()
                rows.append({"network": name, "precision": precision} | row)
                print(rows[-1], flush=True)
                del extractor
            kit.keep("throughput", rows)
    rows.append({"network": "mtcnn", "precision": "float32"} | tracked(kit))
    kit.keep("throughput", rows)


def pictured(kit: Kit, extractor: Any) -> dict[str, float]:
    """A crop network: crops in the machine's memory to features there, and the network alone, eager and compiled."""
    size = 4 if kit.tiny else 64
    shown = pictures(size, extractor.crop.size_px)
    row = {"a second": size / kit.median_s(lambda: extractor._forward(shown), repeats=5)}
    dtype = next(extractor._model.parameters()).dtype
    x = torch.from_numpy(shown).to(kit.device).permute(0, 3, 1, 2).to(dtype) / 128 - 1

    def alone(model: Any, x: torch.Tensor) -> None:
        with torch.inference_mode(), arithmetic(extractor.config.precision):
            model(x)

    row["network alone"] = size / kit.median_s(lambda: alone(extractor._model, x), repeats=5)
    # Every clip ends in a batch of another size.
    sizes = range(1, size, 7)
    first, again = (elapsed(kit, lambda: [alone(extractor._model, x[:n]) for n in sizes]) for _ in range(2))
    row["ms a new size"] = 1e3 * (first - again) / len(sizes)
    # At one precision: each compilation may take a minute.
    if kit.cuda and extractor.config.precision == "bfloat16":
        compiled = torch.compile(extractor._model, dynamic=False)
        row["compiling, s"] = elapsed(kit, lambda: alone(compiled, x))
        row["compiled"] = size / kit.median_s(lambda: alone(compiled, x), repeats=5)
    return row


def heard(kit: Kit, extractor: Any) -> dict[str, float]:
    """An audio network on sounds of many lengths, as clips are: the first time and again."""
    wave = read_audio(Clip("?", "?", "?", video_path=kit.clips[0]), extractor.rate_hz)
    lengths = [len(wave) - 320 * number for number in range(2 if kit.tiny else 40)]
    extractor.extract(wave)
    times = [elapsed(kit, lambda: [extractor.extract(wave[:length]) for length in lengths]) for _ in range(2)]
    seconds = sum(lengths) / extractor.rate_hz
    return {"a second": seconds / times[1], "ms a new size": 1e3 * (times[0] - times[1]) / len(lengths)}


def tracked(kit: Kit) -> dict[str, float]:
    """The tracker as it is, and its cascade over so many frames at once."""
    clips = [Clip(path.stem, "?", "?", video_path=path) for path in kit.clips[: 1 if kit.tiny else 6]]
    frames = [list(iter_frames(clip))[: 8 if kit.tiny else None] for clip in clips]
    tracker = FaceTracker(FaceTracker.Config(device=kit.device))
    tracker.track(frames[0][:8])
    seconds = elapsed(kit, lambda: [tracker.track(each) for each in frames])
    row = {"a second": sum(map(len, frames)) / seconds}
    stacked = np.stack([picture for each in frames for _, picture in each])
    least_px = tracker.config.min_face * min(stacked.shape[1:3])
    for count in (8,) if kit.tiny else (8, 64, 256):
        part = stacked[:count]
        seconds = kit.median_s(lambda part=part: tracker._cascade.detect(part, least_px), warm=1, repeats=3)
        row[f"{len(part)} at once"] = len(part) / seconds
    return row


def elapsed(kit: Kit, work: Any) -> float:
    """Seconds of one call, the device's part included."""
    kit.wait()
    begin = time.perf_counter()
    work()
    kit.wait()
    return time.perf_counter() - begin
