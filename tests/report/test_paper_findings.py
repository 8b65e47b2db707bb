"""What a paper's tables are made of, read from a run's files."""

from __future__ import annotations

import numpy as np
import pandas as pd

from avemo.base.contracts import Clip
from avemo.corpora.base import Label
from avemo.dataset.labels import make_labels
from avemo.papers.definitions import Address
from avemo.report.paper_findings import Resampling
from avemo.report.resampling import resampled
from avemo.study.study import Study
from runs import run_of

CLIPS = [f"c{i:02}" for i in range(40)]


def test_systems_of_one_split_are_compared_on_its_predictions(tmp_path):
    """By input and metric; what was scored on the development set, or is not there, has no such test."""
    run = run_of(("ours", "other"), results=str(tmp_path))
    study = Study({"r": run})
    clips = [Clip(clip, speaker=clip, group=f"video{i // 4}") for i, clip in enumerate(CLIPS)]
    given = [Label(clip, ("sad", "calm")[i % 2]) for i, clip in enumerate(CLIPS)]
    known = make_labels(clips, given, "classes", ("sad", "calm"))
    frames, rng = {}, np.random.default_rng(0)
    for system, right in (("ours", 0.9), ("other", 0.5)):
        parts = []
        for modality in ("av", "audio"):
            target = np.arange(40) % 2
            wrong = rng.random(40) > right
            frame = pd.DataFrame({"clip_id": CLIPS, "target": target, "prediction": target ^ wrong})
            frames[system, modality] = frame
            parts.append(frame.assign(modality=modality, split="split00"))
        path = study.layouts["r"].predictions(system)
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(parts).to_parquet(path)
    compare = Resampling(study, {"r": known})

    def at(system: str, modality: str, metric: str = "macro_f1") -> Address:
        return Address(run="r", system=system, modality=modality, metric=metric)

    for modality in ("av", "audio"):
        pair = frames["ours", modality], frames["other", modality]
        expected = resampled(*pair, known.groups, known.task)["macro_f1"]
        assert compare(at("ours", modality), at("other", modality)) == expected
    assert compare(at("ours", "av"), at("ours", "audio"))["mean_difference"] != 0
    assert compare(at("ours", "av", "dev_macro_f1"), at("other", "av", "dev_macro_f1")) == {}
    assert compare(at("ours", "av"), at("third", "av")) == {}
