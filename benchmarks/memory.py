"""Peak memory of face tracking and embedding by length of the clip: it must not grow with it."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from itertools import chain, islice, repeat
from pathlib import Path

from pipeline.cli.options import use_threads

FRAMES = (250, 1000, 4000)


def write_long(source: Path, path: Path, frames: int) -> None:
    """Repeat a clip's picture until it has so many frames."""
    import av

    from pipeline.contracts import Clip
    from pipeline.media import iter_frames

    clip = Clip("source", "", "", video_path=source)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        pictures = chain.from_iterable(iter_frames(clip) for _ in repeat(None))
        for _, picture in islice(pictures, frames):
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def extract(path: Path) -> None:
    """Track and embed one clip, and print this process' peak memory in MB."""
    use_threads(2)
    from pipeline.contracts import Clip
    from pipeline.extraction import extract_visual, track_clip
    from pipeline.faces.track import FaceTracker
    from pipeline.features.efficientnet import EfficientNetB2

    clip = Clip("long", "", "", video_path=path)
    track = track_clip(FaceTracker(FaceTracker.Config()), clip)
    features = extract_visual(EfficientNetB2(EfficientNetB2.Config(weights="random-seed-0")), clip, track)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(features.x):6} frames  {peak:7.0f} MB")


def main() -> None:
    """One child process a length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--clips", type=Path, required=True, help="folder of .mp4 clips; the first is repeated"
    )
    parser.add_argument("--extract", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.extract:
        extract(asked.extract)
        return
    source = min(asked.clips.glob("*.mp4"))
    with tempfile.TemporaryDirectory() as folder:
        for frames in FRAMES:
            path = Path(folder) / f"{frames}.mp4"
            write_long(source, path, frames)
            command = [sys.executable, "-m", "benchmarks.memory", "--clips", str(asked.clips)]
            subprocess.run([*command, "--extract", str(path)], check=True)


if __name__ == "__main__":
    main()
