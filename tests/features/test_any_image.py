"""Networks of timm and of transformers against these libraries, with their own preprocessing, on the same faces."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from transformers import AutoConfig, AutoModel, CLIPImageProcessor, SiglipImageProcessor

from avemo.base.contracts import AvemoError, ConfigError
from avemo.faces.crop import CropPolicy, cut, whole
from avemo.features.hf_image import HFImage
from avemo.features.timm_image import TimmImage

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SMALL | {
    "intermediate_size": 64,
    "vocab_size": 60,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
TOWER = SMALL | {"intermediate_size": 64, "image_size": 64, "patch_size": 16}
NETWORKS = {
    "dinov2": SMALL | {"image_size": 56, "patch_size": 14},
    "vit": SMALL | {"intermediate_size": 64, "image_size": 64, "patch_size": 16},
    "clip": {"text_config": TEXT, "vision_config": TOWER, "projection_dim": 24},
    "siglip": {"text_config": TEXT, "vision_config": TOWER},
}
SIDES = {"dinov2": 56, "vit": 64, "clip": 64, "siglip": 64}


def faces(side: int, count: int = 5) -> list[tuple[float, np.ndarray]]:
    """Smooth pictures in colour, with some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    found = []
    for n in range(count):
        planes = [np.sin(6 * x + n), np.cos(5 * y - n), x * y]
        picture = 127 + 90 * np.stack(planes, -1) + rng.normal(0, 10, (side, side, 3))
        found.append((n / 25, picture.clip(0, 255).astype(np.uint8)))
    return found


# -- timm --------------------------------------------------------------------


def published(folder, name: str) -> torch.nn.Module:
    """A network with its classifier, as timm's folders on the hub have it; batch norms with statistics of their own."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    save_file(model.state_dict(), folder / "model.safetensors")
    own = model.pretrained_cfg | {"num_classes": 5}
    (folder / "config.json").write_text(
        json.dumps({"architecture": name, "pretrained_cfg": own}, default=str)
    )
    return model.eval()


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "test_nfnet"]
)
def test_rows_are_what_timms_classifier_would_see(tmp_path, name):
    model = published(tmp_path, name)
    ours = TimmImage(TimmImage.Config(weights=str(tmp_path), device="cpu"))
    data = resolve_model_data_config(model)
    assert ours.crop.size_px == data["input_size"][-1]
    assert ours.crop.interpolation == data["interpolation"]
    given = faces(ours.crop.size_px)
    transform = create_transform(**(data | {"crop_pct": 1.0}))
    with torch.no_grad():
        pixels = torch.stack([transform(Image.fromarray(face)) for _, face in given])
        expected = model.forward_head(model.forward_features(pixels), pre_logits=True).numpy()
    found = ours.extract(given)
    assert found.x.shape == expected.shape == (5, ours.dim)
    np.testing.assert_allclose(found.x, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(found.times_s, [time_s for time_s, _ in given])


@pytest.mark.parametrize(("name", "layer"), [("test_resnet", "layer2"), ("test_vit", "blocks.2")])
def test_a_named_layer_is_averaged_over_its_places(tmp_path, name, layer):
    model = published(tmp_path, name)
    ours = TimmImage(TimmImage.Config(weights=str(tmp_path), layer=layer, device="cpu"))
    given, kept = faces(ours.crop.size_px), {}
    model.get_submodule(layer).register_forward_hook(lambda _m, _i, made: kept.update(made=made))
    data = resolve_model_data_config(model)
    mean, std = (torch.tensor(data[key]).view(3, 1, 1) for key in ("mean", "std"))
    pixels = torch.stack([torch.from_numpy(face).permute(2, 0, 1) / 255 for _, face in given])
    with torch.no_grad():
        model((pixels - mean) / std)
    made = kept["made"]
    expected = (made.mean((2, 3)) if made.ndim == 4 else made.mean(1)).numpy()
    np.testing.assert_allclose(ours.extract(given).x, expected, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(ConfigError, match=r"layer: expected a module of the network, found 'layer22'"):
        TimmImage(TimmImage.Config(weights=str(tmp_path), layer="layer22", device="cpu"))


def test_a_state_dict_alone_takes_its_input_from_timms_name(tmp_path):
    published(tmp_path, "test_resnet")
    (tmp_path / "config.json").unlink()
    file = tmp_path / "model.safetensors"
    ours = TimmImage(TimmImage.Config(weights=str(file), model="test_resnet", device="cpu"))
    assert ours.crop.size_px == timm.get_pretrained_cfg("test_resnet").input_size[-1]
    with pytest.raises(ConfigError, match=r"model: expected timm's name of the network, as no config\.json"):
        TimmImage(TimmImage.Config(weights=str(file), device="cpu"))
    with pytest.raises(ConfigError, match=r"expected a network of timm, found 'test_resnett'; did you mean"):
        TimmImage(TimmImage.Config(weights=str(file), model="test_resnett", device="cpu"))
    with pytest.raises(AvemoError, match=r"exactly the tensors of timm's test_vit, found others"):
        TimmImage(TimmImage.Config(weights=str(file), model="test_vit", device="cpu"))


def test_a_random_network_follows_the_picture_and_its_seed():
    def rows(seed: int) -> np.ndarray:
        ours = TimmImage(TimmImage.Config(weights=f"random-seed-{seed}", model="test_resnet", device="cpu"))
        assert ours.provenance()["random_weights"]
        return ours.extract(faces(ours.crop.size_px)).x

    first = rows(0)
    np.testing.assert_array_equal(first, rows(0))
    assert first.std(0).max() > 1e-2, "another picture, other numbers"
    assert np.abs(first - rows(1)).max() > 1e-2


# -- transformers ------------------------------------------------------------


def saved(folder, name: str):
    """A folder as on the hub, whose preprocessor is not transformers' default."""
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(name, **NETWORKS[name])).eval()
    model.save_pretrained(folder)
    side = {"height": SIDES[name], "width": SIDES[name]}
    processor = CLIPImageProcessor(
        crop_size=side, size={"shortest_edge": SIDES[name]}, image_mean=[0.4, 0.5, 0.6]
    )
    processor.save_pretrained(folder)
    return model, processor


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_transformers_own(tmp_path, name):
    model, processor = saved(tmp_path, name)
    given = faces(SIDES[name])
    pixels = processor([Image.fromarray(face) for _, face in given], return_tensors="pt").pixel_values
    tower = getattr(model, "vision_model", model)
    with torch.no_grad():
        made = tower(pixel_values=pixels, output_hidden_states=True)
        expected = {
            ("own", None): made.pooler_output,
            ("first", None): made.last_hidden_state[:, 0],
            ("mean", None): made.last_hidden_state.mean(1),
            ("mean", 1): made.hidden_states[1].mean(1),
        }
        if name == "clip":
            expected["projected", None] = model.visual_projection(made.pooler_output)
    for (pooling, layer), values in expected.items():
        config = HFImage.Config(weights=str(tmp_path), pooling=pooling, layer=layer, device="cpu")
        ours = HFImage(config)
        assert (ours.crop.size_px, ours.dim) == (SIDES[name], values.shape[1])
        found = ours.extract(given).x
        np.testing.assert_allclose(found, values.numpy(), atol=1e-5 + 1e-4 * float(values.abs().max()))


def test_what_cannot_be_is_refused_with_a_reason(tmp_path):
    saved(tmp_path, "dinov2")
    for fields, words in (
        ({"pooling": "projected"}, "own, first or mean of dinov2, which has no projection"),
        ({"layer": 1}, "layer: expected pooling first or mean, found own"),
        ({"layer": 3, "pooling": "mean"}, "layer: expected at most 2, found 3"),
    ):
        with pytest.raises(ConfigError, match=words):
            HFImage(HFImage.Config(weights=str(tmp_path), device="cpu", **fields))
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(
        AvemoError, match=r"expected preprocessor_config\.json with size, image_mean and image_std"
    ):
        HFImage(HFImage.Config(weights=str(tmp_path), device="cpu"))


# -- crops -------------------------------------------------------------------


def test_faces_are_resized_as_the_networks_preprocessor_would():
    (_, frame), box = faces(200, 1)[0], np.array([20.0, 30.0, 140.0, 150.0])
    found = cut(frame, box, CropPolicy(size_px=64, margin=0.0, interpolation="bicubic"))
    expected = Image.fromarray(frame[30:150, 20:140]).resize((64, 64), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found, np.array(expected))


def test_crops_that_were_cut_before_keep_their_keys():
    assert "interpolation" not in CropPolicy().numbers()
    assert CropPolicy(interpolation="bicubic").numbers()["interpolation"] == "bicubic"
    with pytest.raises(ValueError, match="interpolation: expected area with alignment: landmarks"):
        CropPolicy(alignment="landmarks", interpolation="bicubic")


# -- whole frames ------------------------------------------------------------


def test_whole_frames_are_what_a_processor_that_stretches_gives_the_network(tmp_path):
    model, _ = saved(tmp_path, "siglip")
    processor = SiglipImageProcessor(size={"height": 64, "width": 64}, image_mean=[0.4, 0.5, 0.6])
    processor.save_pretrained(tmp_path)
    ours = HFImage(HFImage.Config(weights=str(tmp_path), crop="none", device="cpu"))
    given = [(time_s, np.hstack([face, face[::-1]])[:90]) for time_s, face in faces(120)]
    pixels = processor([Image.fromarray(frame) for _, frame in given], return_tensors="pt").pixel_values
    with torch.no_grad():
        expected = model.vision_model(pixel_values=pixels).pooler_output.numpy()
    found = ours.extract(whole(given, ours.crop))
    # Resizing rounds to whole values in both.
    np.testing.assert_allclose(found.x, expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_array_equal(found.times_s, [time_s for time_s, _ in given])


def test_so_many_frames_of_a_second_are_looked_at():
    frames = [(n / 25, np.zeros((9, 16, 3), np.uint8)) for n in range(50)]
    found = [time_s for time_s, _ in whole(frames, CropPolicy(size_px=8, fps=5))]
    np.testing.assert_allclose(found, np.arange(10) / 5)


def test_whole_frames_need_no_face_and_say_nothing_of_how_one_is_cut():
    config = {"weights": "random-seed-0", "model": "test_resnet"}
    face, scene = TimmImage.Config(**config), TimmImage.Config(**config, crop="none")
    assert "crop" not in face.numbers()
    assert scene.numbers() == face.numbers() | {"crop": "none"}
    assert [TimmImage.reads_of(one) for one in (face, scene)] == ["faces", "frames"]
    assert TimmImage.Config(**scene.numbers(), **scene.places()) == scene, "as a job gets it"
    with pytest.raises(ValueError, match="crop: expected face with margin, found none"):
        TimmImage.Config(**config, crop="none", margin=0.1)
