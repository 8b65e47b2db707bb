"""What a training takes from its job: random numbers by its system's name, and weights from where they lie."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from avemo.base.contracts import Clip, ConfigError
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels
from avemo.dataset.loading import ClipData
from avemo.dataset.splits import Split
from avemo.models import build_model
from avemo.training.one_split import Job, Trained, train_on
from avemo.training.recipe import TrainingConfig, TrainSpec
from feature_source import Source

SPLIT = Split("split00", tuple("abcdefgh"), ("i", "j"), ("k",))
MULT = {"width": 8, "heads": 2, "layers": 1}
CLIPS = [clip for side in SPLIT.sides().values() for clip in side]


def trained(folder, system: str, model="mult", config=MULT, places=None, **training) -> Trained:
    """A small model after one epoch, under a system's name."""
    given = [Label(clip, ("sad", "calm")[i % 2]) for i, clip in enumerate(CLIPS)]
    known = make_labels([Clip(c, speaker=c, group=c) for c in CLIPS], given, "classes", ("sad", "calm"))
    data = ClipData(Source(dict.fromkeys(CLIPS, 5), 3), Source(dict.fromkeys(CLIPS, 4), 6), known.targets)
    schedule = TrainingConfig(epochs=1, batch_size=2, device="cpu", **training)
    spec = TrainSpec(model=model, version=1, config=config, training=schedule)
    job = Job("run", system, spec, known, {}, places or {})
    return train_on(job, data, SPLIT, data, folder / system, lambda *_: None)


def test_a_mean_of_probabilities_wants_classes(tmp_path):
    known = make_labels(
        [Clip(c, speaker=c, group=c) for c in CLIPS],
        [Label(c, {"arousal": 0.5}) for c in CLIPS],
        "attributes",
        ("arousal",),
    )
    data = ClipData(Source(dict.fromkeys(CLIPS, 5), 3), Source(dict.fromkeys(CLIPS, 4), 6), known.targets)
    config = {"width": 8, "heads": 2, "layers": 1, "average": "probabilities"}
    spec = TrainSpec(model="auxformer", version=1, config=config, training=TrainingConfig(device="cpu"))
    with pytest.raises(
        ConfigError, match=r"systems\.mine\.config\.average: expected 'logits' with attributes"
    ):
        train_on(Job("run", "mine", spec, known, {}), data, SPLIT, data, tmp_path, lambda *_: None)


@pytest.mark.parametrize("common", [False, True])
def test_two_systems_of_one_setting_end_alike_only_with_common_random_numbers(tmp_path, common):
    """The papers repeat "using different random seeds"; initial weights, order and dropout all show in the end."""
    first, second = (trained(tmp_path, name, common_random_numbers=common) for name in ("ours", "baseline"))
    same = [
        torch.equal(weights, second.result.best_state[name])
        for name, weights in first.result.best_state.items()
    ]
    assert all(same) == common
    again = trained(tmp_path, "ours", common_random_numbers=common)
    assert all(torch.equal(w, again.result.best_state[n]) for n, w in first.result.best_state.items())


def test_a_system_starts_from_weights_that_its_spec_knows_by_their_bytes(tmp_path):
    config = {"cnn": "none", "width": 8, "heads": 2, "ffn": 16, "audio_layers": 1}
    donor = build_model("colearning", audio_dim=3, visual_dim=6, outputs=2, **config)
    save_file(donor.audio.state_dict(), tmp_path / "asr.safetensors")
    config["initial_weights"] = {"audio": "a digest"}
    places = {"initial_weights": {"audio": str(tmp_path / "asr.safetensors")}}
    found = trained(tmp_path, "ours", "colearning", config, places, lr=1e-12)
    for name, weights in donor.audio.state_dict().items():
        torch.testing.assert_close(found.result.best_state[f"audio.{name}"], weights)
    assert found.meta["config"] == found.record["config"]["config"] == config
