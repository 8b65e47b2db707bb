"""Each system and variant of `config/every_system.yaml`, trained on a demo corpus, is better than the majority.

Here the corpus is small and its emotions are plain. That config's own corpus takes half an hour, so it is asked for
by naming the folder to work in, which may hold an earlier run:
AVEMO_EVERY_SYSTEM=/tmp/every pytest tests/workflow/test_every_system.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

from workflow_runner import Workflow

pytestmark = pytest.mark.slow
FOLDER = os.environ.get("AVEMO_EVERY_SYSTEM")
PLAIN = {
    "corpus": {
        "shards": 2,
        "config": {
            **{"actors": 30, "graded": [], "plain": ["DFA"], "neutral": []},
            **{"fps": 6, "seconds": 0.7, "size_px": 128},
            **{"face_gap": 1.0, "voice_gap": 1.0, "spread": 0.08},
        },
    },
    "splits_per_job": 5,
    "systems": {
        "auxformer": {"training": {"epochs": 10}},
        "av_ladder": {"config": {"length": 64}, "training": {"epochs": 10}},
        "ladder_ablation_1": {"config": {"length": 64}, "training": {"epochs": 10}},
        "ladder_ablation_2": {"config": {"length": 64}, "training": {"epochs": 10}},
    },
}
"""Many actors, six clips each, with no pair of emotions that one modality confuses; and shorter trainings."""


@pytest.fixture(scope="module")
def macro_f1(repository, tmp_path_factory) -> pd.DataFrame:
    """Of the test clips, both modalities given: a row a system, a column a split."""
    workflow = Workflow(repository, Path(FOLDER) if FOLDER else tmp_path_factory.mktemp("every_system"))
    workflow.folder.mkdir(exist_ok=True)
    configs = [repository / "config" / "every_system.yaml"]
    config = yaml.safe_load(configs[0].read_text())
    systems = [*config["systems"], "baselines"]
    if not FOLDER:
        configs.append(workflow.folder / "plain.yaml")
        configs[1].write_text(yaml.safe_dump(PLAIN))
    files = [f"results/every_system/scores/{name}.csv" for name in systems]
    workflow.snakemake(configs, *files)
    scores = pd.concat([pd.read_csv(workflow.folder / file) for file in files])
    chosen = scores[(scores.metric == "macro_f1") & (scores.modality == "av")]
    found = chosen.pivot(index="system", columns="split", values="value")
    assert found.shape == (len(config["systems"]) + 2, config["splits"]["n"])
    return found


def test_every_system_beats_the_majority_on_unseen_actors_in_every_split(macro_f1):
    majority = macro_f1.loc["majority"]
    systems = macro_f1.drop(["majority", "chance"])
    margin = (systems - majority).min(axis=1)
    assert (margin > 0).all(), margin[margin <= 0]
