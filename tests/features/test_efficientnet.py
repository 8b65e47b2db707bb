"""EfficientNet-B2 against timm called one frame at a time."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from avemo.base.contracts import AvemoError
from avemo.features.efficientnet import EfficientNetB2, load_model, random_model
from avemo.weights.find import find

RANDOM = "random-seed-3"


def faces(count: int, size_px: int = 224, seed: int = 0) -> list[tuple[float, np.ndarray]]:
    """Smooth uint8 images that drift from one to the next."""
    t = np.linspace(0, 1, size_px)
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 2, (count, size_px, size_px, 3))
    waves = [
        128 + 80 * np.sin(6 * t[:, None, None] + k / 20) * np.cos(9 * t[None, :, None] + np.arange(3))
        for k in range(count)
    ]
    return [(k / 25, np.clip(wave + grain[k], 0, 255).astype(np.uint8)) for k, wave in enumerate(waves)]


def timm_features(model: torch.nn.Module, crops: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """One frame at a time, as a user would: scale to [0, 1], ImageNet normalisation, forward."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        frames = [(torch.from_numpy(crop) / 255 - mean) / std for _, crop in crops]
        return torch.cat([model(frame.permute(2, 0, 1)[None].contiguous()) for frame in frames]).numpy()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return random_model(3)


@pytest.fixture(scope="module")
def published(network, tmp_path_factory):
    """A file with timm's names and an eight-class classifier, as converted from EmotiEffLib."""
    path = tmp_path_factory.mktemp("weights") / "enet_b2_8.safetensors"
    state = {name: value.clone() for name, value in network.state_dict().items()}
    save_file(state | {"classifier.0.weight": torch.ones(8, 1408), "classifier.0.bias": torch.ones(8)}, path)
    return path


@pytest.fixture(scope="module")
def extractor() -> EfficientNetB2:
    return EfficientNetB2(EfficientNetB2.Config(weights=RANDOM, device="cpu"))


@pytest.mark.parametrize("size_px", [224, 260])
def test_features_equal_timm_frame_by_frame(network, published, size_px):
    ours = EfficientNetB2(EfficientNetB2.Config(weights=str(published), input_px=size_px, device="cpu"))
    crops = faces(5, size_px)
    features = ours.extract(iter(crops))
    expected = timm_features(network, crops)
    assert features.x.shape == (5, 1408)
    assert features.x.dtype == np.float32
    assert np.abs(features.x - expected).max() <= 1e-4 * np.abs(expected).max()
    np.testing.assert_array_equal(features.times_s, [time_s for time_s, _ in crops])


def test_batch_size_does_not_matter(extractor, published):
    crops = faces(6)
    one_by_one = EfficientNetB2.Config(weights=str(published), batch_size=1, device="cpu")
    one = EfficientNetB2(one_by_one).extract(crops).x
    np.testing.assert_allclose(extractor.extract(crops).x, one, rtol=0, atol=1e-5 * np.abs(one).max())


def test_crops_are_read_in_batches(extractor):
    taken: list[int] = []
    seen: list[int] = []
    forward = extractor._forward

    def stream():
        for number, crop in enumerate(faces(6)):
            taken.append(number)
            yield crop

    def spy(images):
        seen.append(len(taken))
        return forward(images)

    extractor._forward = spy
    try:
        extractor.extract(stream())
    finally:
        del extractor._forward
    assert seen == [3, 6]


def test_no_crops_give_no_frames(extractor):
    features = extractor.extract([])
    assert features.x.shape == (0, 1408)
    assert features.times_s.shape == (0,)


def test_random_features_are_of_unit_order_and_follow_the_image(extractor):
    (_, first), *rest = faces(4)
    x = extractor.extract([(0.0, first), *rest, (1.0, first.transpose(1, 0, 2))]).x
    assert 0.01 < np.abs(x).mean() < 1
    assert (x.std(axis=0) > 1e-4).mean() > 0.9
    distance = np.linalg.norm(x - x[0], axis=1)
    assert distance[1] < distance[4] / 2, "the next frame is nearer than the image turned round"


def test_random_weights_follow_the_seed_and_leave_the_generator_alone():
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first = random_model(5).state_dict()
    assert torch.equal(torch.rand(1), expected)
    again, other = random_model(5).state_dict(), random_model(6).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv_head.weight"], other["conv_head.weight"])


def test_a_file_gives_its_weights_and_its_hash(network, published):
    ours = EfficientNetB2(EfficientNetB2.Config(weights=str(published), device="cpu"))
    crops = faces(2)
    expected = timm_features(network, crops)
    np.testing.assert_allclose(ours.extract(crops).x, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert ours.provenance() == {
        "weights": hashlib.sha256(published.read_bytes()).hexdigest(),
        "random_weights": False,
    }


def test_the_two_paddings_differ(network, published):
    same, symmetric = (
        load_model(find(str(published)), name) for name in ("tf_efficientnet_b2", "efficientnet_b2")
    )
    crops = faces(1)
    np.testing.assert_array_equal(timm_features(same, crops), timm_features(network, crops))
    assert np.abs(timm_features(symmetric, crops) - timm_features(same, crops)).max() > 1e-3


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_other_tensors_are_refused_by_name(network, tmp_path, change):
    state = dict(network.state_dict())
    if change == "surplus":
        state["new.weight"] = torch.zeros(1)
    elif change == "missing":
        del state["conv_head.weight"]
    else:
        state["conv_head.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(AvemoError, match=r"other\.pt: expected exactly .*(new|conv_head)\.weight"):
        load_model(find(str(tmp_path / "other.pt")))


def test_a_pickled_module_is_refused(tmp_path):
    torch.save(torch.nn.Conv2d(3, 4, 1), tmp_path / "enet_b2_8.pt")
    with pytest.raises(AvemoError, match="EmotiEffLib"):
        EfficientNetB2(EfficientNetB2.Config(weights=str(tmp_path / "enet_b2_8.pt"), device="cpu"))


def test_random_weights_are_never_a_fallback(tmp_path):
    with pytest.raises(ValidationError, match="weights"):
        EfficientNetB2.Config()
    with pytest.raises(AvemoError, match="found nothing"):
        EfficientNetB2(EfficientNetB2.Config(weights=str(tmp_path / "enet_b2_8.pt"), device="cpu"))


@pytest.mark.parametrize(
    ("shape", "dtype"), [((260, 260, 3), np.uint8), ((224, 224), np.uint8), ((224, 224, 3), np.float32)]
)
def test_wrong_crops_are_refused(extractor, shape, dtype):
    with pytest.raises(AvemoError, match=r"crop at 0\.040 s: expected uint8 \(224, 224, 3\), found"):
        extractor.extract([faces(1)[0], (0.04, np.zeros(shape, dtype))])


def test_crop_policy_and_provenance(extractor):
    assert (extractor.crop.size_px, extractor.crop.margin) == (224, 0.2)
    assert extractor.provenance() == {"weights": RANDOM, "random_weights": True}
    assert extractor.versions()["timm"] == timm.__version__


def test_only_numbers_enter_the_key():
    config = EfficientNetB2.Config(weights=RANDOM)
    assert config.numbers() == config.model_copy(update={"batch_size": 9, "device": "cuda"}).numbers()
    assert config.numbers() != config.model_copy(update={"input_px": 260}).numbers()


def test_float16_features(network, published):
    ours = EfficientNetB2(EfficientNetB2.Config(weights=str(published), dtype="float16", device="cpu"))
    crops = faces(1)
    features = ours.extract(crops).x
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, timm_features(network, crops), rtol=2e-3, atol=1e-4)


def test_importing_the_extractors_is_cheap():
    code = (
        "import sys; from avemo.features import efficientnet, opensmile_lld; from avemo.weights import find;"
        "print(*{'torch', 'timm', 'cv2', 'av', 'opensmile', 'pandas'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
