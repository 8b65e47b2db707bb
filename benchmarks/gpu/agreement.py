"""CPU against GPU: features of every extractor, faces, logits and gradients of every system; and whose bits depend on what.

Weights are random; what is judged is the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from benchmarks.gpu.ceilings import PRECISIONS
from benchmarks.gpu.kit import Kit, relative
from torch import nn

from avemo.base.arithmetic import Precision, arithmetic
from avemo.base.contracts import Clip
from avemo.dataset.batch import Batch
from avemo.dataset.tasks import Classes
from avemo.faces.track import STATUS, FaceTracker, iou
from avemo.features import EXTRACTORS
from avemo.features.crop_network import CropNetwork
from avemo.features.shared_batches import places_alike
from avemo.media.pictures import iter_frames
from avemo.media.sound import read_audio
from avemo.models import MODELS, build_model
from avemo.training.losses import total

BARS: dict[Precision, float] = {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 3e-2}
"""Largest relative difference to the CPU's float32."""
LEAST_IOU = 0.99
NAMED = {"shape", "model"}
"""Fields of a config that say which network."""
NOISELESS = {"av_ladder": {"noise_variance": 0.0}}


def pictures(count: int, side: int) -> np.ndarray:
    """Smooth random crops ``(count, side, side, 3)``."""
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 12, 12, 3), np.uint8)
    return np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in coarse])


def opened(kit: Kit, name: str, device: str, precision: Precision = "float32") -> Any:
    """A network with random weights; as small as its class says in a tiny run, and where it is none of its own but any
    that a config names."""
    kind = EXTRACTORS.load(name)
    asked = {"weights": "random-seed-0", "precision": precision}
    asked |= dict(kind.tiny) if kit.tiny or kind.Config.model_fields.keys() & NAMED else {}
    return kind(kind.Config(**asked | {"device": device}))


def networks(kit: Kit) -> list[str]:
    """Extractors that run a network; in a tiny run those that a CPU can afford."""
    found = [name for name in EXTRACTORS if "precision" in EXTRACTORS.load(name).Config.model_fields]
    return [name for name in found if not (kit.tiny and name.startswith("vgg"))]


def extractors(kit: Kit) -> None:
    """Each network at each precision against the CPU's float32, and face tracks."""
    rows = []
    clips = [Clip(path.stem, "?", "?", video_path=path) for path in kit.clips[: 1 if kit.tiny else 4]]
    for name in networks(kit):
        with kit.trying(name):
            rows.extend(compared(kit, name, clips[0]))
        kit.keep("extractors", rows)
    for precision in ("float32", "tf32"):
        with kit.trying(f"faces in {precision}"):
            rows.append(faces(kit, clips, precision))
    kit.keep("extractors", rows)


def compared(kit: Kit, name: str, clip: Clip) -> Iterator[dict[str, Any]]:
    """A row a precision of one network."""
    crops = issubclass(EXTRACTORS.load(name), CropNetwork)
    reference = opened(kit, name, "cpu")
    given: Any = read_audio(clip, reference.rate_hz) if not crops else None
    if crops:
        shown = pictures(3 if kit.tiny else 24, reference.crop.size_px)
        given = [(number / 30, picture) for number, picture in enumerate(shown)]
    expected = reference.extract(given).x
    for precision in PRECISIONS[:1] if kit.tiny else PRECISIONS:
        extractor = opened(kit, name, kit.device, precision)
        difference = relative(extractor.extract(given).x, expected)
        row = {"extractor": name, "precision": precision, "relative difference": difference}
        kit.check(f"{name} in {precision} as on the CPU", difference < BARS[precision], f"{difference:.1e}")
        yield row | (placed(kit, extractor, shown) if crops else {})
        del extractor
        kit.free()


def placed(kit: Kit, extractor: Any, shown: np.ndarray) -> dict[str, bool]:
    """Whether a crop's bits depend on its neighbours, on its place in a batch, or on the batch's size."""
    size, few = (8, 2) if kit.tiny else (64, 4)
    side = shown.shape[1]
    rng = np.random.default_rng(1)

    def rows(size: int, at: int, noisy: bool) -> np.ndarray:
        batch = np.zeros((size, side, side, 3), np.uint8)
        if noisy:
            batch = rng.integers(0, 256, batch.shape, np.uint8)
        batch[at : at + few] = shown[:few]
        return extractor._forward(batch)[at : at + few]

    base = rows(size, 0, False)
    return {
        "bits by neighbour": not np.array_equal(base, rows(size, 0, True)),
        "bits by place": not np.array_equal(base, rows(size, size - few, False)),
        # Half: a batch between is filled up to the next of few sizes.
        "bits by size": not np.array_equal(base, rows(size // 2, 0, False)),
        "clips share batches": places_alike(extractor._forward, size, side),
    }


def faces(kit: Kit, clips: list[Clip], precision: Any) -> dict[str, Any]:
    """Tracks on the device against the CPU's."""
    most = 10 if kit.tiny else 75
    frames = [[frame for frame, _ in zip(iter_frames(clip), range(most), strict=False)] for clip in clips]

    def tracks(device: str, precision: Any) -> np.ndarray:
        tracker = FaceTracker(FaceTracker.Config(device=device, precision=precision))
        return np.concatenate([tracker.track(iter(each)).x for each in frames])

    ours, theirs = tracks(kit.device, precision), tracks("cpu", "float32")
    found, expected = ours[:, STATUS] != 0, theirs[:, STATUS] != 0
    both = found & expected
    least = min(
        (float(iou(a[:4], b[None, :4])[0]) for a, b in zip(ours[both], theirs[both], strict=True)),
        default=0.0,
    )
    same = float(np.mean(found == expected))
    kit.check(
        f"faces in {precision} as on the CPU", least > LEAST_IOU and same == 1, f"least IoU {least:.4f}"
    )
    return {"extractor": "mtcnn", "precision": precision, "least IoU": least, "same frames": same}


def systems(kit: Kit) -> None:
    """Logits and gradients of every system at each precision against the CPU's float64, without dropout and noise."""
    rows: list[dict[str, Any]] = []
    for name in MODELS:
        with kit.trying(name):
            rows.extend(held(kit, name))
        kit.keep("systems", rows)


def held(kit: Kit, name: str) -> Iterator[dict[str, Any]]:
    """A row a precision of one system."""
    expected = passes(kit, name, "cpu", torch.float64)
    own = {low: passes(kit, name, "cpu", torch.float32, low) for low in PRECISIONS[::2]}
    for precision in PRECISIONS:
        found = passes(kit, name, kit.device, torch.float32, precision)
        logits, gradients = (relative(a, b) for a, b in zip(found, expected, strict=True))
        # Some gradients are ill-conditioned: what the CPU loses at the same precision is the measure.
        lost = relative(own["bfloat16" if precision == "bfloat16" else "float32"][1], expected[1])
        bar = max(10 * BARS[precision], 3 * lost)
        yield {"system": name, "precision": precision, "logits": logits, "gradients": gradients}
        kit.check(
            f"{name} in {precision} as float64 on the CPU",
            logits < max(BARS[precision], 3 * lost) and gradients < bar,
            f"logits {logits:.0e}, gradients {gradients:.0e}, the CPU's own {lost:.0e}",
        )


def passes(
    kit: Kit, name: str, device: str, dtype: torch.dtype, precision: Precision = "float32"
) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and the gradients of all weights in a row."""
    visual = 3 * 64 * 64 if name == "colearning" else 64
    config = (
        dict(MODELS.load(name).tiny)
        if kit.tiny
        else {"width": 128}
        if name in ("vavl", "uavm", "conformer")
        else {}
    )
    if name == "colearning":
        config = {"cnn": "none"} | config
    torch.manual_seed(0)
    known = MODELS.load(name).Config.model_fields
    config |= {key: value for key, value in NOISELESS.get(name, {}).items() if key in known}
    model = build_model(name, audio_dim=130, visual_dim=visual, outputs=6, **config)
    for module in model.modules():
        without_dropout(module)
    model = model.to(device, dtype)
    batch = shown_batch(4, (40, 15), (130, visual), dtype).to(device)
    with (
        arithmetic(precision),
        torch.autocast(device.split(":")[0], torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        outputs = model.train()(batch, torch.Generator(device))
    outputs.logits = {head: logits.to(dtype) for head, logits in outputs.logits.items()}
    with arithmetic(precision):
        total(outputs, batch, Classes(list("abcdef")))["total"].backward()
    gradients = [
        weights.grad.double().flatten().cpu() for weights in model.parameters() if weights.grad is not None
    ]
    return outputs.prediction.detach().double().cpu().numpy(), torch.cat(gradients).numpy()


def without_dropout(module: nn.Module) -> None:
    """Whatever a module drops, it keeps."""
    for name in ("p", "dropout", "weight_dropout"):
        if isinstance(getattr(module, name, None), float):
            setattr(module, name, 0.0)


def shown_batch(clips: int, frames: tuple[int, int], dims: tuple[int, int], dtype: torch.dtype) -> Batch:
    """Random clips of random lengths, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    x, masks = [], []
    for longest, dim in zip(frames, dims, strict=True):
        lengths = torch.randint(max(1, longest // 2), longest + 1, (clips,), generator=generator)
        lengths[0] = longest
        masks.append(torch.arange(longest) < lengths[:, None])
        x.append((torch.randn(clips, longest, dim, generator=generator) * masks[-1][..., None]).to(dtype))
    return Batch(
        *x, *masks, torch.randint(6, (clips,), generator=generator), [f"clip{n}" for n in range(clips)]
    )
