"""The shard commands with several clips at a time, as a job on a GPU decodes them: the same items, failures alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avemo.base import arithmetic, devices
from avemo.base.contracts import Clip
from avemo.cli import extraction, shard_work
from avemo.features.efficientnet import EfficientNetB2
from avemo.index.clip_table import index_clips, write_table
from avemo.index.media_hashes import HashCache
from avemo.study import specs
from avemo.synthetic.actors import make_actor
from avemo.synthetic.face import draw_face
from avemo.synthetic.motion import FACE_AXES, Pose
from cache_factory import items_in
from media_factory import write_video

NETWORK = {"weights": "random-seed-0", "input_px": 64}
FRAMES = {"anna": 3, "ben": 5, "carl": 4, "dora": 6}


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """Four clips of drawn faces, one without any face, and one whose file is no film."""
    folder = tmp_path_factory.mktemp("clips")
    pose = Pose(dict.fromkeys(FACE_AXES, 0.0), jaw=0.2, lids=1, yaw=0, gaze_x=0, gaze_y=0, x=0, y=0)
    for number, (name, count) in enumerate(FRAMES.items()):
        look = make_actor(number, 0).look
        frames = [draw_face(look, pose, 160, np.random.default_rng(n)) for n in range(count)]
        write_video(folder / f"{name}.mp4", np.stack(frames), fps=10)
    write_video(folder / "blank.mp4", np.full((4, 160, 160, 3), 90, np.uint8), fps=10)
    (folder / "broken.mp4").write_bytes(b"no film")
    clips = [Clip(path.stem, "s", "g", video_path=path) for path in sorted(folder.glob("*.mp4"))]
    write_table(folder / "index.parquet", index_clips(clips, HashCache(folder / "hashes.json")))
    return folder / "index.parquet"


def shards(index: Path, folder: Path, at_once: int, monkeypatch) -> tuple[Path, Path]:
    """Tracks and features of the table's clips."""
    monkeypatch.setattr(extraction, "clips_at_once", lambda *_: at_once)
    place = {"corpus": "c", "version": 1}
    tracker = specs.TrackSpec(id="mtcnn-1", config={}, **place)
    embedding = specs.ExtractSpec(
        id="net-1",
        extractor="efficientnet_b2",
        config={},
        compression="none",
        faces="mtcnn-1",
        weights=[],
        **place,
    )
    embedding = embedding.model_copy(update={"config": NETWORK})
    speed = specs.Settings(speed={"net-1": {"device": "cpu", "batch_size": 8}, "mtcnn-1": {"device": "cpu"}})
    faces, features = folder / "faces.h5", folder / "features.h5"
    given = {"index": index, "shard": 0, "shards": 1, "settings": specs.as_cfg(speed)}
    extraction.track(cfg=specs.as_cfg(tracker), store=folder / "faces", out=faces, **given)
    extraction.extract(cfg=specs.as_cfg(embedding), store=folder / "net", out=features, faces=faces, **given)
    return faces, features


def test_several_clips_at_a_time_make_the_items_that_one_makes(index, tmp_path, monkeypatch):
    one = shards(index, tmp_path / "one", 1, monkeypatch)
    several = shards(index, tmp_path / "several", 3, monkeypatch)
    assert one[0].read_bytes() == several[0].read_bytes(), "tracks"
    for each, other in zip(items_in(one[1]), items_in(several[1]), strict=True):
        assert (each.clip_id, each.status, each.detail) == (other.clip_id, other.status, other.detail)
        if each.clip_id in FRAMES:
            assert each.x.shape == (FRAMES[each.clip_id], 1408)
            np.testing.assert_allclose(other.x, each.x, rtol=1e-4, atol=1e-5)
    assert {item.clip_id for item in items_in(several[1]) if item.x is None} == {"blank", "broken"}


def test_features_do_not_depend_on_how_many_clips_share_a_batch(index, tmp_path, monkeypatch):
    monkeypatch.setattr(EfficientNetB2, "share", _shared_anyway)
    two, six = (shards(index, tmp_path / str(n), n, monkeypatch)[1] for n in (2, 6))
    for each, other in zip(items_in(two), items_in(six), strict=True):
        if each.x is not None:
            np.testing.assert_allclose(other.x, each.x, rtol=1e-4, atol=1e-5)


def _shared_anyway(extractor) -> None:
    from avemo.features.shared_batches import SharedBatches

    extractor._shared = SharedBatches(extractor._forward, extractor._batch_size)


@pytest.mark.parametrize(
    ("gpu_mb", "device", "threads", "expected"),
    [(8000, "cuda", 4, 4), (8000, "cuda", 1, 1), (8000, "cpu", 4, 1), (0, "cuda", 4, 1)],
)
def test_threads_have_clips_of_their_own_where_a_gpu_computes(monkeypatch, gpu_mb, device, threads, expected):
    import cv2

    monkeypatch.setattr(devices, "choose_device", lambda name: SimpleNamespace(type=name))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(cv2, "setNumThreads", lambda number: None)
    assert shard_work.clips_at_once(gpu_mb, device, threads) == expected


def test_one_thread_at_a_time_says_how_the_process_multiplies():
    """Settings of torch are the process'; a thread that came into another's block would undo them."""
    from concurrent.futures import ThreadPoolExecutor

    def multiplied(precision: str) -> set[str]:
        with arithmetic.arithmetic(precision):
            return {torch.backends.cuda.matmul.fp32_precision for _ in range(2000)}

    before = torch.backends.cuda.matmul.fp32_precision
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(multiplied, ["tf32", "float32"] * 20))
    assert found == [{"tf32"}, {"ieee"}] * 20
    assert torch.backends.cuda.matmul.fp32_precision == before
