"""VGG-Face against torchvision's VGG of the same widths, under every published naming."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.vgg import make_layers

from avemo.base.contracts import AvemoError, digest
from avemo.features.vgg_face import VGGFaceAffectNet, VGGFaceFC6
from avemo.features.vgg_network import LAYOUTS, Shape, VGGFace, layout_of, load_network, random_network
from avemo.weights.find import find

TINY = Shape(width=2, px=32, hidden=12)
CFG = [2, 2, "M", 4, 4, "M", 8, 8, 8, "M", 16, 16, 16, "M", 16, 16, 16, "M"]
DAG = [
    f"conv{block}_{n}" for block, count in enumerate((2, 2, 3, 3, 3), start=1) for n in range(1, count + 1)
]


class TinyFC6(VGGFaceFC6):
    shape, dim = TINY, 12


class TinyAffectNet(VGGFaceAffectNet):
    shape, dim = TINY, 12


@pytest.fixture(scope="module")
def reference() -> nn.ModuleDict:
    """torchvision's VGG-16 in small, with three FC layers; its state dict has torchvision's names."""
    torch.manual_seed(0)
    layers = [
        nn.Linear(16, 12),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(12, 12),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(12, 5),
    ]
    made = nn.ModuleDict({"features": make_layers(CFG), "classifier": nn.Sequential(*layers)}).eval()
    for module in made.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.normal_(module.bias, std=0.1)
    return made


def fc6(reference: nn.ModuleDict, images: torch.Tensor) -> torch.Tensor:
    """Its first FC layer, rectified; images in the order it was trained on."""
    with torch.no_grad():
        return reference["classifier"][:2](reference["features"](images).flatten(1))


def named(reference: nn.ModuleDict, convs: list[str], full: list[str]) -> dict[str, torch.Tensor]:
    """Its weights under other names, layer by layer as they follow each other."""
    layers = [m for m in reference.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    state = {}
    for layer, name in zip(layers, [*convs, *full], strict=True):
        state |= {f"{name}.weight": layer.weight.data.clone(), f"{name}.bias": layer.bias.data.clone()}
    return state


NUMBERS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
UNDERSCORED = [name.replace("conv", "conv_") for name in DAG]
FILES = {
    "dag": ("RGB", DAG, ["fc6", "fc7", "fc8"]),
    "underscored": ("BGR", UNDERSCORED, ["fc6", "fc7", "fc8"]),
    "features_fc": ("BGR", [f"features.{n}" for n in UNDERSCORED], ["fc.fc6", "fc.fc7", "fc.fc8"]),
    "torchvision": ("BGR", [f"features.{n}" for n in NUMBERS], [f"classifier.{n}" for n in (0, 3, 6)]),
    "sequential": ("BGR", [str(n) for n in NUMBERS], ["32.1", "35.1", "38.1"]),
    "finetuned": ("RGB", DAG, ["fc1", "fc2", "fc3"]),
}


def test_the_published_network_has_its_published_size():
    """VGG-16's convolutions hold 14,714,688 parameters (Simonyan and Zisserman 2015, network D)."""
    with torch.device("meta"):
        network = VGGFace(Shape())
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    full = {name: size for name, size in sizes.items() if ".fc" in name}
    assert sum(sizes.values()) - sum(full.values()) == 14_714_688
    assert sum(full.values()) == 25_088 * 4_096 + 4_096
    assert VGGFaceFC6.dim == VGGFaceAffectNet.dim == 4_096


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_torchvisions_features(reference, layout, tmp_path):
    order, convs, full = FILES[layout]
    state = named(reference, convs, full)
    path = tmp_path / "vgg.pth"
    torch.save(state, path)
    first = full[0] if layout == "finetuned" else "fc6"
    assert layout_of(state, first, path) == layout
    network = load_network(find(str(path)), TINY, first)
    rgb = torch.randn(3, 3, 32, 32)
    expected = fc6(reference, rgb if order == "RGB" else rgb.flip(1))
    assert expected.std() > 0.1
    with torch.no_grad():
        torch.testing.assert_close(network(rgb), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_a_stated_order_overrules_the_layouts(reference, channels, tmp_path):
    torch.save(named(reference, *FILES["torchvision"][1:]), tmp_path / "vgg.pth")
    network = load_network(find(str(tmp_path / "vgg.pth")), TINY, channels=channels)
    rgb = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            network(rgb), fc6(reference, rgb if channels == "RGB" else rgb.flip(1)), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("normalise", ["minus_one_one", "mean"])
def test_pixels_reach_the_network_as_declared(reference, tmp_path, normalise):
    """A BGR network gets blue first, and blue minus the mean of blue."""
    save_file(named(reference, *FILES["features_fc"][1:]), tmp_path / "vgg.safetensors")
    config = TinyFC6.Config(weights=str(tmp_path / "vgg.safetensors"), normalise=normalise, device="cpu")
    crops = pictures(5)
    features = TinyFC6(config).extract(iter(crops))
    bgr = np.stack([crop[..., ::-1] for _, crop in crops]).astype(np.float32)
    mean_bgr = np.array([93.5940, 104.7624, 129.1863], np.float32)
    seen = bgr - mean_bgr if normalise == "mean" else bgr / 127.5 - 1
    expected = fc6(reference, torch.from_numpy(seen.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(features.x, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(features.times_s, [t for t, _ in crops])


def pictures(count: int) -> list[tuple[float, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [(n / 25, rng.integers(0, 256, (32, 32, 3), np.uint8)) for n in range(count)]


def test_the_affectnet_extractor_reads_fc1_of_masked_boxes(reference, tmp_path):
    save_file(named(reference, *FILES["finetuned"][1:]), tmp_path / "tuned.safetensors")
    ours = TinyAffectNet(TinyAffectNet.Config(weights=str(tmp_path / "tuned.safetensors"), device="cpu"))
    assert (ours.crop.background, ours.crop.margin) == ("masked", 0.0)
    crops = pictures(2)
    rgb = np.stack([crop for _, crop in crops]).astype(np.float32) / 127.5 - 1
    expected = fc6(reference, torch.from_numpy(rgb.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(ours.extract(crops).x, expected, rtol=1e-4, atol=1e-5)
    assert (
        ours.provenance()["weights"]
        == hashlib.sha256((tmp_path / "tuned.safetensors").read_bytes()).hexdigest()
    )


def test_a_tuned_file_is_no_published_one_and_the_reverse(reference, tmp_path):
    for layout, first in (("finetuned", "fc6"), ("dag", "fc1")):
        torch.save(named(reference, *FILES[layout][1:]), tmp_path / "vgg.pth")
        with pytest.raises(
            AvemoError, match=rf"vgg\.pth: expected the layers of VGG-Face .*without {first}\.weight"
        ):
            load_network(find(str(tmp_path / "vgg.pth")), TINY, first)


def test_missing_and_misshapen_layers_are_named(reference, tmp_path):
    state = named(reference, *FILES["dag"][1:])
    torch.save(
        {name: value for name, value in state.items() if not name.startswith("conv3_2")}, tmp_path / "w.pth"
    )
    with pytest.raises(AvemoError, match=r"nearest: dag, without conv3_2\.weight, conv3_2\.bias"):
        load_network(find(str(tmp_path / "w.pth")), TINY)
    torch.save(state | {"fc6.weight": torch.zeros(7, 16)}, tmp_path / "w.pth")
    with pytest.raises(AvemoError, match=r"fc6\.weight: expected \(12, 16\), found \(7, 16\)"):
        load_network(find(str(tmp_path / "w.pth")), TINY)


def test_random_features_follow_the_image_and_the_seed():
    network, other = random_network(4, TINY), random_network(5, TINY)
    assert not torch.equal(network.layers.conv1_1.weight, other.layers.conv1_1.weight)
    torch.testing.assert_close(network.state_dict(), random_network(4, TINY).state_dict(), rtol=0, atol=0)
    wide = Shape(width=16, px=64, hidden=256)
    ours = type("Wide", (VGGFaceFC6,), {"shape": wide, "dim": 256})
    extractor = ours(ours.Config(weights="random-seed-0", device="cpu"))
    t = np.linspace(0, 1, 64)
    waves = [
        128 + 80 * np.sin(6 * t[:, None, None] + k / 20) * np.cos(9 * t[None, :, None] + np.arange(3))
        for k in range(2)
    ]
    crops = [(0.0, waves[0]), (0.04, waves[1]), (0.08, waves[0].transpose(1, 0, 2))]
    x = extractor.extract([(s, np.clip(crop, 0, 255).astype(np.uint8)) for s, crop in crops]).x
    assert 0.01 < x.mean() < 10
    assert (x > 0).any(axis=0).mean() > 0.4
    assert np.linalg.norm(x[1] - x[0]) < np.linalg.norm(x[2] - x[0]) / 2, "the next frame is the nearer one"
    assert extractor.provenance() == {"weights": "random-seed-0", "random_weights": True}


def test_bfloat16_is_a_class_of_its_own_near_float32():
    extractors = [
        TinyFC6(TinyFC6.Config(weights="random-seed-1", precision=precision, device="cpu"))
        for precision in ("float32", "bfloat16")
    ]
    full, half = (extractor.extract(pictures(8)).x for extractor in extractors)
    cosine = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine.min() >= 0.999
    assert not np.array_equal(full, half)
    assert extractors[0].key_part() != extractors[1].key_part()


@pytest.mark.parametrize(("frames", "sizes"), [(1, [8]), (5, [8]), (9, [16]), (16, [16]), (21, [16, 8])])
def test_on_a_gpu_a_clips_last_batch_is_filled_up_to_one_of_a_few_sizes(monkeypatch, frames, sizes):
    extractor = TinyFC6(TinyFC6.Config(weights="random-seed-1", device="cpu", batch_size=16))
    expected = extractor.extract(pictures(frames)).x
    seen: list[int] = []
    extractor._model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    monkeypatch.setattr(TinyFC6, "filled_on", ("cpu",))
    found = extractor.extract(pictures(frames)).x
    assert seen == sizes
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_settings_that_change_numbers_change_the_key_and_others_do_not():
    def key(**settings) -> str:
        return digest(VGGFaceFC6.Config(weights="random-seed-0", **settings).numbers())

    assert key() == key(batch_size=2, device="cuda")
    assert len({key(), key(normalise="mean"), key(channels="BGR"), key(margin=0.1)}) == 4
