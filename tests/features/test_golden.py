"""Numbers change only with a raised version: each component's output on fixed input against what was written down.

``golden.json`` holds a few sums for each extractor, the face tracker, and their
versions. After raising a version, write its new numbers with
``python tests/features/test_golden.py NAME``. Networks that have hundreds of
millions of weights are here as small ones of the same layers, with random weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import pytest

from avemo.base.contracts import FeatureSequence
from avemo.features import EXTRACTORS

GOLDEN = Path(__file__).with_name("golden.json")
TRACKER = "mtcnn"
NAMES = sorted([*EXTRACTORS, TRACKER])
SMALL_WAV2VEC2 = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (24,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


@contextmanager
def small_networks() -> Iterator[None]:
    """Random wav2vec 2.0 and VGG-Face networks are small ones inside the block."""
    from avemo.features.vgg_face import VGGFaceAffectNet, VGGFaceFC6
    from avemo.features.vgg_network import Shape
    from avemo.features.wav2vec2_network import LARGE_ROBUST

    shape = Shape(width=2, px=32, hidden=12)
    faces = [mock.patch.multiple(found, shape=shape, dim=12) for found in (VGGFaceFC6, VGGFaceAffectNet)]
    with mock.patch.dict(LARGE_ROBUST, SMALL_WAV2VEC2), faces[0], faces[1]:
        yield


def sound() -> np.ndarray:
    """Half a second: a gliding tone in noise, at 16 kHz."""
    t = np.arange(8_000) / 16_000
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, len(t))
    return (0.4 * np.sin(2 * np.pi * (120 * t + 40 * t**2)) + noise).astype(np.float32)


def pictures(size: tuple[int, int]) -> list[tuple[float, np.ndarray]]:
    """Three pictures of smooth colour."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    planes = [np.stack([x, y, (x + y + shift) % 1], axis=-1) for shift in (0.0, 0.3, 0.6)]
    return [(n / 25, (255 * plane).astype(np.uint8)) for n, plane in enumerate(planes)]


def film() -> list[tuple[float, np.ndarray]]:
    """A drawn face that moves to the right in five pictures."""
    from avemo.synthetic.actors import make_actor
    from avemo.synthetic.face import draw_face
    from avemo.synthetic.motion import FACE_AXES, Pose

    look, axes = make_actor(0, 0).look, dict.fromkeys(FACE_AXES, 0.0)
    poses = [Pose(axes, jaw=0.2, lids=1, yaw=0, gaze_x=0, gaze_y=0, x=0.02 * n, y=0) for n in range(5)]
    return [(n / 25, draw_face(look, pose, 160, np.random.default_rng(n))) for n, pose in enumerate(poses)]


def output(name: str) -> tuple[int, FeatureSequence]:
    """A component's declared version and what it makes of its fixed input."""
    if name == TRACKER:
        from avemo.faces.track import FaceTracker

        return FaceTracker.version, FaceTracker(FaceTracker.Config(device="cpu")).track(film())
    with small_networks():
        found = EXTRACTORS.load(name)
        if found.reads == "table":
            return found.version, imported(found)
        extractor = found(found.Config(**found.tiny))
        if found.modality == "audio":
            return found.version, extractor.extract(sound())
        side = extractor.crop.size_px
        return found.version, extractor.extract(
            pictures((side, side) if isinstance(side, int) else tuple(side))
        )


def imported(found: Any) -> FeatureSequence:
    """What an extractor takes from a small table."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / found.tiny["file"]
        file.write_text("clip_id,a,b\none,1.5,2\ntwo,3,4\n")
        return found(found.Config(file=str(file))).read("two")


def summary(name: str) -> dict[str, Any]:
    """The component's version and, of its output on the fixed input, shape and some sums."""
    version, frames = output(name)
    # arcsinh, or the largest column would hide all others.
    x = np.arcsinh(np.asarray(frames.x, np.float64)).reshape(len(frames.x), -1)
    weights = np.cos(np.arange(x.shape[1]))
    sums = {"mean": x.mean(), "rms": np.sqrt((x**2).mean()), "first": x[0] @ weights, "last": x[-1] @ weights}
    sums["time"] = float(np.sum(frames.times_s))
    return {"version": version, "shape": list(x.shape), **{k: float(v) for k, v in sums.items()}}


def complaint(name: str, golden: dict[str, Any], found: dict[str, Any]) -> str:
    """What is wrong with a component whose numbers or version are not those written down; "" if nothing is."""
    if found["version"] != golden["version"]:
        return (
            f"{name} has version {found['version']}: write its numbers down with "
            f"python tests/features/test_golden.py {name}"
        )
    changed = [key for key in golden if found[key] != pytest.approx(golden[key], rel=2e-3, abs=1e-5)]
    if changed:
        return f"{name}: {', '.join(changed)} changed, but version is still {found['version']}; raise it"
    return ""


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_the_declared_version(name: str, golden: dict[str, Any]) -> None:
    assert complaint(name, golden[name], summary(name)) == ""


def test_changed_numbers_under_the_same_version_are_named(
    monkeypatch: pytest.MonkeyPatch, golden: dict[str, Any]
) -> None:
    from avemo.features import opensmile_lld

    honest = opensmile_lld.to_int16
    monkeypatch.setattr(opensmile_lld, "to_int16", lambda signal: honest(signal * np.float32(0.98)))
    found = complaint("compare_lld", golden["compare_lld"], summary("compare_lld"))
    assert found == "compare_lld: first, last changed, but version is still 1; raise it"


def test_a_raised_version_asks_for_its_numbers(golden: dict[str, Any]) -> None:
    raised = golden["compare_lld"] | {"version": 2}
    found = complaint("compare_lld", golden["compare_lld"], raised)
    assert found.startswith("compare_lld has version 2: write its numbers down")


if __name__ == "__main__":
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    known |= {name: summary(name) for name in sys.argv[1:] or NAMES}
    GOLDEN.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
