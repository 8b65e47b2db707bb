"""Each system and variant of `config/every_system.yaml`, trained on the demo corpus, is better than the majority.

Half an hour on two cores, so it is asked for by naming the folder to work in, which may hold an earlier run:
AVEMO_EVERY_SYSTEM=/tmp/every pytest tests/workflow/test_every_system.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml
from workflow_runner import Workflow

FOLDER = os.environ.get("AVEMO_EVERY_SYSTEM")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="half an hour; AVEMO_EVERY_SYSTEM names a folder to work in"
)


@pytest.fixture(scope="module")
def macro_f1(repository) -> pd.DataFrame:
    """Of the test clips, both modalities given: a row a system, a column a split."""
    workflow = Workflow(repository, Path(str(FOLDER)))
    workflow.folder.mkdir(exist_ok=True)
    config = repository / "config" / "every_system.yaml"
    systems = [*yaml.safe_load(config.read_text())["systems"], "baselines"]
    files = [f"results/every_system/scores/{name}.csv" for name in systems]
    workflow.snakemake([config], *files)
    scores = pd.concat([pd.read_csv(workflow.folder / file) for file in files])
    chosen = scores[(scores.metric == "macro_f1") & (scores.modality == "av")]
    return chosen.pivot(index="system", columns="split", values="value")


def test_every_system_beats_the_majority_on_unseen_actors_in_every_split(macro_f1):
    majority = macro_f1.loc["majority"]
    systems = macro_f1.drop(["majority", "chance"])
    assert systems.shape == (21, 5)
    margin = (systems - majority).min(axis=1)
    assert (margin > 0).all(), margin[margin <= 0]
