"""Generated clips of CREMA-D's shape through faces and features, by one and by several processes, scaled to all 7,442."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.gpu.kit import FRAMES, Kit
from benchmarks.gpu.processes import at_once

VISUAL, AUDIO = ("efficientnet_b2", "vgg_face_fc6"), ("compare_lld", "wav2vec2")
_COUNTING = threading.Lock()


def extraction(kit: Kit) -> None:
    """A row a number of processes and of threads in each, and each stage's share of their time; the GPU is the bound
    where CPUs idle."""
    rows, cores = [], os.cpu_count() or 1
    for processes, threads in (
        ((1, 1), (1, 2)) if kit.tiny else ((1, 1), (1, 4), (max(1, cores // 4), 4), (cores, 1))
    ):
        each = threads if kit.tiny else 6 if processes == 1 else 12
        parts = [[kit.clips[(n * each + k) % len(kit.clips)] for k in range(each)] for n in range(processes)]
        found, wall_s = together(parts, threads, kit.device, kit.tiny)
        frames, walls_s = sum(one["frames"] for one in found), sum(one["wall_s"] for one in found)
        rate = frames / wall_s
        row: dict[str, Any] = {
            "processes": processes,
            "threads in each": threads,
            "frames a second": rate,
            "CREMA-D, min": FRAMES / rate / 60,
        }
        row["start, s"] = max(one["start_s"] for one in found)
        row["CPU of wall"] = sum(one["cpu_s"] for one in found) / walls_s / threads
        row["bound by"] = "the CPUs" if row["CPU of wall"] > 0.8 else "the device"
        for stage in dict.fromkeys(name for one in found for name in one["spent_s"]):
            row[f"{stage}, share"] = sum(one["spent_s"].get(stage, 0.0) for one in found) / walls_s / threads
        rows.append(row)
        print(row, flush=True)
        kit.keep("extraction", rows)


def together(
    parts: list[list[Path]], threads: int, device: str, tiny: bool
) -> tuple[list[dict[str, Any]], float]:
    """What each process tells of its part, and the seconds of all, from when the last one is ready."""
    return at_once(_work, [(part, threads, device, tiny) for part in parts])


def _work(paths: list[Path], threads: int, device: str, tiny: bool, gate: Any) -> dict[str, Any]:
    """One shard job's work on its clips, timed by stage; each thread has a clip at a time."""
    begin = time.perf_counter()
    import cv2
    import torch
    from benchmarks.gpu.agreement import opened

    from avemo.base.contracts import Clip
    from avemo.faces.track import FaceTracker
    from avemo.features import extraction as steps

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    kit, spent_s = Kit(device, Path(), tiny), Spent()
    tracker = FaceTracker(FaceTracker.Config(device=device))
    precision = "float32" if tiny else "bfloat16"
    visual = {name: opened(kit, name, device, precision) for name in VISUAL[: 1 if tiny else None]}
    audio = {
        "compare_lld": opened_sound("compare_lld"),
        "wav2vec2": opened(kit, "wav2vec2", device, precision),
    }
    steps.iter_frames = spent_s.stream("decode pictures", steps.iter_frames)
    tracker._cascade.detect = spent_s.call("detect", tracker._cascade.detect)  # type: ignore[method-assign]
    for name, extractor in visual.items():
        extractor._forward = spent_s.call(f"network of {name}", extractor._forward)
        if threads > 1:
            extractor.share()
    clips = [Clip(path.stem, "?", "?", video_path=path) for path in paths]
    steps.track_clip(tracker, clips[0])
    spent_s.clear()
    start_s = time.perf_counter() - begin
    gate.wait()
    begin, cpu_s, sound = time.perf_counter(), time.process_time(), threading.Lock()

    def extracted(clip: Clip) -> int:
        track = steps.track_clip(tracker, clip)
        for extractor in visual.values():
            steps.extract_visual(extractor, clip, track)
        # openSMILE takes one sound at a time, as in a job of its own.
        with sound:
            for name, extractor in audio.items():
                spent_s.call(name, steps.extract_audio)(extractor, clip)
        return len(track.x)

    with ThreadPoolExecutor(threads) as pool:
        frames = sum(pool.map(extracted, clips))
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_s
    spent = {"wall_s": wall_s, "cpu_s": cpu_s, "start_s": start_s, "spent_s": dict(spent_s)}
    return {"frames": frames} | spent


def opened_sound(name: str) -> Any:
    """An extractor without weights."""
    from avemo.features import EXTRACTORS

    kind = EXTRACTORS.load(name)
    return kind(kind.Config())


class Spent(dict[str, float]):
    """Wall seconds by stage, of all threads."""

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds for ``stage``."""
        with _COUNTING:
            self[stage] = self.get(stage, 0.0) + seconds

    def call(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """``work``, whose seconds count for ``stage``."""

        @wraps(work)
        def timed(*given: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            found = work(*given, **named)
            self.add(stage, time.perf_counter() - begin)
            return found

        return timed

    def stream(self, stage: str, items: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        """The same of what makes items one by one."""

        @wraps(items)
        def timed(*given: Any) -> Iterator[Any]:
            source = iter(items(*given))
            step = self.call(stage, lambda: next(source, None))
            while (item := step()) is not None:
                yield item

        return timed
