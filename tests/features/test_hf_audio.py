"""Speech encoders against transformers called on the same sound, layer by layer, with a small network of every family."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import (
    AutoConfig,
    AutoModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from avemo.base.contracts import AvemoError, ConfigError
from avemo.features.hf_audio import HFAudio
from avemo.features.wav2vec2 import Wav2Vec2

RATE_HZ = 16_000
DEPTH = 3
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (24,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
GROUP = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WHISPER = {
    "d_model": 32,
    "encoder_layers": DEPTH,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 60,
    **{f"{name}_token_id": 1 for name in ("pad", "bos", "eos", "decoder_start")},
}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_depthwise_kernel_size": 7,
}
NETWORKS = {
    "wav2vec2, group norm": ("wav2vec2", SMALL | GROUP, {"do_normalize": True}),
    "wav2vec2, layer norm": ("wav2vec2", SMALL | LAYER, {"do_normalize": True}),
    "hubert, group norm": ("hubert", SMALL | GROUP, {"do_normalize": True}),
    "hubert, layer norm": ("hubert", SMALL | LAYER, {"do_normalize": True}),
    "hubert, no norm of features": (
        "hubert",
        SMALL | LAYER | {"feat_proj_layer_norm": False},
        {"do_normalize": True},
    ),
    "wavlm, group norm": ("wavlm", SMALL | GROUP, {"do_normalize": False}),
    "wavlm, layer norm": ("wavlm", SMALL | LAYER, {"do_normalize": True}),
    "data2vec-audio": ("data2vec-audio", SMALL | {"num_conv_pos_embeddings": 3}, {"do_normalize": True}),
    "unispeech-sat, group norm": ("unispeech-sat", SMALL | GROUP, {"do_normalize": True}),
    "unispeech-sat, layer norm": ("unispeech-sat", SMALL | LAYER, {"do_normalize": True}),
    "unispeech": ("unispeech", SMALL | LAYER, {"do_normalize": True}),
    "wav2vec2-conformer": (
        "wav2vec2-conformer",
        SMALL | {"conv_depthwise_kernel_size": 7},
        {"do_normalize": True},
    ),
    "whisper": ("whisper", WHISPER, {}),
    "wav2vec2-bert": ("wav2vec2-bert", BERT, {}),
}


def voice(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness comes and goes, off zero."""
    rng = np.random.default_rng(seed)
    envelope = 0.55 + 0.45 * np.sin(np.arange(samples) / 2500 + seed)
    return (0.02 + 0.2 * envelope * rng.standard_normal(samples)).astype(np.float32)


def preprocessor(kind: str, fields: dict):
    if kind == "whisper":
        return WhisperFeatureExtractor(**fields)
    return SeamlessM4TFeatureExtractor() if kind == "wav2vec2-bert" else Wav2Vec2FeatureExtractor(**fields)


def published(folder, name: str, **changes):
    """A folder as on the hub. Matrices are four times transformers' initial ones, or attention would be near uniform."""
    kind, shape, fields = NETWORKS[name]
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **(shape | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter *= 4
    model.save_pretrained(folder)
    preprocessor(kind, fields).save_pretrained(folder)
    return folder


def oracle(folder, name: str, signal: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """What a user would write: every hidden state, and the last one behind the final norm."""
    kind, _, fields = NETWORKS[name]
    model = AutoModel.from_pretrained(folder).eval()
    prepared = preprocessor(kind, fields)(signal, sampling_rate=RATE_HZ, return_tensors="pt")
    if kind == "whisper":
        model, inputs = model.get_encoder(), {"input_features": prepared.input_features}
    else:
        inputs = {key: prepared[key] for key in ("input_values", "input_features") if key in prepared}
        if kind == "wav2vec2-bert":
            inputs["attention_mask"] = prepared.attention_mask
    with torch.no_grad():
        found = model(**inputs, output_hidden_states=True)
    return [state[0].numpy() for state in found.hidden_states], found.last_hidden_state[0].numpy()


def extractor(folder, **changes) -> HFAudio:
    return HFAudio(HFAudio.Config(**({"weights": str(folder), "device": "cpu"} | changes)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def folder(name: str):
        if name not in made:
            made[name] = published(tmp_path_factory.mktemp("network"), name)
        return made[name]

    return folder


@pytest.mark.parametrize("samples", [9_000, 20_123])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_transformers_own(folders, name, samples):
    signal = voice(samples)
    hidden, last = oracle(folders(name), name, signal)
    every, final = extractor(folders(name), layers="all"), extractor(folders(name))
    x = every.extract(signal).x
    width = last.shape[1]
    assert every.parts == tuple(map(str, range(DEPTH + 1)))
    assert every.dim == (DEPTH + 1) * width
    assert final.dim == width
    kept = len(x)
    # Whisper pads to 30 s; its last state in transformers' list has the final norm already.
    known = hidden[:-1] if name == "whisper" else hidden
    assert kept == len(last) or name in ("whisper", "wav2vec2-bert")
    for layer, expected in enumerate(known):
        found = x[:, layer * width : (layer + 1) * width]
        np.testing.assert_allclose(found, expected[:kept], atol=5e-5, err_msg=f"layer {layer}")
    np.testing.assert_allclose(final.extract(signal).x, last[:kept], atol=5e-5)
    assert np.abs(last).std() > 1e-3


@pytest.mark.parametrize("name", [name for name in NETWORKS if "group" not in name])
def test_times_are_the_middles_of_what_frames_see(folders, name):
    """A click moves the frames about it, to both sides alike."""
    found = extractor(folders(name), layers=0, normalise="none")
    quiet = voice(32_000)
    click = quiet.copy()
    click[15_900:16_100] += 1.0
    before, after = found.extract(quiet), found.extract(click)
    moved = np.abs(after.x - before.x).mean(1)
    near = np.clip(moved - 0.2 * moved.max(), 0, None)
    assert near @ before.times_s / near.sum() == pytest.approx(1.0, abs=0.1)
    assert np.diff(before.times_s) == pytest.approx(0.02)


def test_some_layers_lie_side_by_side_in_the_order_that_was_asked_for(folders):
    folder, signal = folders("wavlm, layer norm"), voice(9_000)
    both, every = extractor(folder, layers=(3, 1)), extractor(folder, layers="all").extract(signal).x
    assert both.parts == ("3", "1")
    found = both.extract(signal).x
    np.testing.assert_array_equal(found[:, :32], every[:, 96:128])
    np.testing.assert_array_equal(found[:, 32:], every[:, 32:64])
    one = extractor(folder, layers=1)
    assert one.parts == ()
    np.testing.assert_array_equal(one.extract(signal).x, found[:, 32:])


def test_the_first_layers_alone_are_kept(folders):
    name = "hubert, layer norm"
    folder, signal = folders(name), voice(9_000)
    kept = extractor(folder, keep=2).extract(signal).x
    model = AutoModel.from_pretrained(
        folder, config=AutoConfig.from_pretrained(folder, num_hidden_layers=2)
    ).eval()
    values = Wav2Vec2FeatureExtractor(do_normalize=True)(signal, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(kept, model(values.input_values).last_hidden_state[0].numpy(), atol=5e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"layers": 3}, {}),
        ({"layers": 2}, {"keep": 2}),
        ({"layers": 3, "layer": 1}, {"layers": 1}),
        ({"layers": 3, "window_s": 2.0, "context_s": 0.4}, {"window_s": 2.0, "context_s": 0.4}),
    ],
)
def test_the_papers_extractor_is_this_one_with_their_fields(folders, ours, theirs):
    folder, signal = folders("wav2vec2, layer norm"), voice(70_000)
    papers = Wav2Vec2(Wav2Vec2.Config(weights=str(folder), device="cpu", **ours)).extract(signal)
    general = extractor(folder, **theirs).extract(signal)
    np.testing.assert_allclose(general.x, papers.x, atol=1e-6)
    np.testing.assert_array_equal(general.times_s, papers.times_s)


# -- long sound --------------------------------------------------------------


@pytest.mark.parametrize("name", ["wavlm, layer norm", "data2vec-audio", "wav2vec2-bert"])
def test_windows_account_for_every_frame_and_are_near_what_all_of_the_sound_gives(folders, name):
    signal = voice(130_001)
    whole = extractor(folders(name), layers=(0, 1)).extract(signal)
    cut = extractor(folders(name), layers=(0, 1), window_s=4.0, context_s=1.0).extract(signal)
    assert cut.x.shape == whole.x.shape
    np.testing.assert_array_equal(cut.times_s, whole.times_s)
    # What enters the first layer sees no further than its context; attention does.
    np.testing.assert_allclose(cut.x[:, :32], whole.x[:, :32], atol=5e-5)
    assert 0 < np.abs(cut.x[:, 32:] - whole.x[:, 32:]).max() < np.abs(whole.x).max()


def test_whisper_takes_thirty_seconds_at_a_time(folders):
    found = extractor(folders("whisper"))
    signal = voice(41 * RATE_HZ)
    x = found.extract(signal)
    assert len(x.x) == 41 * 50
    alone = found.extract(signal[: 30 * RATE_HZ])
    np.testing.assert_allclose(x.x[: 20 * 50], alone.x[: 20 * 50], atol=1e-6)
    with pytest.raises(
        ConfigError, match=r"window_s: expected at most the 30 s that this network takes, found 40"
    ):
        extractor(folders("whisper"), window_s=40.0)


@pytest.mark.parametrize("name", [name for name in NETWORKS if "group" in name])
def test_a_network_that_scales_by_all_of_the_sound_is_given_no_windows(folders, name):
    found = extractor(folders(name), window_s=2.0)
    assert len(found.extract(voice(30_000)).x) == 93
    with pytest.raises(
        AvemoError, match=r"at most 2 s of sound, found 2\.5: .*group norm scales.*raise window_s"
    ):
        found.extract(voice(40_000))


def test_all_layers_of_long_sound_go_to_a_file_and_not_to_memory(folders, monkeypatch):
    monkeypatch.setattr("avemo.base.frames.MEMORY_BYTES", 2**16)
    found = extractor(folders("wav2vec2, layer norm"), layers="all")
    mapped = found.extract(voice(60_000)).x
    assert isinstance(mapped, np.memmap)
    monkeypatch.undo()
    np.testing.assert_array_equal(mapped, found.extract(voice(60_000)).x)


# -- what is asked for -------------------------------------------------------


def test_sound_is_scaled_as_the_networks_own_file_says(folders):
    folder, signal = folders("wavlm, group norm"), voice(9_000)
    own = extractor(folder).extract(signal).x
    np.testing.assert_array_equal(own, extractor(folder, normalise="none").extract(signal).x)
    assert np.abs(own - extractor(folder, normalise="utterance").extract(signal).x).max() > 1e-4


def test_a_folder_that_does_not_say_how_is_refused(tmp_path):
    folder = published(tmp_path, "wavlm, group norm")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(
        AvemoError, match=r"expected preprocessor_config\.json, which says how .* put it there"
    ):
        extractor(folder)


@pytest.mark.parametrize("name", ["wav2vec2", "wavlm", "whisper", "wav2vec2-bert"])
def test_a_random_network_of_any_architecture_is_asked_for_by_name(name):
    shape = {"whisper": WHISPER, "wav2vec2-bert": BERT}.get(name, SMALL)
    found = extractor("random-seed-3", architecture=name, shape=shape)
    assert found.provenance() == {"weights": "random-seed-3", "random_weights": True}
    again = extractor("random-seed-3", architecture=name, shape=shape)
    np.testing.assert_array_equal(found.extract(voice(9_000)).x, again.extract(voice(9_000)).x)
    other = extractor("random-seed-4", architecture=name, shape=shape)
    assert np.abs(found.extract(voice(9_000)).x - other.extract(voice(9_000)).x).max() > 1e-3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weights": "random-seed-0"}, r"architecture: expected one of transformers'.*found None"),
        (
            {"weights": "random-seed-0", "architecture": "wav2vec3"},
            r"found 'wav2vec3'; did you mean 'wav2vec2'",
        ),
        (
            {"architecture": "wavlm"},
            r"expected no architecture or shape, which its config\.json says, found wavlm",
        ),
        ({"layers": 4}, r"expected at least 4 transformer layers, found 3; ask for lower ones"),
        ({"layers": (2, 3), "keep": 2}, r"layers: expected at most 2 \(keep\), found 3"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(folders, fields, words):
    with pytest.raises(AvemoError, match=words):
        extractor(folders("wavlm, layer norm"), **fields)


@pytest.mark.parametrize(
    "fields", [{"window_s": 4, "context_s": 2}, {"layers": (1, 1)}, {"layers": -1}, {"layers": "first"}]
)
def test_contradictions_in_the_config_are_refused(fields):
    with pytest.raises(ValidationError):
        HFAudio.Config(weights="random-seed-0", architecture="wavlm", **fields)


@pytest.mark.parametrize("kind", ["bert", "sew"])
def test_another_kind_of_network_is_refused_by_name(kind):
    with pytest.raises(
        AvemoError, match=rf"expected a speech encoder such as .*, found {kind}; take another"
    ):
        extractor("random-seed-0", architecture=kind, shape={"num_hidden_layers": 1, "hidden_size": 24})


def test_layers_are_part_of_the_key_and_the_device_is_not(folders):
    folder = folders("wavlm, layer norm")
    keys = {extractor(folder, layers=layers).key_part() for layers in ("last", "all", 1, (1, 2))}
    assert len(keys) == 4
    assert extractor(folder, device="auto").key_part() == extractor(folder).key_part()


def test_too_short_a_signal_is_refused(folders):
    for name, samples in (("wavlm, layer norm", 399), ("wav2vec2-bert", 559), ("whisper", 399)):
        with pytest.raises(AvemoError, match=rf"hf_audio: .*at least {samples + 1} samples"):
            extractor(folders(name)).extract(voice(samples))
        assert len(extractor(folders(name)).extract(voice(samples + 1)).x) >= 1
