"""What a training takes from the name of its system: random numbers of its own, unless they are to be common."""

from __future__ import annotations

import pytest
import torch

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels
from avemo.dataset.loading import ClipData
from avemo.dataset.splits import Split
from avemo.training.one_split import Job, Trained, train_on
from avemo.training.recipe import TrainingConfig, TrainSpec
from feature_source import Source

SPLIT = Split("split00", tuple("abcdefgh"), ("i", "j"), ("k",))
CLIPS = [clip for side in SPLIT.sides().values() for clip in side]


def trained(folder, system: str, **training) -> Trained:
    """A small model after one epoch, under a system's name."""
    given = [Label(clip, ("sad", "calm")[i % 2]) for i, clip in enumerate(CLIPS)]
    known = make_labels([Clip(c, speaker=c, group=c) for c in CLIPS], given, "classes", ("sad", "calm"))
    data = ClipData(Source(dict.fromkeys(CLIPS, 5), 3), Source(dict.fromkeys(CLIPS, 4), 6), known.targets)
    config = TrainingConfig(epochs=1, batch_size=2, device="cpu", **training)
    spec = TrainSpec(model="mult", version=1, config={"width": 8, "heads": 2, "layers": 1}, training=config)
    return train_on(Job("run", system, spec, known, {}), data, SPLIT, data, folder / system, lambda *_: None)


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
