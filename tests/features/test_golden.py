"""Numbers change only with a raised version: each extractor's output on fixed input against what was written down.

``golden.json`` holds a few sums for each extractor and version. After raising a
version, write its new numbers with ``python tests/features/test_golden.py NAME``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.features import EXTRACTORS

GOLDEN = Path(__file__).with_name("golden.json")
CONFIGS: dict[str, dict[str, Any]] = {
    "efficientnet_b2": {"weights": "random-seed-0", "device": "cpu"},
}
HEAVY = {
    # Hundreds of millions of random weights say little in minutes; their own tests compare them with references.
    *("wav2vec2", "vgg_face_fc6", "vgg_face_affectnet"),
}


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


def summary(name: str) -> dict[str, Any]:
    """The extractor's version and, of its output on the fixed input, shape and some sums."""
    found = EXTRACTORS.load(name)
    extractor = found(found.Config(**CONFIGS.get(name, {})))
    if found.modality == "audio":
        frames = extractor.extract(sound())
    else:
        side = extractor.crop.size_px
        frames = extractor.extract(pictures((side, side) if isinstance(side, int) else tuple(side)))
    # arcsinh, or the largest column would hide all others.
    x = np.arcsinh(np.asarray(frames.x, np.float64)).reshape(len(frames.x), -1)
    weights = np.cos(np.arange(x.shape[1]))
    sums = {"mean": x.mean(), "rms": np.sqrt((x**2).mean()), "first": x[0] @ weights, "last": x[-1] @ weights}
    sums["time"] = float(np.sum(frames.times_s))
    return {"version": found.version, "shape": list(x.shape), **{k: float(v) for k, v in sums.items()}}


def compare(name: str, golden: dict[str, Any], found: dict[str, Any]) -> None:
    """Raises `AssertionError` naming the extractor whose numbers changed."""
    assert found["version"] == golden["version"], (
        f"{name} has version {found['version']}: write its numbers down with python tests/features/test_golden.py {name}"
    )
    changed = [key for key in golden if found[key] != pytest.approx(golden[key], rel=2e-3, abs=1e-5)]
    assert not changed, (
        f"{name}: {', '.join(changed)} changed, but version is still {found['version']}; raise it"
    )


@pytest.mark.parametrize("name", sorted(set(EXTRACTORS) - HEAVY))
def test_numbers_are_those_of_the_declared_version(name: str) -> None:
    compare(name, json.loads(GOLDEN.read_text())[name], summary(name))


def test_changed_numbers_under_the_same_version_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.features import opensmile_lld

    honest = opensmile_lld.to_int16
    monkeypatch.setattr(opensmile_lld, "to_int16", lambda signal: honest(signal * np.float32(0.98)))
    with pytest.raises(AssertionError, match="compare_lld: .* changed, but version is still 1; raise it"):
        compare("compare_lld", json.loads(GOLDEN.read_text())["compare_lld"], summary("compare_lld"))


def test_a_raised_version_asks_for_its_numbers() -> None:
    golden = json.loads(GOLDEN.read_text())["compare_lld"]
    with pytest.raises(AssertionError, match="compare_lld has version 2: write its numbers down"):
        compare("compare_lld", golden, golden | {"version": 2})


if __name__ == "__main__":
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    known |= {name: summary(name) for name in sys.argv[1:] or sorted(set(EXTRACTORS) - HEAVY)}
    GOLDEN.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
