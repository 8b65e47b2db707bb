"""Peak memory of extraction by length of the clip, through to the published shard: it must not grow with it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from itertools import chain, islice, product, repeat
from pathlib import Path

import numpy as np
from benchmarks.child import in_a_child
from benchmarks.clips import CLIPS, paths
from benchmarks.results import publish

FRAMES = (250, 1000, 4000)
SIZES = ((1920, 1080), (3840, 2160))
"""Larger pictures, at the first two lengths."""
HOURS = (0.25, 1, 2)
FPS, RATE_HZ = 25, 16_000


def write_video(source: Path, path: Path, frames: int, size: tuple[int, int] | None = None) -> str:
    """Repeat a clip's pictures until there are so many frames, scaled if ``size`` (width, height) is given; name it."""
    import av

    from avemo.base.contracts import Clip
    from avemo.media.pictures import iter_frames

    clip = Clip("source", "", "", video_path=source)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        pictures = chain.from_iterable(iter_frames(clip) for _ in repeat(None))
        for _, picture in islice(pictures, frames):
            if not stream.codec_context.is_open:
                stream.width, stream.height = size or (picture.shape[1], picture.shape[0])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(stream.width, stream.height)))
        container.mux(stream.encode(None))
    return f"{stream.width} x {stream.height}"


def write_sound(path: Path, hours: float) -> None:
    """A WAV file of noise, minute by minute."""
    import wave

    rng = np.random.default_rng(0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for _ in range(round(hours * 60)):
            file.writeframes(rng.normal(0, 3000, 60 * RATE_HZ).astype("<i2").tobytes())


def store(compute: Callable) -> int:
    """Fill a store with what ``compute`` makes of the one clip, publish it, and count the frames."""
    from avemo.cache.fill import fill
    from avemo.cache.shard import Shard
    from avemo.cache.store import ShardStore

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ShardStore(folder / "store", {}) as held:
            summary = fill(held, {"long": "key"}, lambda _: compute())
            assert not summary.failed, summary.failed
            held.publish({"long": "key"}, folder / "0000.h5")
        with Shard(folder / "0000.h5") as shard:
            return shard.entry("long").length


def video(path: Path) -> int:
    """Track and embed a clip."""
    from avemo.base.contracts import Clip
    from avemo.faces.track import FaceTracker
    from avemo.features.efficientnet import EfficientNetB2
    from avemo.features.extraction import extract_visual, track_clip

    clip = Clip("long", "", "", video_path=path)
    track = track_clip(FaceTracker(FaceTracker.Config()), clip)
    extractor = EfficientNetB2(EfficientNetB2.Config(weights="random-seed-0"))
    return store(lambda: extract_visual(extractor, clip, track))


def sound(path: Path) -> int:
    """Low-level descriptors of a clip."""
    from avemo.base.contracts import Clip
    from avemo.features.extraction import extract_audio
    from avemo.features.opensmile_lld import CompareLLD

    clip = Clip("long", "", "", audio_path=path)
    return store(lambda: extract_audio(CompareLLD(CompareLLD.Config()), clip))


def embeddings(path: Path) -> int:
    """Store as many 1408-D frames as ``path`` names, as an extractor hands them over."""
    from avemo.base.contracts import FeatureSequence
    from avemo.base.frames import FrameBuffer

    frames = int(path.name)
    rng = np.random.default_rng(0)

    def compute() -> FeatureSequence:
        buffer = FrameBuffer((1408,), np.float32)
        for start in range(0, frames, 64):
            buffer.append(rng.normal(size=(min(64, frames - start), 1408)))
        return FeatureSequence(buffer.array(), np.arange(frames) / FPS)

    return store(compute)


def main(arguments: list[str] | None = None) -> None:
    """One child process a length; add a row of each to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--clips", type=Path, default=CLIPS, help="folder of .mp4 clips; the first is repeated"
    )
    asked = parser.parse_args(arguments)
    rows = []

    def child(work: Callable[[Path], int], path: Path, of: str = "") -> None:
        frames, peak = in_a_child(work, path)
        rows.append({"work": f"{work.__name__} {of}".strip(), "frames": frames, "peak MB": peak})
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lengths = [(None, frames) for frames in FRAMES]
        for size, frames in [*lengths, *product(SIZES, FRAMES[:2])]:
            of = write_video(paths(asked.clips)[0], folder / "clip.mp4", frames, size)
            child(video, folder / "clip.mp4", of)
        for hours in HOURS:
            child(embeddings, folder / str(round(hours * 3600 * FPS)))
        for hours in HOURS:
            write_sound(folder / "clip.wav", hours)
            child(sound, folder / "clip.wav")
    publish(
        "memory",
        "Peak memory of one process by length of the clip, through to the published shard. `video`: tracked and "
        "embedded by EfficientNet-B2; `embeddings`: 1408-D frames stored; `sound`: ComParE descriptors.",
        rows,
    )


if __name__ == "__main__":
    main()
