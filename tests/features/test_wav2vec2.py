"""wav2vec 2.0 against transformers called one file at a time, with a small network in its file format."""

import logging

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2Model

from avemo.base.contracts import AvemoError
from avemo.features.wav2vec2 import Wav2Vec2
from avemo.features.wav2vec2_network import network_config
from avemo.weights.find import find
from avemo.weights.hashes import sha256_path

RATE_HZ = 16_000
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (24,) * 7,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 5,
}


def voice(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness comes and goes, off zero."""
    rng = np.random.default_rng(seed)
    envelope = 0.55 + 0.45 * np.sin(np.arange(samples) / 2500 + seed)
    return (0.02 + 0.2 * envelope * rng.standard_normal(samples)).astype(np.float32)


def published(path, seed: int = 0, gain: float = 4.0, **changes):
    """A folder as on the hub: a network with a head on it, under the prefix ``wav2vec2.``.

    Matrices are ``gain`` times transformers' initial ones, so that attention is far from uniform.
    """
    torch.manual_seed(seed)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**(SMALL | changes)))
    with torch.no_grad():
        for layer in model.wav2vec2.encoder.layers:
            for matrix in (p for p in layer.parameters() if p.ndim == 2):
                matrix *= gain
    model.save_pretrained(path)
    return path


def transformers_frames(folder, signal: np.ndarray, layers: int = 3) -> torch.Tensor:
    """What a user would write: preprocessor, then the model, on one file."""
    config = Wav2Vec2Config.from_pretrained(folder, num_hidden_layers=layers)
    model = Wav2Vec2Model.from_pretrained(folder, config=config).eval()
    prepared = Wav2Vec2FeatureExtractor(do_normalize=True)(
        signal, sampling_rate=RATE_HZ, return_tensors="pt"
    ).input_values
    with torch.no_grad():
        return model(prepared, output_hidden_states=True)


def extractor(folder, **changes) -> Wav2Vec2:
    defaults = {"layers": 3, "device": "cpu"}
    return Wav2Vec2(Wav2Vec2.Config(weights=str(folder), **(defaults | changes)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return published(tmp_path_factory.mktemp("wav2vec2"))


@pytest.fixture(scope="module")
def ours(folder) -> Wav2Vec2:
    return extractor(folder)


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 80_079, 100_000, 970_000])
def test_frames_equal_transformers(ours, folder, samples):
    signal = voice(samples)
    features = ours.extract(signal)
    expected = transformers_frames(folder, signal).last_hidden_state[0].numpy()
    assert features.x.shape == expected.shape == ((samples - 400) // 320 + 1, 32)
    np.testing.assert_allclose(features.x, expected, atol=2e-5)
    np.testing.assert_allclose(features.times_s, 0.020 * np.arange(len(expected)) + 0.0125, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_first_layers_are_kept_and_the_final_norm_with_them(folder, layers):
    signal = voice(9_000)
    expected = transformers_frames(folder, signal, layers).last_hidden_state[0].numpy()
    np.testing.assert_allclose(extractor(folder, layers=layers).extract(signal).x, expected, atol=2e-5)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_chosen_layer_is_transformers_hidden_state(folder, layer):
    signal = voice(9_000)
    expected = transformers_frames(folder, signal).hidden_states[layer][0].numpy()
    np.testing.assert_allclose(extractor(folder, layer=layer).extract(signal).x, expected, atol=2e-5)


def test_adapters_of_the_layers_are_kept(tmp_path):
    folder = published(tmp_path, adapter_attn_dim=8)
    signal = voice(9_000)
    expected = transformers_frames(folder, signal).last_hidden_state[0].numpy()
    np.testing.assert_allclose(extractor(folder).extract(signal).x, expected, atol=2e-5)


# -- long sound --------------------------------------------------------------


def local_network(path):
    """Attention switched off, so that a frame depends on 16 neighbours only (the position convolution)."""
    published(path)
    state = load_file(path / "model.safetensors")
    for name, tensor in state.items():
        if "attention.out_proj" in name:
            tensor.zero_()
    save_file(state, path / "model.safetensors", metadata={"format": "pt"})
    return path


@pytest.mark.parametrize("samples", [32_399, 32_400, 63_999, 64_400, 201_234])
def test_windows_account_for_every_frame(tmp_path, samples):
    folder = local_network(tmp_path)
    signal = voice(samples)
    whole = extractor(folder).extract(signal)
    windowed = extractor(folder, window_s=2.0, context_s=0.4).extract(signal)
    np.testing.assert_allclose(windowed.x, whole.x, atol=2e-5)
    np.testing.assert_array_equal(windowed.times_s, whole.times_s)
    # Windows in the middle have 5 frames of context, less than the network sees, and it shows.
    short = extractor(folder, window_s=2.0, context_s=0.1).extract(signal)
    assert (np.abs(short.x - whole.x).max() > 1e-3) == (len(whole.x) > 180)


def test_attention_over_windows_is_near_that_over_everything(tmp_path):
    folder = published(tmp_path, gain=1.0)
    signal = voice(90 * RATE_HZ)
    whole = extractor(folder).extract(signal).x
    difference = np.abs(extractor(folder, window_s=60.0, context_s=5.0).extract(signal).x - whole)
    assert 0 < np.quantile(difference, 0.99) < 1e-3
    assert difference.max() < 3e-3


def test_ten_minutes_go_through_in_one_window(ours):
    (window,) = ours._windows(600 * 50)
    assert (window.begin, window.first, window.last, window.end) == (0, 0, 30_000, 30_000)
    assert len(list(ours._windows(721 * 50))) == 2


def test_a_windows_length_is_a_choice_of_numbers(ours, folder):
    assert extractor(folder, window_s=90.0).key_part() != ours.key_part()
    assert extractor(folder, device="auto").key_part() == ours.key_part()


# -- normalisation, precision ----------------------------------------------


def test_normalisation_by_given_statistics(ours, folder):
    signal = voice(16_000)
    fixed = extractor(folder, normalise="fixed", mean=float(signal.mean()), std=float(signal.std()))
    np.testing.assert_allclose(fixed.extract(signal).x, ours.extract(signal).x, atol=1e-4)
    louder = np.abs(fixed.extract(3 * signal).x - ours.extract(3 * signal).x).max()
    assert louder > 1e-2, "fixed statistics keep loudness"
    np.testing.assert_allclose(ours.extract(3 * signal).x, ours.extract(signal).x, atol=1e-3)


def test_silence_is_finite_and_the_same_everywhere_inside(ours):
    x = ours.extract(np.zeros(32_000, np.float32)).x
    assert np.isfinite(x).all()
    np.testing.assert_allclose(x[20:-20], np.broadcast_to(x[50], x[20:-20].shape), atol=1e-5)
    np.testing.assert_allclose(ours.extract(np.full(32_000, 0.3, np.float32)).x, x, atol=1e-3)


def test_bfloat16_is_near_and_another_key(ours, folder):
    fast = extractor(folder, precision="bfloat16")
    a, b = fast.extract(voice(40_000)).x, ours.extract(voice(40_000)).x
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.995
    assert fast.key_part() != ours.key_part()


def test_storage_as_float16(ours, folder):
    narrow = extractor(folder, dtype="float16")
    half = narrow.extract(voice(9_000)).x
    assert half.dtype == np.dtype(narrow.dtype) == np.float16
    np.testing.assert_array_equal(half, ours.extract(voice(9_000)).x.astype(np.float16))


def test_sound_is_cut_where_asked(ours, folder):
    x = extractor(folder, longest_s=1.0).extract(voice(40_000)).x
    np.testing.assert_allclose(x, ours.extract(voice(40_000)[:16_000]).x, atol=1e-6)


def test_too_short_and_two_channels_are_refused(ours):
    with pytest.raises(AvemoError, match=r"at least 400 samples .*found shape \(399,\)"):
        ours.extract(voice(399))
    with pytest.raises(AvemoError, match=r"found shape \(2, 16000\)"):
        ours.extract(np.zeros((2, 16_000), np.float32))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"window_s": 10, "context_s": 5}, "less than half of window_s"),
        ({"layers": 2, "layer": 3}, r"at most layers \(2\)"),
        ({"mean": 0.1}, "only with `normalise: fixed`"),
        ({"std": 0}, "greater than 0"),
    ],
)
def test_contradictions_in_the_config_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        Wav2Vec2.Config(weights="random-seed-0", **fields)


# -- weights -----------------------------------------------------------------


def test_the_key_follows_the_files(ours, folder, tmp_path):
    other = published(tmp_path, seed=1)
    assert extractor(other).key_part() != ours.key_part()
    found = ours.provenance()
    assert found["weights"] == sha256_path(folder)
    assert found["random_weights"] is False
    # The resampler comes with PyAV.
    assert set(ours.versions()) == {"av", "torch", "transformers"}


def test_the_random_network_is_the_published_shape_cut_to_twelve_layers():
    config = network_config(find("random-seed-0"), 12)
    with torch.device("meta"):
        count = sum(p.numel() for p in Wav2Vec2Model(config).parameters())
    # 315,438,720 published parameters (24 layers) less 12 x 12,596,224, and less the 1024 of the mask vector.
    assert count == 315_438_720 - 12 * 12_596_224 - 1024


def test_a_model_in_the_hubs_cache_is_found_offline(folder, ours, tmp_path, monkeypatch):
    commit = "0" * 40
    snapshot = tmp_path / "models--someone--robust" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = Wav2Vec2(Wav2Vec2.Config(weights="someone/robust", revision=commit, layers=3, device="cpu"))
    np.testing.assert_array_equal(found.extract(voice(4_000)).x, ours.extract(voice(4_000)).x)
    with pytest.raises(
        AvemoError, match=r"someone/robust: expected .* revision 1+ .*local cache, found none"
    ):
        extractor("someone/robust", revision="1" * 40)
    with pytest.raises(AvemoError, match=r"nowhere: expected owner/name .*without `revision`"):
        extractor(tmp_path / "nowhere", revision=commit)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(AvemoError, match=r"nowhere: expected .*a folder .*found nothing; .*random-seed-0"):
        extractor(tmp_path / "nowhere")


def test_pickled_weights_are_refused(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(AvemoError, match=r"expected \*\.safetensors, found .*pytorch_model\.bin"):
        extractor(tmp_path)


def test_a_lacking_tensor_is_named_not_drawn_at_random(tmp_path):
    published(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["wav2vec2.encoder.layers.1.feed_forward.output_dense.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        AvemoError, match=r"found none for 1 \(encoder\.layers\.1\.feed_forward\.output_dense\.weight"
    ):
        extractor(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "misshapen"])
def test_damaged_and_misshapen_files_are_refused(tmp_path, damage):
    published(tmp_path)
    path = tmp_path / "model.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        state = load_file(path)
        state["wav2vec2.feature_projection.projection.weight"] = torch.zeros(31, 24)
        save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(AvemoError, match=r"found other or damaged files .*download them again"):
        extractor(tmp_path)


def test_a_network_with_group_norm_is_refused(tmp_path):
    published(tmp_path, feat_extract_norm="group", do_stable_layer_norm=False)
    with pytest.raises(AvemoError, match=r"found wav2vec2 with group norm"):
        extractor(tmp_path)


def test_more_layers_than_there_are(folder):
    with pytest.raises(AvemoError, match=r"at least 12 transformer layers, found 3"):
        extractor(folder, layers=12)


def test_loading_leaves_the_generator_and_the_log_alone(folder, caplog):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    with caplog.at_level(logging.WARNING):
        extractor(folder, layers=1)
    assert torch.equal(torch.rand(3), expected)
    assert not caplog.records
